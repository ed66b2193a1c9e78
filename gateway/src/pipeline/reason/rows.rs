//! One row for each reason: the response's status, code and message, the connection's fate,
//! gRPC's status, the counter that is incremented, and when to try again.
//!
//! Unknown user and wrong password are one row here and two reasons in the log. Nothing a
//! client sent is repeated to it.

use std::time::Duration;

use http::StatusCode;

use crate::auth::error::{Entity, Name, Refusal};
use crate::auth::federation::FederationError;
use crate::auth::principal::Scheme;
use crate::dialect::ErrorKind;
use crate::pipeline::agent::first_message::Fault;
use crate::pipeline::bounds::agent_bound::AgentBound;
use crate::telemetry::counters::{Counter, Counters};

use super::{FramingFault, Reason};

/// The response to a request that is refused for a reason, and the counter of the reason.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub status: StatusCode,
    /// Stable, as the API's bodies name it.
    pub code: &'static str,
    /// Words for the client.
    pub message: &'static str,
    pub fate: Fate,
    pub grpc: GrpcStatus,
    pub counter: Option<fn(&Counters) -> &Counter>,
    /// How long a client should wait before it tries again, if that is known.
    pub wait: Option<Duration>,
    /// For contracts that have their own wording for some refusals.
    pub kind: ErrorKind,
}

/// What becomes of the connection after the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Keep,
    /// The bytes that follow cannot be trusted, or are a body that is not needed.
    Close,
}

/// Those of gRPC's status numbers (grpc/status.h) that the gateway itself sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum GrpcStatus {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Row {
    const fn new(
        (status, grpc): (StatusCode, GrpcStatus),
        code: &'static str,
        message: &'static str,
    ) -> Self {
        let (fate, kind) = (Fate::Keep, ErrorKind::Other);
        Self { status, code, message, fate, grpc, counter: None, wait: None, kind }
    }

    const fn closing(self) -> Self {
        Self { fate: Fate::Close, ..self }
    }

    const fn counted(self, counter: fn(&Counters) -> &Counter) -> Self {
        Self { counter: Some(counter), ..self }
    }

    const fn after(self, wait: Duration) -> Self {
        Self { wait: Some(wait), ..self }
    }

    /// The resource may be free again at once.
    const fn shortly(self) -> Self {
        self.after(Duration::from_secs(1))
    }

    const fn of_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }
}

/// Increments the counter of a reason, if it has one.
pub fn count(counters: &Counters, reason: &Reason) {
    if let Some(counter) = reason.row().counter {
        counter(counters).increment();
    }
}

/// A status of HTTP and the one of gRPC that lets a client react in the same way.
type Class = (StatusCode, GrpcStatus);

const BAD_REQUEST: Class = (StatusCode::BAD_REQUEST, GrpcStatus::InvalidArgument);
const UNAUTHORIZED: Class = (StatusCode::UNAUTHORIZED, GrpcStatus::Unauthenticated);
const FORBIDDEN: Class = (StatusCode::FORBIDDEN, GrpcStatus::PermissionDenied);
const NOT_FOUND: Class = (StatusCode::NOT_FOUND, GrpcStatus::Unimplemented);
const METHOD_NOT_ALLOWED: Class = (StatusCode::METHOD_NOT_ALLOWED, GrpcStatus::Unimplemented);
const REQUEST_TIMEOUT: Class = (StatusCode::REQUEST_TIMEOUT, GrpcStatus::DeadlineExceeded);
const CONFLICT: Class = (StatusCode::CONFLICT, GrpcStatus::InvalidArgument);
const PAYLOAD_TOO_LARGE: Class = (StatusCode::PAYLOAD_TOO_LARGE, GrpcStatus::ResourceExhausted);
const URI_TOO_LONG: Class = (StatusCode::URI_TOO_LONG, GrpcStatus::InvalidArgument);
const UNSUPPORTED_MEDIA_TYPE: Class =
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, GrpcStatus::InvalidArgument);
const MISDIRECTED: Class = (StatusCode::MISDIRECTED_REQUEST, GrpcStatus::InvalidArgument);
const UNPROCESSABLE: Class = (StatusCode::UNPROCESSABLE_ENTITY, GrpcStatus::InvalidArgument);
const TOO_MANY_REQUESTS: Class = (StatusCode::TOO_MANY_REQUESTS, GrpcStatus::ResourceExhausted);
const HEADERS_TOO_LARGE: Class =
    (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, GrpcStatus::InvalidArgument);
