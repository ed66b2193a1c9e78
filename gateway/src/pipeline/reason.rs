//! Why a request did not get through: one reason, one stable code, one fate.

pub mod examples;
pub mod explanations;
pub mod rows;

use std::time::Duration;

use crate::auth::error::{Entity, Error, LinkFault, Name, Refusal, StoreError};
use crate::auth::federation::FederationError;
use crate::auth::password::Unacceptable;
use crate::auth::principal::Scheme;
use crate::dialect::row::NotEncoded;
use crate::upstream::error::CLIENT_CERTIFICATE_CODE;

use super::agent::first_message::Fault;
use super::bounds::agent_bound::AgentBound;
use super::rate_limit::policy::Policy;

pub use crate::http1::FramingFault;

/// A request that ends here. The status, the words and the connection's fate
/// follow from the reason in `rows`, and only there.
#[derive(Debug)]
pub struct Rejection {
    pub reason: Reason,
    /// More, for the log only.
    pub detail: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    // The message itself: the client is at fault, the connection ends.
    Framing(FramingFault),
    HostMissing,
    HostMalformed,
    HostMismatch,
    TargetMalformed,
    MethodRefused,
    MethodMalformed,
    PathAmbiguous,
    UpgradeMalformed,
    Misdirected,
    BodyTooLarge,
    BodyStalled,
    BodyBroken,
    // Limits.
    RateLimited {
        retry_after: Duration,
        policy: Policy,
    },
    LockedOut {
        retry_after: Duration,
    },
    AttemptsQueued,
    UserAttemptsQueued {
        retry_after: Duration,
    },
    RegistrationsOverLimit {
        retry_after: Duration,
    },
    HasherBusy,
    /// A client's, who comes through a trusted proxy.
    ConnectionsOverAddressLimit,
    RequestsOverAddressLimit,
    AgentsOverLimit,
    AgentsOverAddressLimit,
    /// An account's WebSockets and event streams.
    StreamsOverLimit,
    AgentsOverBound(AgentBound),
    // Credentials.
    CredentialMissing,
    CredentialsConflict,
    CredentialRefused(Scheme, Refusal),
    /// A name and password in a body.
    PasswordRefused(Refusal),
    RefreshTokenRefused(Refusal),
    /// An agent's, which was to bring its credential.
    FirstMessage(Fault),
    NotForKeys,
    /// Where keys of servers' agents are not taken.
    KeyBoundToServer,
    /// Where only keys of servers' agents are.
    KeyNotBound,
    RoleMissing,
    /// The admin API, from where it may not be used.
    AdminNetwork,
    ScopeMissing,
    // Our own endpoints.
    MethodNotAllowed {
        allow: String,
    },
    MediaType,
    BodyMalformed(String),
    PasswordUnacceptable(Unacceptable),
    NameUnacceptable(Name),
    Taken(Name),
    Unknown(Entity),
    LimitReached(Entity),
    TimePassed,
    RegistrationClosed,
    LocalAccountsDisabled,
    LastAdministrator,
    LinksDisabled,
    MailBusy,
    LinkRefused(LinkFault),
    GithubDisabled,
    GithubRefused(FederationError),
    /// Only an access token has what this needs.
    AccessTokenRequired,
    /// A request with an ambient credential that another site may have caused.
    CrossSite,
    /// A page may not send what its browser asks about.
    PreflightRefused,
    // Where it should have gone.
    RouteUnknown,
    UpstreamConnect,
    UpstreamConnectTimeout,
    UpstreamTls,
    /// It talks to nobody without a certificate of the client's.
    UpstreamClientCertificate,
    /// Where the configuration says that it speaks HTTP/2.
    UpstreamNoHttp2,
    /// No HTTP/1.1 is spoken with it, which a switch of protocols needs.
    UpstreamNoUpgrade,
    UpstreamSaturated,
    /// By the account itself, or by the address of those without one.
    UpstreamShareTaken,
    UpstreamTimeout,
    UpstreamClosed,
    UpstreamProtocol,
    UpstreamUpgrade,
    // Ourselves.
    StoreUnavailable,
    StoreBusy,
    /// It holds here, and the store could not be told.
    RevocationNotStored,
    Stopping,
    Internal,
}

