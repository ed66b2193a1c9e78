//! From clients to upstreams and back: bodies, fields, failures, and the
//! connections in between.

mod bodies;
mod caching;
mod connections;
mod failures;
mod fields;
mod going_away;
mod grpc;
mod host;
mod interim;
mod limits;
mod messages;
mod methods;
mod names;
mod permission;
mod shares;
mod streaming;
mod switching;
mod targets;
mod trust;

/// One test for each way through the gateway: the client's protocol, then the
/// upstream's.
macro_rules! on_every_way {
    ($($fact:ident),+ $(,)?) => {$(
        mod $fact {
            use crate::support::client::Protocol;
            use crate::support::upstream::Kind;

            #[tokio::test]
            async fn from_http1_to_http1() {
                super::$fact(Protocol::Http1, Kind::Http1).await;
            }

            #[tokio::test]
            async fn from_http2_to_http1() {
                super::$fact(Protocol::Http2, Kind::Http1).await;
            }

            #[tokio::test]
            async fn from_http1_to_h2c() {
                super::$fact(Protocol::Http1, Kind::H2c).await;
            }

            #[tokio::test]
            async fn from_http2_to_h2c() {
                super::$fact(Protocol::Http2, Kind::H2c).await;
            }

            #[tokio::test]
            async fn from_http1_to_https() {
                super::$fact(Protocol::Http1, Kind::TlsHttp1).await;
            }

            #[tokio::test]
            async fn from_http2_to_http2_over_tls() {
                super::$fact(Protocol::Http2, Kind::TlsHttp2).await;
            }
        }
    )+};
}
use on_every_way;

/// A configuration with one public route for everything, which may say `more`.
fn public_route(upstream: &str, more: &str) -> String {
    format!("{upstream}\n[[route]]\npublic = true\nupstream = \"app\"\n{more}\n")
}