const INTERNAL: Class = (StatusCode::INTERNAL_SERVER_ERROR, GrpcStatus::Internal);
const NOT_IMPLEMENTED: Class = (StatusCode::NOT_IMPLEMENTED, GrpcStatus::Unavailable);
const BAD_GATEWAY: Class = (StatusCode::BAD_GATEWAY, GrpcStatus::Unavailable);
const UNAVAILABLE: Class = (StatusCode::SERVICE_UNAVAILABLE, GrpcStatus::Unavailable);
const GATEWAY_TIMEOUT: Class = (StatusCode::GATEWAY_TIMEOUT, GrpcStatus::Unavailable);
const VERSION: Class = (StatusCode::HTTP_VERSION_NOT_SUPPORTED, GrpcStatus::Unavailable);

/// The response when the gateway has no capacity now.
const BUSY: Row = Row::new(
    UNAVAILABLE,
    "SERVICE_UNAVAILABLE",
    "The gateway cannot process this request now; try again shortly",
);
const ATTEMPTS: Row =
    Row::new(TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS", "Too many failed attempts; try again later");
// Which half was wrong is for the log only.
const CREDENTIALS: Row = Row::new(UNAUTHORIZED, "INVALID_CREDENTIALS", "Invalid credentials");
const UPSTREAM: Row = Row::new(
    BAD_GATEWAY,
    "BAD_GATEWAY",
    "The service behind the gateway could not be reached or did not respond correctly",
);

impl Reason {
    /// The one table of reasons.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one row for each reason")]
    pub fn row(&self) -> Row {
        let row = Row::new;
        match self {
            Reason::Framing(fault) => framing(*fault).closing().counted(|all| &all.framing_faults),
            Reason::HostMissing | Reason::HostMalformed | Reason::HostMismatch => {
                row(BAD_REQUEST, "BAD_REQUEST", "The request must name exactly one valid host")
                    .closing()
            }
            Reason::TargetMalformed => {
                row(BAD_REQUEST, "BAD_REQUEST", "The request target is malformed").closing()
            }
            Reason::MethodRefused => {
                row(METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "This method is not supported")
                    .closing()
            }
            Reason::MethodMalformed => {
                row(BAD_REQUEST, "BAD_REQUEST", "The method is malformed").closing()
            }
            Reason::PathAmbiguous => row(
                BAD_REQUEST,
                "BAD_REQUEST",
                "Servers can interpret the path in different ways; send it without encoded slashes, dot segments, empty segments or semicolons",
            ),
            Reason::UpgradeMalformed => {
                row(BAD_REQUEST, "BAD_REQUEST", "The WebSocket handshake is malformed").closing()
            }
            Reason::Misdirected => row(
                MISDIRECTED,
                "MISDIRECTED_REQUEST",
                "The request and the TLS connection name different hosts",
            ),
            Reason::BodyTooLarge => {
                row(PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", "The request body is too large").closing()
            }
            Reason::BodyStalled => {
                row(REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "The request body arrived too slowly")
                    .closing()
                    .counted(|all| &all.bodies_stalled)
            }
            Reason::BodyBroken => {
                row(BAD_REQUEST, "BAD_REQUEST", "The body is malformed").closing()
            }
            Reason::RateLimited { retry_after, .. } => {
                row(TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", "Too many requests")
                    .after(*retry_after)
                    .counted(|all| &all.rate_limited)
            }
            Reason::LockedOut { retry_after } => {
                ATTEMPTS.after(*retry_after).counted(|all| &all.locked_out)
            }
            Reason::AttemptsQueued => ATTEMPTS.shortly().counted(|all| &all.hashing_shed),
            Reason::UserAttemptsQueued { retry_after } => {
                ATTEMPTS.after(*retry_after).counted(|all| &all.user_attempts_shed)
            }
            Reason::RegistrationsOverLimit { retry_after } => row(
                TOO_MANY_REQUESTS,
                "TOO_MANY_REQUESTS",
                "Too many registrations; try again later",
            )
            .after(*retry_after)
            .counted(|all| &all.registrations_over_limit),
            Reason::ConnectionsOverAddressLimit => row(
                TOO_MANY_REQUESTS,
                "TOO_MANY_REQUESTS",
                "Too many requests from your address are in progress",
            )
            .shortly()
            .counted(|all| &all.connections_over_address_limit),
            Reason::RequestsOverAddressLimit => {
                row(TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", "Too many requests are in progress")
                    .shortly()
                    .counted(|all| &all.requests_over_address_limit)
            }
            Reason::AgentsOverAddressLimit => row(
                TOO_MANY_REQUESTS,
                "TOO_MANY_REQUESTS",
                "Too many connections from your address have not authenticated",
            )
            .shortly()
            .counted(|all| &all.agents_over_address_limit),
            Reason::StreamsOverLimit => row(
                TOO_MANY_REQUESTS,
                "TOO_MANY_REQUESTS",
                "Too many of your WebSockets and event streams are open",
            )
            .shortly()
            .counted(|all| &all.streams_over_limit),
            Reason::AgentsOverBound(bound) => row(
                TOO_MANY_REQUESTS,
                "TOO_MANY_REQUESTS",
                "Too many agents of this server, key or owner are connected",
            )
            .shortly()
            .counted(match bound {
                AgentBound::Server => |all| &all.agents_over_server_limit,
                AgentBound::Key => |all| &all.agents_over_key_limit,
                AgentBound::Owner => |all| &all.agents_over_owner_limit,
            }),
            Reason::FirstMessage(fault) => first_message(*fault),
            Reason::CredentialMissing | Reason::AccessTokenRequired => {
                row(UNAUTHORIZED, "AUTHENTICATION_REQUIRED", "Authentication required")
            }
            Reason::CredentialsConflict => {
                row(BAD_REQUEST, "BAD_REQUEST", "Send one credential, not several")
            }
            Reason::CredentialRefused(Scheme::Bearer, _) => {
                row(UNAUTHORIZED, "INVALID_TOKEN", "Invalid or expired token")
                    .of_kind(ErrorKind::TokenRefused)
            }
            Reason::RefreshTokenRefused(_) => {
                row(UNAUTHORIZED, "INVALID_REFRESH_TOKEN", "Invalid or expired refresh token")
            }
            Reason::PasswordRefused(Refusal::UserUnknown) => {
                CREDENTIALS.of_kind(ErrorKind::UnknownUser)
            }
            Reason::CredentialRefused(Scheme::Basic | Scheme::ApiKey | Scheme::Ticket, _)
            | Reason::PasswordRefused(_) => CREDENTIALS,
            Reason::NotForKeys => row(FORBIDDEN, "FORBIDDEN", "An API key cannot be used for this"),
            Reason::KeyBoundToServer => row(
                FORBIDDEN,
                "FORBIDDEN",
                "A key that is bound to a server cannot be used for this",
            ),
            Reason::KeyNotBound => row(
                FORBIDDEN,
                "FORBIDDEN",
                "Only a key that is bound to a server can be used for this",
            ),
            Reason::RoleMissing | Reason::ScopeMissing => {
                row(FORBIDDEN, "FORBIDDEN", "You are not allowed to do this")
            }
            Reason::AdminNetwork => row(
                FORBIDDEN,
                "FORBIDDEN",
                "The admin API does not accept requests from your address (admin.networks)",
            ),
            Reason::MethodNotAllowed { .. } => {
                row(METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Method not allowed")
            }
            Reason::MediaType => row(
                UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                "Send the body with a documented content type",
            ),
            // Used where the error is not named in the response.
            Reason::BodyMalformed(_) => row(BAD_REQUEST, "BAD_REQUEST", "The body is malformed"),
            Reason::PasswordUnacceptable(rule) => {
                row(UNPROCESSABLE, "PASSWORD_NOT_ACCEPTABLE", rule.rule())
            }
            Reason::NameUnacceptable(name) => name_unacceptable(*name),
            Reason::Taken(Name::Email) => {
                row(CONFLICT, "EMAIL_ALREADY_EXISTS", "An account with this e-mail address exists")
            }
            Reason::Taken(_) => {
                row(CONFLICT, "USERNAME_ALREADY_EXISTS", "An account with this user name exists")
            }
            Reason::Unknown(entity) => unknown(*entity),
            Reason::LimitReached(_) => {
                row(CONFLICT, "LIMIT_REACHED", "The account has reached its limit; delete some first")
                    .counted(|all| &all.limits_reached)
            }
            Reason::TimePassed => {
                row(UNPROCESSABLE, "TIME_PASSED", "The time of expiry must be in the future")
            }
            Reason::RegistrationClosed => {
                row(FORBIDDEN, "REGISTRATION_CLOSED", "Registration is closed here")
                    .of_kind(ErrorKind::RegistrationClosed)
            }
            Reason::LocalAccountsDisabled => {
                row(FORBIDDEN, "LOCAL_AUTH_DISABLED", "Password sign-in is disabled on this gateway")
            }
            Reason::LastAdministrator => {
                row(CONFLICT, "LAST_ADMIN", "At least one administrator must remain")
            }
            Reason::LinksDisabled => row(NOT_FOUND, "LINKS_DISABLED", "Links are not configured on this gateway"),
            Reason::LinkRefused(_) => row(
                NOT_FOUND,
                "LINK_NOT_GOOD",
                "This link has expired or was already used; request a new one",
            ),
            Reason::GithubDisabled => {
                row(NOT_FOUND, "GITHUB_DISABLED", "GitHub sign-in is not configured on this gateway")
            }
            Reason::GithubRefused(error) => github(error),
            Reason::CrossSite => {
                row(FORBIDDEN, "CSRF", "The request does not come from a page of this site")
                    .counted(|all| &all.cross_site)
            }
            Reason::PreflightRefused => {
                row(FORBIDDEN, "CORS", "Pages of this origin may not send this request")
                    .counted(|all| &all.preflights_refused)
            }
            Reason::RouteUnknown => row(NOT_FOUND, "NOT_FOUND", "Not found"),
            Reason::UpstreamConnect
            | Reason::UpstreamTls
            | Reason::UpstreamClientCertificate
            | Reason::UpstreamNoHttp2
            | Reason::UpstreamNoUpgrade
            | Reason::UpstreamClosed
            | Reason::UpstreamUpgrade => UPSTREAM,
            Reason::UpstreamProtocol => UPSTREAM.counted(|all| &all.upstream_faults),
            Reason::UpstreamConnectTimeout | Reason::UpstreamTimeout => row(
                GATEWAY_TIMEOUT,
                "GATEWAY_TIMEOUT",
                "The service behind the gateway did not respond in time",
            ),
            Reason::UpstreamSaturated => {
                row(UNAVAILABLE, "SERVICE_UNAVAILABLE", "The service behind the gateway is busy")
                    .shortly()
            }
            Reason::UpstreamShareTaken => row(
                UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "Too many of your requests to this service are still in progress",
            )
            .shortly()
            .counted(|all| &all.upstream_shares_taken),
            Reason::HasherBusy => BUSY.shortly().counted(|all| &all.hashing_shed),
            Reason::AgentsOverLimit => BUSY.shortly().counted(|all| &all.agents_over_limit),
            Reason::MailBusy | Reason::StoreBusy | Reason::StoreUnavailable => BUSY.shortly(),
            Reason::Stopping => BUSY,
            Reason::RevocationNotStored => row(
                UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The revocation is in effect at this gateway but could not be stored yet; try again shortly",
            )
            .shortly(),
            Reason::Internal => row(INTERNAL, "INTERNAL", "Internal error").closing(),
        }
    }
}

/// The agent gets it as a close code of the WebSocket.
fn first_message(fault: Fault) -> Row {
    let row = Row::new(BAD_REQUEST, "BAD_REQUEST", "The first message is invalid").closing();
    match fault {
        Fault::Late => row.counted(|all| &all.agents_timed_out),
        Fault::TooLarge
        | Fault::TooManyFrames
        | Fault::Frame
        | Fault::Binary
        | Fault::NotUtf8
        | Fault::NotUnderstood
        | Fault::Token => row,
    }
}

fn name_unacceptable(name: Name) -> Row {
    let code = match name {
        Name::User => "USERNAME_NOT_ACCEPTABLE",
        Name::Email => "EMAIL_NOT_ACCEPTABLE",
        Name::Person | Name::Label => "NAME_NOT_ACCEPTABLE",
        Name::Role => "ROLE_NOT_ACCEPTABLE",
        Name::Scope => "SCOPE_NOT_ACCEPTABLE",
    };
    Row::new(UNPROCESSABLE, code, name.rule())
}

fn unknown(entity: Entity) -> Row {
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
    Row::new(NOT_FOUND, code, message)
}

fn github(error: &FederationError) -> Row {
    let row = Row::new;
    match error {
        FederationError::CodeRefused => {
            row(UNAUTHORIZED, "GITHUB_CODE_REFUSED", "GitHub refused the code")
        }
        FederationError::NotAllowed => row(
            FORBIDDEN,
            "GITHUB_NOT_ALLOWED",
            "The GitHub account is not a member of an allowed organisation or team",
        ),
        FederationError::EmailUnverified => row(
            FORBIDDEN,
            "GITHUB_EMAIL_UNVERIFIED",
            "The GitHub account has no verified primary e-mail address",
        ),
        FederationError::Timeout => {
            row(GATEWAY_TIMEOUT, "GITHUB_TIMEOUT", "GitHub did not respond in time")
        }
        FederationError::Unavailable(_) | FederationError::InvalidResponse(_) => row(
            BAD_GATEWAY,
            "GITHUB_UNAVAILABLE",
            "GitHub could not be reached or did not respond correctly",
        ),
    }
}

fn framing(fault: FramingFault) -> Row {
    let row = Row::new;
    match fault {
        FramingFault::UriTooLong => {
            row(URI_TOO_LONG, "URI_TOO_LONG", "The request target is too long")
        }
        FramingFault::HeadTooLarge | FramingFault::FieldCount => {
            row(HEADERS_TOO_LARGE, "HEADERS_TOO_LARGE", "The header section is too large")
        }
        FramingFault::TargetOctet => row(
            BAD_REQUEST,
            "BAD_REQUEST",
            "The request target contains an octet that must be percent-encoded",
        ),
        FramingFault::HeadTimeout => {
            row(REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "The request arrived too slowly")
        }
        FramingFault::TransferCodingUnknown => {
            row(NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "The only supported transfer coding is chunked")
        }
        FramingFault::Version => {
            row(VERSION, "BAD_REQUEST", "Only HTTP/1.0, HTTP/1.1 and HTTP/2 are supported")
        }
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
        | FramingFault::Trailer => row(BAD_REQUEST, "BAD_REQUEST", "The request is malformed"),
    }
}

#[cfg(test)]
mod tests;
