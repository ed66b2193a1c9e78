//! What a failed exchange is to the client: the one place where the upstream layer's words
//! become reasons.

use crate::pipeline::reason::{Reason, Rejection};
use crate::upstream::error::{Cause, Failure};

impl From<Failure> for Rejection {
    fn from(failure: Failure) -> Self {
        let reason = match failure.cause {
            Cause::Target => Reason::TargetMalformed,
            // How the client's body failed is known to whoever holds its progress.
            Cause::Body => Reason::BodyBroken,
            Cause::Share => Reason::UpstreamShareTaken,
            Cause::Saturated => Reason::UpstreamSaturated,
            Cause::Connect => Reason::UpstreamConnect,
            Cause::ConnectTimeout => Reason::UpstreamConnectTimeout,
            Cause::Tls => Reason::UpstreamTls,
            Cause::ClientCertificate => Reason::UpstreamClientCertificate,
            Cause::NoHttp2 => Reason::UpstreamNoHttp2,
            Cause::NoUpgrade => Reason::UpstreamNoUpgrade,
            Cause::Closed => Reason::UpstreamClosed,
            Cause::Protocol => Reason::UpstreamProtocol,
            Cause::Internal => Reason::Internal,
        };
        Rejection { reason, detail: failure.detail }
    }
}