impl Reason {
    /// Stable, for logs and metrics.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one row for each reason")]
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Framing(fault) => fault.code(),
            Reason::HostMissing => "host_missing",
            Reason::HostMalformed => "host_malformed",
            Reason::HostMismatch => "host_mismatch",
            Reason::TargetMalformed => "target_malformed",
            Reason::MethodRefused => "method_refused",
            Reason::MethodMalformed => "method_malformed",
            Reason::PathAmbiguous => "path_ambiguous",
            Reason::UpgradeMalformed => "upgrade_malformed",
            Reason::Misdirected => "misdirected",
            Reason::BodyTooLarge => "body_too_large",
            Reason::BodyStalled => "body_stalled",
            Reason::BodyBroken => "body_broken",
            Reason::RateLimited { .. } => "rate_limited",
            Reason::LockedOut { .. } => "locked_out",
            Reason::RegistrationsOverLimit { .. } => "registrations_over_limit",
            Reason::AttemptsQueued => "attempts_queued",
            Reason::UserAttemptsQueued { .. } => "user_attempts_queued",
            Reason::HasherBusy => "hasher_busy",
            Reason::ConnectionsOverAddressLimit => "connections_over_address_limit",
            Reason::RequestsOverAddressLimit => "requests_over_address_limit",
            Reason::AgentsOverLimit => "agents_over_limit",
            Reason::AgentsOverAddressLimit => "agents_over_address_limit",
            Reason::StreamsOverLimit => "streams_over_limit",
            Reason::AgentsOverBound(bound) => match bound {
                AgentBound::Server => "agents_over_server_limit",
                AgentBound::Key => "agents_over_key_limit",
                AgentBound::Owner => "agents_over_owner_limit",
            },
            Reason::CredentialMissing => "credential_missing",
            Reason::CredentialsConflict => "credentials_conflict",
            Reason::CredentialRefused(_, refusal)
            | Reason::PasswordRefused(refusal)
            | Reason::RefreshTokenRefused(refusal) => refusal.code(),
            Reason::FirstMessage(fault) => fault.code(),
            Reason::NotForKeys => "not_for_keys",
            Reason::KeyBoundToServer => "key_bound_to_server",
            Reason::KeyNotBound => "key_not_bound",
            Reason::RoleMissing => "role_missing",
            Reason::AdminNetwork => "admin_network",
            Reason::ScopeMissing => "scope_missing",
            Reason::MethodNotAllowed { .. } => "method_not_allowed",
            Reason::MediaType => "media_type",
            Reason::BodyMalformed(_) => "body_malformed",
            Reason::PasswordUnacceptable(rule) => rule.code(),
            Reason::NameUnacceptable(name) => match name {
                Name::User => "username_unacceptable",
                Name::Email => "email_unacceptable",
                Name::Person | Name::Label => "name_unacceptable",
                Name::Role => "role_unacceptable",
                Name::Scope => "scope_unacceptable",
            },
            Reason::Taken(Name::Email) => "email_taken",
            Reason::Taken(_) => "username_taken",
            Reason::Unknown(entity) => match entity {
                Entity::Account => "user_not_found",
                Entity::Key => "key_not_found",
                Entity::Server => "server_not_found",
                Entity::Session => "session_not_found",
                Entity::Workspace => "workspace_not_found",
                Entity::Member => "member_not_found",
                Entity::Lockout => "lockout_not_found",
                Entity::Email => "email_not_found",
            },
            Reason::LimitReached(_) => "limit_reached",
            Reason::TimePassed => "time_passed",
            Reason::RegistrationClosed => "registration_closed",
            Reason::LocalAccountsDisabled => "local_accounts_disabled",
            Reason::LastAdministrator => "last_administrator",
            Reason::LinksDisabled => "links_disabled",
            Reason::MailBusy => "mail_busy",
            Reason::LinkRefused(fault) => fault.code(),
            Reason::GithubDisabled => "github_disabled",
            Reason::GithubRefused(error) => match error {
                FederationError::CodeRefused => "github_code_refused",
                FederationError::NotAllowed => "github_not_allowed",
                FederationError::EmailUnverified => "github_email_unverified",
                FederationError::Timeout => "github_timeout",
                FederationError::Unavailable(_) => "github_unavailable",
                FederationError::InvalidResponse(_) => "github_invalid_response",
            },
            Reason::AccessTokenRequired => "access_token_required",
            Reason::CrossSite => "cross_site",
            Reason::PreflightRefused => "preflight_refused",
            Reason::RouteUnknown => "route_unknown",
            Reason::UpstreamConnect => "upstream_connect",
            Reason::UpstreamConnectTimeout => "upstream_connect_timeout",
            Reason::UpstreamTls => "upstream_tls",
            Reason::UpstreamClientCertificate => CLIENT_CERTIFICATE_CODE,
            Reason::UpstreamNoHttp2 => "upstream_no_http2",
            Reason::UpstreamNoUpgrade => "upstream_no_upgrade",
            Reason::UpstreamSaturated => "upstream_saturated",
            Reason::UpstreamShareTaken => "upstream_share_taken",
            Reason::UpstreamTimeout => "upstream_timeout",
            Reason::UpstreamClosed => "upstream_closed",
            Reason::UpstreamProtocol => "upstream_protocol",
            Reason::UpstreamUpgrade => "upstream_upgrade",
            Reason::StoreUnavailable => "store_unavailable",
            Reason::StoreBusy => "store_busy",
            Reason::RevocationNotStored => "revocation_not_stored",
            Reason::Stopping => "stopping",
            Reason::Internal => "internal",
        }
    }

    /// Adds what only the log may know.
    #[must_use]
    pub fn with_detail(self, detail: impl std::fmt::Display) -> Rejection {
        Rejection { reason: self, detail: Some(detail.to_string()) }
    }
}

