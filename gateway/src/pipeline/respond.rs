//! From a rejection to what the client sees: the row of its reason in the shape that is
//! wanted, with the fields that tell what would be accepted instead, or when.

pub mod challenge;
pub mod page;
pub mod visit;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

use crate::auth::principal::Scheme;
use crate::dialect::{Answer, ClientError, Contract, Dialect};

use super::body::response::ResponseBody;
use super::connection::{Connection, Protocol};
use super::gateway::Gateway;
use super::grpc;
use super::rate_limit::retry_seconds;
use super::reason::rows::{Fate, GrpcStatus, Row};
use super::reason::{Reason, Rejection};
use super::record::RequestRecord;
use super::site::Site;

use challenge::Challenged;

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// As `Allow` lists them (RFC 9110 15.5.6 wants it with every 405).
const FORWARDED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// In which form a refusal is put.
#[derive(Clone, Copy)]
pub enum Shape<'a> {
    Dialect(Option<&'a dyn Dialect>),
    /// For a person with a browser.
    Page(&'a RequestRecord),
    /// Without a body, and the outcome in fields.
    Grpc(grpc::Form),
}

/// In which form an answer is wanted to a request that is refused.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// Whether it is a page that is wanted, of what has pages.
    pub wants_page: bool,
    pub grpc: Option<grpc::Form>,
}

impl Wanted {
    fn shape<'s>(self, site: &'s Site, record: &'s RequestRecord) -> Shape<'s> {
        if let Some(form) = self.grpc {
            return Shape::Grpc(form);
        }
        let path = record.access.target.path();
        let dialect = record.dialect.as_ref().or_else(|| site.dialects.shape(path));
        // Of the contracts' own paths every refusal has the contract's form.
        let owner = record.dialect.as_ref().map(|dialect| dialect.contract());
        let is_page = match owner.or_else(|| site.dialects.owner(path)) {
            None | Some(Contract::Console) => record.visit.by.is_person(),
            Some(Contract::Links) => self.wants_page,
            Some(_) => false,
        };
        if is_page { Shape::Page(record) } else { Shape::Dialect(dialect.map(AsRef::as_ref)) }
    }
}

/// Whether a client would rather have a page than an object: a browser that navigates.
#[must_use]
pub fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.starts_with("text/html"))
}

/// The answer to a request that did not get through.
pub fn reject(
    (gateway, site): (&Gateway, &Site),
    connection: &Connection,
    record: &RequestRecord,
    rejection: &Rejection,
    wanted: Wanted,
) -> Response<ResponseBody> {
    let row = rejection.reason.row();
    let message = message(&rejection.reason, &row);
    if let Some(way) = page::lead_to_sign_in(site, record, &rejection.reason) {
        return own_answer(way);
    }
    let mut response = match wanted.shape(site, record) {
        Shape::Grpc(form) => grpc_answer(form, row.grpc, message),
        Shape::Page(record) => own_answer(page::refuse(
            (gateway, site),
            record,
            (row.status, row.code, message),
            row.wait.map(retry_seconds),
        )),
        Shape::Dialect(dialect) => {
            let body = dialect.map_or_else(Vec::new, |dialect| {
                dialect.refusal(&ClientError {
                    code: row.code,
                    message,
                    kind: row.kind,
                    at: gateway.core.clock().now(),
                })
            });
            own_answer(Answer { status: row.status, body, fields: Vec::new() })
        }
    };
    let headers = response.headers_mut();
    add_fields((gateway, site), (&rejection.reason, &row), record, headers);
    if row.fate == Fate::Close && connection.protocol == Protocol::Http1 {
        close(response.headers_mut());
    }
    response
}

/// Says that a connection of HTTP/1 closes behind the answer.
pub fn close(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// Whether an answer of ours says so.
#[must_use]
pub fn closes(headers: &HeaderMap) -> bool {
    headers.get(header::CONNECTION).is_some_and(|value| value == "close")
}

fn message<'a>(reason: &'a Reason, row: &Row) -> &'a str {
    match reason {
        Reason::BodyMalformed(words) => words,
        _ => row.message,
    }
}

