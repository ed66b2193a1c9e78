//! The credential of a request, and into its record what becomes of it.

use std::sync::Arc;

use http::header::HeaderMap;

use crate::auth::Core;
use crate::auth::error::Refusal;
use crate::auth::principal::Principal;
use crate::config::schemes::Schemes;
use crate::pipeline::gateway::Gateway;
use crate::pipeline::reason::{Reason, Rejection};
use crate::pipeline::record::{BrowserSession, RequestRecord};
use crate::pipeline::site::Site;
use crate::pipeline::throttle::Caller;
use crate::telemetry::audit::{Actor, AuditRecord, Event, Outcome};

use super::{BrowserTokens, Presented, Proven, authenticate, presented};

/// The one credential of a request by these schemes, and into its record what becomes of
/// the fields.
pub fn read_credential<'a>(
    core: &Core,
    site: &Site,
    record: &mut RequestRecord,
    headers: &'a HeaderMap,
    schemes: Schemes,
    ticket: Option<&'a str>,
) -> Result<Presented<'a>, Rejection> {
    let schemes = site.given(schemes);
    let found = presented(core, headers, schemes, ticket)?;
    record.fields = found.fields;
    record.access.asked.presented = found.presented.scheme();
    Ok(found.presented)
}

/// Who is asking. Remembered for the log as soon as it is known.
pub async fn prove(
    gateway: &Gateway,
    record: &mut RequestRecord,
    caller: &Caller,
    presented: Presented<'_>,
) -> Result<Arc<Principal>, Rejection> {
    if let Presented::Cookie(BrowserTokens { renewal: Some(token), .. }) = presented {
        let session = BrowserSession { renewal: token.into(), renewed: None };
        record.session = Some(Box::new(session));
    }
    let (core, throttle) = (&gateway.core, &gateway.throttle);
    let proven = authenticate(core, throttle, caller, presented).await;
    let Proven { principal, renewed } = match proven {
        Ok(proven) => proven.ok_or(Reason::CredentialMissing)?,
        Err(rejection) => {
            audit_reuse(gateway, record, &rejection);
            return Err(rejection);
        }
    };
    if let Some(session) = &mut record.session {
        session.renewed = renewed;
    }
    record.access.principal = Some(Arc::clone(&principal));
    Ok(principal)
}

/// Tells that a browser's session has ended because its token came once too often.
fn audit_reuse(gateway: &Gateway, record: &RequestRecord, rejection: &Rejection) {
    let Reason::CredentialRefused(_, Refusal::RefreshReused) = rejection.reason else { return };
    gateway.sink.audit(AuditRecord {
        at: record.now(),
        event: Event::Refresh,
        outcome: Outcome::Refused,
        reason: rejection.reason.code(),
        account: record
            .session
            .as_ref()
            .and_then(|session| gateway.core.owner_of(session.renewal.expose())),
        actor: Actor::client(
            record.access.client,
            &record.access.request_id,
            Some("refresh-token"),
        ),
        detail: None,
    });
}
