//! The gateway's own endpoints: decode, perform, encode.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, Response, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::auth::account::{Account, canonical_name};
use crate::auth::error::Error;
use crate::auth::principal::Principal;
use crate::dialect::{self, Attempt, Command, DecodeError, Dialect, Endpoint};
use crate::telemetry::audit::{Actor, AuditRecord, Event, Outcome};

use super::Gateway;
use super::body::{BodyError, RequestBody, ResponseBody};
use super::reason::{Reason, Rejection, Tried};
use super::record::RequestRecord;
use super::respond::own_answer;
use super::throttle::Caller;

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
    caller: &Caller,
    headers: &HeaderMap,
    body: Incoming,
    principal: Option<&Arc<Principal>>,
) -> Result<Response<ResponseBody>, Rejection> {
    if endpoint.attempt != Attempt::None {
        // Before the body is read: a locked-out address is told at once.
        gateway.throttle.check(caller.source)?;
    }
    let body = collect(gateway, record, body).await?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let command =
        dialect.decode(endpoint.operation, content_type, &body).map_err(|error| match error {
            DecodeError::MediaType => Reason::MediaType,
            DecodeError::Malformed(words) => Reason::BodyMalformed(words),
        })?;
    let entry = Entry::of(gateway, &command, caller, principal);
    let name = match &command {
        Command::Login { name, .. } => Some(name.clone()),
        _ => principal.map(|principal| principal.account.username.as_str().to_owned()),
    };
    let tried = match endpoint.attempt {
        Attempt::RefreshToken => Tried::RefreshToken,
        Attempt::Password | Attempt::None => Tried::Password,
    };
    let work = {
        let (gateway, dialect) = (Arc::clone(gateway), Arc::clone(dialect));
        let principal = principal.map(Arc::clone);
        async move {
            let principal = principal.as_deref();
            let health = || gateway.health();
            let outcome =
                dialect::perform(&gateway.core, dialect.as_ref(), command, principal, health).await;
            // Here, where an attempt is finished whether or not its client waits for it.
            if let Some(entry) = entry {
                entry.write(&gateway, outcome.as_ref().err(), tried);
            }
            outcome
        }
    };
    let throttle = &gateway.throttle;
    let outcome = match endpoint.attempt {
        Attempt::Password => throttle.attempt(caller, name.as_deref(), tried, work).await?,
        Attempt::RefreshToken => throttle.attempt(caller, None, tried, work).await?,
        Attempt::None => work.await.map_err(|error| Rejection::from_core(error, tried))?,
    };
    Ok(own_answer(dialect.encode(outcome)))
}

/// A line of the audit log, before its outcome is known.
struct Entry {
    event: Event,
    account: Option<Arc<Account>>,
    actor: Actor,
}

impl Entry {
    /// `None` for what changes nothing.
    fn of(
        gateway: &Gateway,
        command: &Command,
        caller: &Caller,
        principal: Option<&Arc<Principal>>,
    ) -> Option<Self> {
        let core = &gateway.core;
        let own = || principal.map(|principal| Arc::clone(&principal.account));
        let (event, account, credential) = match command {
            Command::Login { name, .. } => {
                let account = core.standing().account_by_name(&canonical_name(name));
                (Event::Login, account, Some("password"))
            }
            Command::Refresh { token } => {
                (Event::Refresh, core.owner_of(token.expose()), Some("refresh-token"))
            }
            Command::Logout => (Event::Logout, own(), None),
            Command::ChangePassword { .. } => (Event::PasswordChange, own(), None),
            Command::IssueTicket => (Event::WsToken, own(), None),
            Command::Health => return None,
        };
        let actor = Actor::Client {
            address: caller.client,
            request_id: Arc::clone(&caller.request_id),
            credential: credential.or(principal.map(|principal| principal.scheme().as_str())),
            session: principal.and_then(|principal| principal.session()).map(|session| session.0),
        };
        Some(Self { event, account, actor })
    }

    fn write(self, gateway: &Gateway, error: Option<&Error>, tried: Tried) {
        let outcome = match error {
            None => Outcome::Success,
            // Nothing was tried; a flood of these belongs in the access log.
            Some(Error::HasherBusy) => return,
            Some(Error::Store(_)) => Outcome::Failed,
            Some(_) => Outcome::Refused,
        };
        let rejection = error.map(|error| Rejection::from_core(error.clone(), tried));
        gateway.sink.audit(AuditRecord {
            at: gateway.core.clock().now(),
            event: self.event,
            outcome,
            reason: rejection.map_or("ok", |rejection| rejection.reason.code()),
            account: self.account,
            actor: self.actor,
            detail: None,
        });
    }
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