impl From<Reason> for Rejection {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None }
    }
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        Reason::FirstMessage(fault).with_detail(fault.as_str())
    }
}

/// A success that is not encoded is told to nobody as one.
impl From<NotEncoded> for Rejection {
    fn from(defect: NotEncoded) -> Self {
        Reason::Internal.with_detail(defect)
    }
}

impl From<StoreError> for Rejection {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Reason::StoreBusy.into(),
            StoreError::Held => Reason::RevocationNotStored.into(),
            StoreError::Unavailable(_) | StoreError::Damaged(_) => {
                Reason::StoreUnavailable.with_detail(error)
            }
        }
    }
}

/// What an attempt tried: the request's own credential, or a secret in its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    Credential(Scheme),
    Password,
    RefreshToken,
}

impl Rejection {
    /// What the core answered about something tried.
    #[must_use]
    pub fn from_core(error: Error, tried: Tried) -> Self {
        match (error, tried) {
            (Error::Refused(refusal), Tried::Credential(scheme)) => {
                Reason::CredentialRefused(scheme, refusal).into()
            }
            (Error::Refused(refusal), Tried::Password) => Reason::PasswordRefused(refusal).into(),
            (Error::Refused(refusal), Tried::RefreshToken) => {
                Reason::RefreshTokenRefused(refusal).into()
            }
            (Error::Password(rule), _) => Reason::PasswordUnacceptable(rule).into(),
            (Error::NotForKeys, _) => Reason::NotForKeys.into(),
            (Error::NotASession, _) => Reason::AccessTokenRequired.into(),
            (Error::Name(name), _) => Reason::NameUnacceptable(name).into(),
            (Error::Taken(name) | Error::TakenAndGuessed(name), _) => Reason::Taken(name).into(),
            (Error::Unknown(entity), _) => Reason::Unknown(entity).into(),
            (Error::TooMany(entity), _) => Reason::LimitReached(entity).into(),
            (Error::Past, _) => Reason::TimePassed.into(),
            (Error::RegistrationClosed, _) => Reason::RegistrationClosed.into(),
            (Error::TooManyRegistrations { retry_after }, _) => {
                Reason::RegistrationsOverLimit { retry_after }.into()
            }
            (Error::LocalAccountsDisabled, _) => Reason::LocalAccountsDisabled.into(),
            (Error::LastAdministrator, _) => Reason::LastAdministrator.into(),
            (Error::LinksDisabled | Error::MailDisabled, _) => Reason::LinksDisabled.into(),
            (Error::MailBusy, _) => Reason::MailBusy.into(),
            (Error::Link(fault), _) => Reason::LinkRefused(fault).into(),
            (Error::ForeignFlow, _) => {
                Reason::CrossSite.with_detail("the flow did not begin in this browser")
            }
            (Error::NotFederated, _) => Reason::GithubDisabled.into(),
            (Error::Federation(error), _) => {
                let detail = error.to_string();
                Reason::GithubRefused(error).with_detail(detail)
            }
            (Error::HasherBusy, _) => Reason::HasherBusy.into(),
            (Error::Store(error), _) => error.into(),
        }
    }
}
