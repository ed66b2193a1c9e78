//! One of each reason, so that what follows from reasons can be listed.

use std::time::Duration;

use crate::auth::error::{Entity, LinkFault, Name, Refusal};
use crate::auth::federation::FederationError;
use crate::auth::password::Unacceptable;
use crate::auth::principal::Scheme;
use crate::pipeline::bounds::agent_bound::AgentBound;
use crate::pipeline::rate_limit::policy::Policy;

use super::{FramingFault, Reason};

/// Those that are a whole answer: what is told over a WebSocket by a close code is not here.
/// A test holds the list to the codes that have an explanation.
#[must_use]
pub fn examples() -> Vec<Reason> {
    let retry_after = Duration::ZERO;
    let mut all = vec![
        Reason::HostMissing,
        Reason::HostMalformed,
        Reason::HostMismatch,
        Reason::TargetMalformed,
        Reason::MethodRefused,
        Reason::MethodMalformed,
        Reason::PathAmbiguous,
        Reason::UpgradeMalformed,
        Reason::Misdirected,
        Reason::BodyTooLarge,
        Reason::BodyStalled,
        Reason::BodyBroken,
        Reason::RateLimited { retry_after, policy: POLICY },
        Reason::LockedOut { retry_after },
        Reason::AttemptsQueued,
        Reason::UserAttemptsQueued { retry_after },
        Reason::RegistrationsOverLimit { retry_after },
        Reason::HasherBusy,
        Reason::ConnectionsOverAddressLimit,
        Reason::RequestsOverAddressLimit,
        Reason::AgentsOverLimit,
        Reason::AgentsOverAddressLimit,
        Reason::StreamsOverLimit,
        Reason::AgentsOverBound(AgentBound::Server),
        Reason::AgentsOverBound(AgentBound::Key),
        Reason::AgentsOverBound(AgentBound::Owner),
        Reason::CredentialMissing,
        Reason::CredentialsConflict,
        Reason::NotForKeys,
        Reason::KeyBoundToServer,
        Reason::KeyNotBound,
        Reason::RoleMissing,
        Reason::AdminNetwork,
        Reason::ScopeMissing,
        Reason::MethodNotAllowed { allow: String::new() },
        Reason::MediaType,
        Reason::BodyMalformed(String::new()),
        Reason::Taken(Name::User),
        Reason::Taken(Name::Email),
        Reason::LimitReached(Entity::Key),
        Reason::TimePassed,
        Reason::RegistrationClosed,
        Reason::LocalAccountsDisabled,
        Reason::LastAdministrator,
        Reason::LinksDisabled,
        Reason::MailBusy,
        Reason::GithubDisabled,
        Reason::AccessTokenRequired,
        Reason::CrossSite,
        Reason::PreflightRefused,
        Reason::RouteUnknown,
        Reason::UpstreamConnect,
        Reason::UpstreamConnectTimeout,
        Reason::UpstreamTls,
        Reason::UpstreamClientCertificate,
        Reason::UpstreamNoHttp2,
        Reason::UpstreamNoUpgrade,
        Reason::UpstreamSaturated,
        Reason::UpstreamShareTaken,
        Reason::UpstreamTimeout,
        Reason::UpstreamClosed,
        Reason::UpstreamProtocol,
        Reason::UpstreamUpgrade,
        Reason::StoreUnavailable,
        Reason::StoreBusy,
        Reason::RevocationNotStored,
        Reason::Stopping,
        Reason::Internal,
    ];
    all.extend(FramingFault::ALL.map(Reason::Framing));
    all.extend(REFUSALS.map(|refusal| Reason::CredentialRefused(Scheme::Bearer, refusal)));
    all.extend(UNACCEPTABLE.map(Reason::PasswordUnacceptable));
    all.extend(NAMES.map(Reason::NameUnacceptable));
    all.extend(ENTITIES.map(Reason::Unknown));
    all.extend(
        [LinkFault::Malformed, LinkFault::Expired, LinkFault::Spent].map(Reason::LinkRefused),
    );
    let github = [
        FederationError::CodeRefused,
        FederationError::NotAllowed,
        FederationError::EmailUnverified,
        FederationError::Timeout,
        FederationError::Unavailable(String::new()),
        FederationError::InvalidResponse(String::new()),
    ];
    all.extend(github.map(Reason::GithubRefused));
    all
}

const POLICY: Policy = Policy { name: "", burst: 0, window_seconds: 0 };

const REFUSALS: [Refusal; 19] = [
    Refusal::CredentialMalformed,
    Refusal::UserUnknown,
    Refusal::PasswordWrong,
    Refusal::PasswordFormer,
    Refusal::AccountDisabled,
    Refusal::TokenMalformed,
    Refusal::TokenSignature,
    Refusal::TokenExpired,
    Refusal::TokenNotYetValid,
    Refusal::TokenKind,
    Refusal::TokenIssuer,
    Refusal::TokenRevoked,
    Refusal::SessionEnded,
    Refusal::WorkspaceLeft,
    Refusal::RefreshReused,
    Refusal::KeyMalformed,
    Refusal::KeyUnknown,
    Refusal::KeyExpired,
    Refusal::TicketUnknown,
];

const UNACCEPTABLE: [Unacceptable; 5] = [
    Unacceptable::TooShort,
    Unacceptable::TooLong,
    Unacceptable::HoldsNul,
    Unacceptable::NoSpecial,
    Unacceptable::ForeignHash,
];

const NAMES: [Name; 6] =
    [Name::User, Name::Email, Name::Person, Name::Label, Name::Role, Name::Scope];

const ENTITIES: [Entity; 8] = [
    Entity::Account,
    Entity::Key,
    Entity::Server,
    Entity::Session,
    Entity::Workspace,
    Entity::Member,
    Entity::Lockout,
    Entity::Email,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::pipeline::reason::explanations::EXPLANATIONS;

    /// How an answer or a WebSocket ended, and what was logged beside a request.
    const NO_ANSWER: [&str; 13] = [
        "client_left",
        "credential_ended",
        "field_asserted",
        "field_holds_own_credential",
        "field_name_form",
        "first_message_late",
        "first_message_malformed",
        "first_message_token",
        "first_message_too_large",
        "incomplete",
        "ok",
        "upstream_broken",
        "write_stalled",
    ];

    #[test]
    fn every_code_that_is_an_answer_has_an_example() {
        let explained: BTreeSet<&str> = EXPLANATIONS.iter().map(|known| known.code).collect();
        let mut found: BTreeSet<&str> = examples().iter().map(Reason::code).collect();
        found.extend(NO_ANSWER);
        assert_eq!(found, explained);
    }
}