/// An answer of the gateway itself: JSON, and never cached, unless it says otherwise.
#[must_use]
pub fn own_answer(answer: Answer) -> Response<ResponseBody> {
    let typed = !answer.body.is_empty();
    let mut response = Response::new(ResponseBody::full(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    for (name, value) in answer.fields {
        headers.append(name, value);
    }
    if typed && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The answer to a preflight; its fields say what is allowed.
#[must_use]
pub fn preflight() -> Response<ResponseBody> {
    own_answer(Answer { status: StatusCode::NO_CONTENT, body: Vec::new(), fields: Vec::new() })
}

/// What HEAD gets (RFC 9110 9.3.2). hyper leaves the body out over HTTP/1 only.
pub fn leave_out_body(response: &mut Response<ResponseBody>) {
    if let Some(length) = response.body_mut().leave_out() {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn grpc_answer(form: grpc::Form, status: GrpcStatus, message: &str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    headers.insert(GRPC_STATUS, HeaderValue::from(status as u16));
    if let Ok(message) = HeaderValue::from_str(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

fn add_fields(
    (gateway, site): (&Gateway, &Site),
    (reason, row): (&Reason, &Row),
    record: &RequestRecord,
    headers: &mut HeaderMap,
) {
    add_way_out(reason, row, headers);
    match reason {
        Reason::RateLimited { retry_after, policy } => {
            let (seconds, window) = (retry_seconds(*retry_after), policy.window_seconds.into());
            add_limit(headers, policy.name, policy.burst, window, seconds);
        }
        Reason::LockedOut { retry_after } => {
            let limit = site.attempts.failures;
            let seconds = retry_seconds(*retry_after);
            add_limit(headers, "attempts", limit.attempts, limit.window.0, seconds);
        }
        Reason::RegistrationsOverLimit { retry_after } => {
            let limit = gateway.core.policy().registrations;
            let seconds = retry_seconds(*retry_after);
            add_limit(headers, "registrations", limit.attempts - 1, limit.window.0, seconds);
        }
        _ => {}
    }
    if row.status == StatusCode::UNAUTHORIZED {
        let refused = match reason {
            Reason::CredentialRefused(Scheme::Bearer, _) => challenge::Refused::Token,
            _ => challenge::Refused::Other,
        };
        let challenged = Challenged {
            asker: record.visit.by,
            route: record.route,
            path: record.access.target.path(),
            refused,
            by_basic: record.visit.basic,
            has_page: page::is_console(record),
            keeps_cookies: record.visit.keeps_cookies(record.scheme),
        };
        site.challenges.add(headers, challenged);
    }
}

/// What would be accepted instead, or when.
fn add_way_out(reason: &Reason, row: &Row, headers: &mut HeaderMap) {
    if let Some(wait) = row.wait {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_seconds(wait)));
    }
    match reason {
        // Before anybody knows the resource: what may pass on any route.
        Reason::MethodRefused => {
            headers.insert(header::ALLOW, HeaderValue::from_static(FORWARDED_METHODS));
        }
        Reason::MethodNotAllowed { allow } => {
            if let Ok(allow) = HeaderValue::from_str(allow) {
                headers.insert(header::ALLOW, allow);
            }
        }
        _ => {}
    }
}

/// The RateLimit fields of draft-ietf-httpapi-ratelimit-headers-11.
fn add_limit(headers: &mut HeaderMap, name: &str, quota: u32, window: u64, wait: u64) {
    let policy = format!("\"{name}\";q={quota};w={window}");
    let state = format!("\"{name}\";r=0;t={wait}");
    if let (Ok(policy), Ok(state)) = (policy.parse(), state.parse()) {
        headers.insert(RATE_LIMIT_POLICY, policy);
        headers.insert(RATE_LIMIT, state);
    }
}

#[cfg(test)]
mod tests;
