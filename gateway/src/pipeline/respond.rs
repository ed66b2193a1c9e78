//! From a rejection to what the client sees: status, code, words, fields and the
//! connection's fate, chosen together and nowhere else.
//!
//! Unknown user and wrong password are one answer here and two reasons in the
//! log. Nothing a client sent is repeated to it.

pub mod challenge;
pub mod page;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

use crate::auth::error::{Entity, Name, Refusal as AuthRefusal};
use crate::auth::federation::FederationError;
use crate::auth::principal::Scheme;
use crate::dialect::{Answer, ClientError, Contract, Dialect, ErrorKind};

use super::admit::retry_seconds;
use super::body::ResponseBody;
use super::connection::{Connection, Protocol};
use super::gateway::Gateway;
use super::grpc;
use super::reason::{FramingFault, Reason, Rejection};
use super::record::RequestRecord;
use super::site::Site;

use challenge::Challenged;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
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

/// What becomes of the connection after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    /// What follows on it cannot be trusted, or is a body nobody wants.
    Close,
}

struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    fate: Fate,
}

/// gRPC status numbers (grpc/status.h).
const GRPC_INVALID_ARGUMENT: u8 = 3;
const GRPC_DEADLINE_EXCEEDED: u8 = 4;
const GRPC_PERMISSION_DENIED: u8 = 7;
const GRPC_RESOURCE_EXHAUSTED: u8 = 8;
const GRPC_UNIMPLEMENTED: u8 = 12;
const GRPC_INTERNAL: u8 = 13;
const GRPC_UNAVAILABLE: u8 = 14;
const GRPC_UNAUTHENTICATED: u8 = 16;

