//! What a person with a browser gets in place of what was asked for: the way to the sign-in and
//! back, the page of a form that was refused, or one that says why.

use http::{Method, StatusCode};

use crate::auth::principal::Scheme;
use crate::config::SignIn;
use crate::console::link::LinkPages;
use crate::console::page::PageError;
use crate::console::refusal::{RefusedVisit, Way, page};
use crate::console::{Console, PageRequest};
use crate::dialect::delivery::Delivery;
use crate::dialect::{Answer, Contract, typed};

use crate::pipeline::gateway::Gateway;
use crate::pipeline::reason::Reason;
use crate::pipeline::record::RequestRecord;
use crate::pipeline::site::Site;

use super::challenge::Asker;

/// Sends a browser to the sign-in whose request was refused for want of a good credential, if
/// that is how people sign in there.
#[must_use]
pub fn lead_to_sign_in(site: &Site, record: &RequestRecord, reason: &Reason) -> Option<Answer> {
    let visit = &record.visit;
    let console = site.console.as_deref()?;
    let leads = match visit.by {
        Asker::Navigation => true,
        // Over plain http the cookie would not be kept.
        Asker::OldBrowser => visit.keeps_cookies(record.scheme),
        Asker::Program | Asker::Page => false,
    };
    let forgotten = match reason {
        Reason::CredentialMissing | Reason::AccessTokenRequired => Vec::new(),
        // By a cookie, for another credential leads nowhere: the browser is to forget it.
        Reason::CredentialRefused(Scheme::Bearer, _) => Delivery::Cookie.forget(),
        _ => return None,
    };
    if !leads || visit.credential {
        return None;
    }
    let target = &record.access.target;
    let is_get = [Method::GET, Method::HEAD].contains(&record.access.method);
    if is_console(record) {
        let answer = match &record.typed {
            None if is_get => Console::redirect(&console.sign_in(target.as_str())),
            typed => console.sign_in_from_form(typed.as_deref()),
        };
        return Some(answer.with(forgotten));
    }
    if site.challenges.sign_in(record.route?) != SignIn::Page {
        return None;
    }
    // What a form would have sent is not sent again: the browser goes where it came from.
    let from = visit.from.as_ref().map_or("/", |page| page.as_str());
    let return_to = if is_get { target.as_str() } else { from };
    Some(Console::redirect(&console.sign_in(return_to)).with(forgotten))
}

/// Whether a request is for an endpoint of the console.
#[must_use]
pub fn is_console(record: &RequestRecord) -> bool {
    record.dialect.as_ref().is_some_and(|dialect| dialect.contract() == Contract::Console)
}

/// The page of a link whose password was refused, for another one.
fn link_again(
    (gateway, site): (&Gateway, &Site),
    record: &RequestRecord,
    (status, code, message): (StatusCode, &'static str, &str),
) -> Option<Answer> {
    let link = record.link.as_deref().filter(|_| status == StatusCode::UNPROCESSABLE_ENTITY)?;
    let (account, kind) = gateway.core.read_link(link.expose()).ok()?;
    let error = PageError {
        status,
        code,
        message: message.to_owned(),
        advice: None,
        request_id: record.access.request_id.to_string(),
    };
    let pages = LinkPages::new(site.console.clone());
    let prefix = record.dialect.as_ref()?.prefix();
    Some(pages.show(prefix, (&account, kind, link), Some(&error)))
}

/// The page of a refusal.
pub(super) fn refuse(
    (gateway, site): (&Gateway, &Site),
    record: &RequestRecord,
    (status, code, message): (StatusCode, &'static str, &str),
    retry_after: Option<u64>,
) -> Answer {
    if let Some(again) = link_again((gateway, site), record, (status, code, message)) {
        return again;
    }
    let console = site.console.as_deref();
    let principal = record.access.principal.as_deref();
    let of_link = record.dialect.as_ref().is_some_and(|it| it.contract() == Contract::Links);
    let link = console.and_then(|console| {
        let is_get = [Method::GET, Method::HEAD].contains(&record.access.method);
        let here = || match record.typed.as_deref() {
            Some(typed) => console.way_back(typed, status == StatusCode::NOT_FOUND),
            None if is_get => record.access.target.as_str().to_owned(),
            None => "/".to_owned(),
        };
        // Where a sign-in on a page would not help, none is offered.
        let helps = record.route.is_none_or(|at| site.challenges.sign_in(at) == SignIn::Page);
        match status {
            StatusCode::UNAUTHORIZED if helps => Some((console.sign_in(&here()), Way::SignIn)),
            StatusCode::FORBIDDEN if helps && principal.is_some() => {
                Some((console.sign_in(&here()), Way::OtherAccount))
            }
            _ if of_link => Some((console.sign_in("/"), Way::SignIn)),
            _ => {
                let gone = status == StatusCode::NOT_FOUND;
                Some((console.way_back(record.typed.as_deref()?, gone), Way::Back))
            }
        }
    });
    let known = matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::NOT_FOUND
            | StatusCode::BAD_GATEWAY
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::MISDIRECTED_REQUEST
    ) && record.typed.is_none()
        && !of_link;
    let refused = RefusedVisit {
        status,
        code,
        // Where the words for the status say as much.
        message: if known { "" } else { message },
        retry_after,
        request_id: &record.access.request_id,
        account: principal.map(|principal| principal.account.as_ref()),
        link,
    };
    let again = console.zip(record.typed.as_deref()).and_then(|(console, typed)| {
        let asked = PageRequest {
            core: &gateway.core,
            observed: gateway,
            principal,
            typed: &[],
            query: None,
            parameters: &typed.parameters,
            keeps_cookies: true,
            basic: false,
            from_here: false,
        };
        let refused = RefusedVisit { message, link: None, ..refused.clone() };
        console.show_again(asked, typed, &refused.error(console.texts()))
    });
    again.unwrap_or_else(|| {
        let kept = record.typed.as_deref().and_then(typed::remember);
        page(console, &refused).with(kept.into_iter().collect())
    })
}
