//! The gateway's own endpoints: decode, perform, encode.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, Response, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::auth::ports::Source;
use crate::auth::principal::Principal;
use crate::dialect::{self, Attempt, DecodeError, Dialect, Endpoint};

use super::Gateway;
use super::body::{BodyError, RequestBody, ResponseBody};
use super::reason::{Reason, Rejection, Tried};
use super::record::RequestRecord;
use super::respond::own_answer;

/// No body of the auth API needs more.
const MAX_BODY_BYTES: u64 = 64 * 1024;
/// For the whole of such a body.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// Serves one of our endpoints for a caller that was admitted to it.
///
/// # Errors
/// Why there is no outcome.
pub async fn serve(
    gateway: &Arc<Gateway>,
    record: &mut RequestRecord,
    (endpoint, dialect): (&'static Endpoint, &Arc<dyn Dialect>),
    source: Source,
    headers: &HeaderMap,
    body: Incoming,
    principal: Option<&Arc<Principal>>,
) -> Result<Response<ResponseBody>, Rejection> {
    if endpoint.attempt != Attempt::None {
        // Before the body is read: a locked-out address is told at once.
        gateway.throttle.check(source)?;
    }
    let body = collect(gateway, record, body).await?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let command =
        dialect.decode(endpoint.operation, content_type, &body).map_err(|error| match error {
            DecodeError::MediaType => Reason::MediaType,
            DecodeError::Malformed(words) => Reason::BodyMalformed(words),
        })?;
    let work = {
        let (gateway, dialect) = (Arc::clone(gateway), Arc::clone(dialect));
        let principal = principal.map(Arc::clone);
        async move {
            let caller = principal.as_deref();
            let health = || gateway.health();
            dialect::perform(&gateway.core, dialect.as_ref(), command, caller, health).await
        }
    };
    let outcome = match endpoint.attempt {
        Attempt::Password => gateway.throttle.attempt(source, Tried::Password, work).await?,
        Attempt::RefreshToken => {
            gateway.throttle.attempt(source, Tried::RefreshToken, work).await?
        }
        Attempt::None => {
            work.await.map_err(|error| Rejection::from_core(error, Tried::Password))?
        }
    };
    Ok(own_answer(dialect.encode(outcome)))
}

async fn collect(
    gateway: &Gateway,
    record: &mut RequestRecord,
    incoming: Incoming,
) -> Result<BytesMut, Rejection> {
    let window = gateway.timeouts.body_progress;
    let mut body = RequestBody::new(incoming, Some(MAX_BODY_BYTES), window, None)
        .map_err(|error| Rejection::from(reason_of(error)))?;
    record.body = Some(body.progress());
    let expected = usize::try_from(body.size_hint().lower().min(MAX_BODY_BYTES)).unwrap_or(0);
    let mut collected = BytesMut::with_capacity(expected);
    let read = async {
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame?.data_ref() {
                collected.extend_from_slice(data);
            }
        }
        Ok(())
    };
    match tokio::time::timeout(BODY_DEADLINE, read).await {
        Ok(Ok(())) => Ok(collected),
        Ok(Err(error)) => Err(reason_of(error).into()),
        Err(_) => Err(Reason::BodyStalled.into()),
    }
}

/// What a body's failure means for its request.
#[must_use]
pub fn reason_of(error: BodyError) -> Reason {
    match error {
        BodyError::TooLarge => Reason::BodyTooLarge,
        BodyError::Stalled => Reason::BodyStalled,
        BodyError::Broken => Reason::BodyBroken,
        BodyError::UpstreamBroken | BodyError::CredentialEnded => Reason::UpstreamClosed,
    }
}