/// The one table of refusals.
#[expect(clippy::too_many_lines, reason = "one row for each reason")]
fn refusal(reason: &Reason) -> Refusal {
    use StatusCode as S;
    let close = |status, code, message| Refusal { status, code, message, fate: Fate::Close };
    match reason {
        Reason::Framing(fault) => framing_refusal(*fault),
        Reason::HostMissing | Reason::HostMalformed | Reason::HostMismatch => {
            close(S::BAD_REQUEST, "BAD_REQUEST", "The request must name exactly one valid host")
        }
        Reason::TargetMalformed => {
            close(S::BAD_REQUEST, "BAD_REQUEST", "The request target is malformed")
        }
        Reason::MethodRefused => {
            close(S::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "This method is not supported")
        }
        Reason::MethodMalformed => close(S::BAD_REQUEST, "BAD_REQUEST", "The method is malformed"),
        Reason::PathAmbiguous => keep(
            S::BAD_REQUEST,
            "BAD_REQUEST",
            "The path could be read in more than one way; send it without encoded slashes, dot segments, empty segments or semicolons",
        ),
        Reason::UpgradeMalformed => {
            close(S::BAD_REQUEST, "BAD_REQUEST", "The WebSocket handshake is malformed")
        }
        Reason::Misdirected => keep(
            S::MISDIRECTED_REQUEST,
            "MISDIRECTED_REQUEST",
            "The request is for another host than the TLS connection",
        ),
        Reason::BodyTooLarge => {
            close(S::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", "The body is too large")
        }
        Reason::BodyStalled => {
            close(S::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "The body came too slowly")
        }
        Reason::BodyBroken => close(S::BAD_REQUEST, "BAD_REQUEST", "The body is malformed"),
        Reason::RateLimited { .. } => {
            keep(S::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", "Too many requests")
        }
        Reason::LockedOut { .. } | Reason::AttemptsQueued | Reason::UserAttemptsQueued { .. } => {
            keep(
                S::TOO_MANY_REQUESTS,
                "TOO_MANY_ATTEMPTS",
                "Too many failed attempts; try again later",
            )
        }
        Reason::RegistrationsOverLimit { .. } => keep(
            S::TOO_MANY_REQUESTS,
            "TOO_MANY_REQUESTS",
            "Too many registrations; try again later",
        ),
        Reason::ConnectionsOverAddressLimit => keep(
            S::TOO_MANY_REQUESTS,
            "TOO_MANY_REQUESTS",
            "Too many requests of your address are under way",
        ),
        Reason::RequestsOverAddressLimit => {
            keep(S::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", "Too many requests are under way")
        }
        Reason::AgentsOverAddressLimit => keep(
            S::TOO_MANY_REQUESTS,
            "TOO_MANY_REQUESTS",
            "Too many connections have not said who they are",
        ),
        Reason::StreamsOverLimit => keep(
            S::TOO_MANY_REQUESTS,
            "TOO_MANY_REQUESTS",
            "Too many of your WebSockets and event streams are open",
        ),
        Reason::AgentsOverBound(_) => keep(
            S::TOO_MANY_REQUESTS,
            "TOO_MANY_REQUESTS",
            "Too many agents of this server, key or owner are connected",
        ),
        // Told over the WebSocket, by a close code.
        Reason::FirstMessage(_) => {
            close(S::BAD_REQUEST, "BAD_REQUEST", "The first message is not acceptable")
        }
        Reason::CredentialMissing | Reason::NotASession => {
            keep(S::UNAUTHORIZED, "AUTHENTICATION_REQUIRED", "Authentication required")
        }
        Reason::CredentialsConflict => {
            keep(S::BAD_REQUEST, "BAD_REQUEST", "Send one credential, not several")
        }
        Reason::CredentialRefused(Scheme::Bearer, _) => {
            keep(S::UNAUTHORIZED, "INVALID_TOKEN", "Invalid or expired token")
        }
        Reason::RefreshTokenRefused(_) => {
            keep(S::UNAUTHORIZED, "INVALID_REFRESH_TOKEN", "Invalid or expired refresh token")
        }
        // Which half was wrong is for the log only.
        Reason::CredentialRefused(Scheme::Basic | Scheme::ApiKey | Scheme::Ticket, _)
        | Reason::PasswordRefused(_) => {
            keep(S::UNAUTHORIZED, "INVALID_CREDENTIALS", "Invalid credentials")
        }
        Reason::NotForKeys => keep(S::FORBIDDEN, "FORBIDDEN", "An API key cannot be used for this"),
        Reason::KeyBoundToServer => keep(
            S::FORBIDDEN,
            "FORBIDDEN",
            "A key that is bound to a server cannot be used for this",
        ),
        Reason::KeyNotBound => keep(
            S::FORBIDDEN,
            "FORBIDDEN",
            "Only a key that is bound to a server can be used for this",
        ),
        Reason::RoleMissing | Reason::ScopeMissing => {
            keep(S::FORBIDDEN, "FORBIDDEN", "You are not allowed to do this")
        }
        Reason::AdminNetwork => keep(
            S::FORBIDDEN,
            "FORBIDDEN",
            "The admin API is not open to your address (admin.networks)",
        ),
        Reason::MethodNotAllowed { .. } => {
            keep(S::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Method not allowed")
        }
        Reason::MediaType => keep(
            S::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "Send the body in the content type that is documented",
        ),
        Reason::BodyMalformed(_) => keep(S::BAD_REQUEST, "BAD_REQUEST", "The body is malformed"),
        Reason::PasswordUnacceptable(rule) => {
            keep(S::UNPROCESSABLE_ENTITY, "PASSWORD_NOT_ACCEPTABLE", rule.rule())
        }
        Reason::NameUnacceptable(name) => name_refusal(*name),
        Reason::Taken(Name::Email) => {
            keep(S::CONFLICT, "EMAIL_ALREADY_EXISTS", "An account with this e-mail address exists")
        }
        Reason::Taken(_) => {
            keep(S::CONFLICT, "USERNAME_ALREADY_EXISTS", "An account with this user name exists")
        }
        Reason::Unknown(entity) => missing_refusal(*entity),
        Reason::TooMany(_) => {
            keep(S::CONFLICT, "LIMIT_REACHED", "There are as many of these as one may have")
        }
        Reason::TimePassed => {
            keep(S::UNPROCESSABLE_ENTITY, "TIME_PASSED", "The time of expiry must be in the future")
        }
        Reason::RegistrationClosed => {
            keep(S::FORBIDDEN, "REGISTRATION_CLOSED", "Registration is closed here")
        }
        Reason::LocalAccountsDisabled => {
            keep(S::FORBIDDEN, "LOCAL_AUTH_DISABLED", "Signing in with a password is disabled here")
        }
        Reason::LastAdministrator => {
            keep(S::CONFLICT, "LAST_ADMIN", "Somebody must remain to administer the gateway")
        }
        Reason::LinksDisabled => keep(S::NOT_FOUND, "LINKS_DISABLED", "Links are not set up here"),
        Reason::LinkRefused(_) => keep(
            S::NOT_FOUND,
            "LINK_NOT_GOOD",
            "This link has expired or was followed already; ask for a new one",
        ),
        Reason::GithubDisabled => {
            keep(S::NOT_FOUND, "GITHUB_DISABLED", "Signing in with GitHub is not set up here")
        }
        Reason::GithubRefused(error) => github_refusal(error),
        Reason::CrossSite => {
            keep(S::FORBIDDEN, "CSRF", "The request does not come from a page of this site")
        }
        Reason::PreflightRefused => {
            keep(S::FORBIDDEN, "CORS", "Pages of this origin may not send this request")
        }
        Reason::RouteUnknown => keep(S::NOT_FOUND, "NOT_FOUND", "Not found"),
        Reason::UpstreamConnect
        | Reason::UpstreamTls
        | Reason::UpstreamClientCertificate
        | Reason::UpstreamNoHttp2
        | Reason::UpstreamNoUpgrade
        | Reason::UpstreamClosed
        | Reason::UpstreamProtocol
        | Reason::UpstreamUpgrade => {
            keep(S::BAD_GATEWAY, "BAD_GATEWAY", "The service behind the gateway did not answer")
        }
        Reason::UpstreamConnectTimeout | Reason::UpstreamTimeout => keep(
            S::GATEWAY_TIMEOUT,
            "GATEWAY_TIMEOUT",
            "The service behind the gateway took too long",
        ),
        Reason::UpstreamSaturated => keep(
            S::SERVICE_UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            "The service behind the gateway is busy",
        ),
        Reason::UpstreamShareTaken => keep(
            S::SERVICE_UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            "Too many of your requests to this service are still under way",
        ),
        Reason::HasherBusy
        | Reason::MailBusy
        | Reason::AgentsOverLimit
        | Reason::StoreBusy
        | Reason::StoreUnavailable
        | Reason::Stopping => keep(
            S::SERVICE_UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            "The gateway cannot do this now; try again shortly",
        ),
        Reason::HeldNotStored => keep(
            S::SERVICE_UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            "It has ended here and could not be stored yet; try again shortly",
        ),
        Reason::Internal => close(S::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error"),
    }
}

/// What a request gets that ends by this reason.
#[must_use]
pub fn status(reason: &Reason) -> StatusCode {
    refusal(reason).status
}

/// How the API's bodies name it, in the `status` contract's form.
#[must_use]
pub fn error_code(reason: &Reason) -> &'static str {
    refusal(reason).code
}

/// As contracts know it that word some refusals in a way of their own.
fn kind(reason: &Reason) -> ErrorKind {
    match reason {
        Reason::CredentialRefused(Scheme::Bearer, _) => ErrorKind::TokenRefused,
        Reason::PasswordRefused(AuthRefusal::UserUnknown) => ErrorKind::UnknownUser,
        Reason::RegistrationClosed => ErrorKind::RegistrationClosed,
        _ => ErrorKind::Other,
    }
}

/// A refusal that leaves the connection as it is.
fn keep(status: StatusCode, code: &'static str, message: &'static str) -> Refusal {
    Refusal { status, code, message, fate: Fate::Keep }
}

fn name_refusal(name: Name) -> Refusal {
    let code = match name {
        Name::User => "USERNAME_NOT_ACCEPTABLE",
        Name::Email => "EMAIL_NOT_ACCEPTABLE",
        Name::Person | Name::Label => "NAME_NOT_ACCEPTABLE",
        Name::Role => "ROLE_NOT_ACCEPTABLE",
        Name::Scope => "SCOPE_NOT_ACCEPTABLE",
    };
    keep(StatusCode::UNPROCESSABLE_ENTITY, code, name.rule())
}

fn missing_refusal(entity: Entity) -> Refusal {
    let (code, message) = match entity {
        Entity::Account => ("USER_NOT_FOUND", "User not found"),
        Entity::Key => ("KEY_NOT_FOUND", "API key not found"),
        Entity::Server => ("SERVER_NOT_FOUND", "Server not found"),
        Entity::Session => ("SESSION_NOT_FOUND", "Session not found"),
        Entity::Workspace => ("WORKSPACE_NOT_FOUND", "Workspace not found"),
        Entity::Member => ("MEMBER_NOT_FOUND", "Member not found"),
        Entity::Lockout => ("LOCKOUT_NOT_FOUND", "Lockout not found"),
        Entity::Email => ("EMAIL_NOT_FOUND", "The user has no e-mail address"),
    };
    keep(StatusCode::NOT_FOUND, code, message)
}

fn github_refusal(error: &FederationError) -> Refusal {
    use StatusCode as S;
    match error {
        FederationError::CodeRefused => {
            keep(S::UNAUTHORIZED, "GITHUB_CODE_REFUSED", "GitHub did not accept the code")
        }
        FederationError::NotAllowed => keep(
            S::FORBIDDEN,
            "GITHUB_NOT_ALLOWED",
            "The GitHub account is in none of the organisations that are let in",
        ),
        FederationError::EmailUnverified => keep(
            S::FORBIDDEN,
            "GITHUB_EMAIL_UNVERIFIED",
            "The GitHub account has no verified primary e-mail address",
        ),
        FederationError::Timeout => {
            keep(S::GATEWAY_TIMEOUT, "GITHUB_TIMEOUT", "GitHub took too long")
        }
        FederationError::Unavailable(_) | FederationError::Nonsense(_) => {
            keep(S::BAD_GATEWAY, "GITHUB_UNAVAILABLE", "GitHub did not answer as it should")
        }
    }
}

fn framing_refusal(fault: FramingFault) -> Refusal {
    use StatusCode as S;
    let (status, code, message) = match fault {
        FramingFault::UriTooLong => (S::URI_TOO_LONG, "URI_TOO_LONG", "The target is too long"),
        FramingFault::HeadTooLarge | FramingFault::FieldCount => (
            S::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "HEADERS_TOO_LARGE",
            "The header section is too large",
        ),
        FramingFault::TargetOctet => (
            S::BAD_REQUEST,
            "BAD_REQUEST",
            "The request target holds an octet that has to be percent-encoded",
        ),
        FramingFault::HeadTimeout => {
            (S::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "The request came too slowly")
        }
        FramingFault::TransferCodingUnknown => {
            (S::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "No transfer coding but chunked is supported")
        }
        FramingFault::Version => (
            S::HTTP_VERSION_NOT_SUPPORTED,
            "BAD_REQUEST",
            "Only HTTP/1.0, HTTP/1.1 and HTTP/2 are supported",
        ),
        FramingFault::RequestLine
        | FramingFault::StatusLine
        | FramingFault::Unexpected
        | FramingFault::MethodTooLong
        | FramingFault::LineEnding
        | FramingFault::Field
        | FramingFault::ContentLength
        | FramingFault::TransferCoding
        | FramingFault::LengthAndCoding
        | FramingFault::Chunk
        | FramingFault::Trailer => (S::BAD_REQUEST, "BAD_REQUEST", "The request is malformed"),
    };
    Refusal { status, code, message, fate: Fate::Close }
}

fn grpc_status(status: StatusCode) -> u8 {
    match status {
        StatusCode::UNAUTHORIZED => GRPC_UNAUTHENTICATED,
        StatusCode::FORBIDDEN => GRPC_PERMISSION_DENIED,
        StatusCode::REQUEST_TIMEOUT => GRPC_DEADLINE_EXCEEDED,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYLOAD_TOO_LARGE => GRPC_RESOURCE_EXHAUSTED,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => GRPC_UNIMPLEMENTED,
        StatusCode::INTERNAL_SERVER_ERROR => GRPC_INTERNAL,
        status if status.is_server_error() => GRPC_UNAVAILABLE,
        _ => GRPC_INVALID_ARGUMENT,
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
    let refusal = refusal(&rejection.reason);
    let message = message(&rejection.reason, &refusal);
    if let Some(way) = page::lead_to_sign_in(site, record, &rejection.reason) {
        return own_answer(way);
    }
    let mut response = match wanted.shape(site, record) {
        Shape::Grpc(form) => grpc_answer(form, refusal.status, message),
        Shape::Page(record) => own_answer(page::refuse(
            (gateway, site),
            record,
            (refusal.status, refusal.code, message),
            wait(&rejection.reason),
        )),
        Shape::Dialect(dialect) => {
            let body = dialect.map_or_else(Vec::new, |dialect| {
                dialect.refusal(&ClientError {
                    code: refusal.code,
                    message,
                    kind: kind(&rejection.reason),
                    at: gateway.core.clock().now(),
                })
            });
            own_answer(Answer { status: refusal.status, body, fields: Vec::new() })
        }
    };
    let headers = response.headers_mut();
    add_fields((gateway, site), &rejection.reason, (record, refusal.status), headers);
    if refusal.fate == Fate::Close && connection.protocol == Protocol::Http1 {
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

fn message<'a>(reason: &'a Reason, refusal: &Refusal) -> &'a str {
    match reason {
        Reason::BodyMalformed(words) => words,
        _ => refusal.message,
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

fn grpc_answer(form: grpc::Form, status: StatusCode, message: &str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(grpc_status(status))));
    if let Ok(message) = HeaderValue::from_str(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

fn add_fields(
    (gateway, site): (&Gateway, &Site),
    reason: &Reason,
    (record, status): (&RequestRecord, StatusCode),
    headers: &mut HeaderMap,
) {
    match reason {
        Reason::RateLimited { retry_after, policy } => {
            let (seconds, window) = (retry_seconds(*retry_after), policy.window_seconds.into());
            add_limit(headers, policy.name, policy.burst, window, seconds);
        }
        Reason::LockedOut { retry_after } => {
            let limit = gateway.throttle.limit();
            let seconds = retry_seconds(*retry_after);
            add_limit(headers, "attempts", limit.attempts, limit.window.0, seconds);
        }
        Reason::RegistrationsOverLimit { retry_after } => {
            let limit = gateway.core.policy().registrations;
            let seconds = retry_seconds(*retry_after);
            add_limit(headers, "registrations", limit.attempts - 1, limit.window.0, seconds);
        }
        other => add_way_out(other, headers),
    }
    if status == StatusCode::UNAUTHORIZED {
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
fn add_way_out(reason: &Reason, headers: &mut HeaderMap) {
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
        Reason::UserAttemptsQueued { retry_after } => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_seconds(*retry_after)));
        }
        Reason::AttemptsQueued
        | Reason::HasherBusy
        | Reason::MailBusy
        | Reason::ConnectionsOverAddressLimit
        | Reason::RequestsOverAddressLimit
        | Reason::AgentsOverLimit
        | Reason::AgentsOverAddressLimit
        | Reason::StreamsOverLimit
        | Reason::AgentsOverBound(_)
        | Reason::StoreBusy
        | Reason::StoreUnavailable
        | Reason::HeldNotStored
        | Reason::UpstreamSaturated
        | Reason::UpstreamShareTaken => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
}

/// For how many seconds it is of no use to try again, where that is known.
fn wait(reason: &Reason) -> Option<u64> {
    match reason {
        Reason::RateLimited { retry_after, .. }
        | Reason::LockedOut { retry_after }
        | Reason::RegistrationsOverLimit { retry_after }
        | Reason::UserAttemptsQueued { retry_after } => Some(retry_seconds(*retry_after)),
        _ => {
            let mut headers = HeaderMap::new();
            add_way_out(reason, &mut headers);
            headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
        }
    }
}

/// `Retry-After` and the RateLimit fields of draft-ietf-httpapi-ratelimit-headers-11.
fn add_limit(headers: &mut HeaderMap, name: &str, quota: u32, window: u64, wait: u64) {
    headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
    let policy = format!("\"{name}\";q={quota};w={window}");
    let state = format!("\"{name}\";r=0;t={wait}");
    if let (Ok(policy), Ok(state)) = (policy.parse(), state.parse()) {
        headers.insert(RATE_LIMIT_POLICY, policy);
        headers.insert(RATE_LIMIT, state);
    }
}

#[cfg(test)]
mod tests;
