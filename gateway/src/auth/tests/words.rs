//! The words of the core that people read, and those that programs rely on.

use std::collections::HashSet;

use super::super::error::{Entity, Error, LinkFault, Name, Refusal};
use super::super::ports::{Notice, StoreState};
use super::super::principal::Scheme;

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
const NAMES: [Name; 6] =
    [Name::User, Name::Email, Name::Person, Name::Label, Name::Role, Name::Scope];

fn are_distinct(texts: impl IntoIterator<Item = String>) -> bool {
    let mut seen = HashSet::new();
    texts.into_iter().all(|text| !text.is_empty() && seen.insert(text))
}

/// Upstreams decide by it, and those who read the log search for it.
#[test]
fn schemes_are_called_by_their_words_in_headers_and_in_the_log() {
    for (scheme, word) in [
        (Scheme::Basic, "basic"),
        (Scheme::Bearer, "bearer"),
        (Scheme::ApiKey, "api-key"),
        (Scheme::Ticket, "ws-token"),
    ] {
        assert_eq!(scheme.as_str(), word);
    }
}

/// Rules that ban addresses and raise alarms are written by them.
#[test]
fn refusals_are_called_by_their_words_in_logs_and_metrics() {
    for (refusal, word) in [
        (Refusal::CredentialMalformed, "credential_malformed"),
        (Refusal::UserUnknown, "user_unknown"),
        (Refusal::PasswordWrong, "password_wrong"),
        (Refusal::PasswordFormer, "password_former"),
        (Refusal::AccountDisabled, "account_disabled"),
        (Refusal::TokenMalformed, "token_malformed"),
        (Refusal::TokenSignature, "token_signature"),
        (Refusal::TokenExpired, "token_expired"),
        (Refusal::TokenNotYetValid, "token_not_yet_valid"),
        (Refusal::TokenKind, "token_kind"),
        (Refusal::TokenIssuer, "token_issuer"),
        (Refusal::TokenRevoked, "token_revoked"),
        (Refusal::SessionEnded, "session_ended"),
        (Refusal::WorkspaceLeft, "workspace_left"),
        (Refusal::RefreshReused, "refresh_reused"),
        (Refusal::KeyMalformed, "key_malformed"),
        (Refusal::KeyUnknown, "key_unknown"),
        (Refusal::KeyExpired, "key_expired"),
        (Refusal::TicketUnknown, "ticket_unknown"),
    ] {
        assert_eq!(refusal.code(), word);
    }
    for (fault, word) in [
        (LinkFault::Malformed, "link_malformed"),
        (LinkFault::Expired, "link_expired"),
        (LinkFault::Spent, "link_spent"),
    ] {
        assert_eq!(fault.code(), word);
    }
}

/// Under another word a notice that was given would be given again.
#[test]
fn notices_are_stored_under_the_words_of_the_version_before() {
    assert_eq!(Notice::UnverifiedEmail.as_str(), "unverified_email");
    assert_eq!(Notice::ServerKeys.as_str(), "server_keys");
    assert_eq!(Notice::UnboundKeys.as_str(), "unbound_keys");
}

/// Monitoring asks for them; they stand in the description of the API.
#[test]
fn the_states_of_a_store_are_shown_by_their_words() {
    for (state, word) in [
        (StoreState::Live, "live"),
        (StoreState::Refusing, "refusing"),
        (StoreState::Resyncing, "resyncing"),
        (StoreState::Unreachable, "unreachable"),
        (StoreState::Foreign, "foreign"),
    ] {
        assert_eq!(state.word(), word);
    }
}

#[test]
fn an_error_says_what_is_missing() {
    assert!(are_distinct(ENTITIES.map(|entity| entity.as_str().to_owned())));
    for entity in ENTITIES {
        let said = Error::Unknown(entity).to_string();
        assert!(said.ends_with(entity.as_str()), "{said}");
    }
}

#[test]
fn an_error_says_which_name_breaks_its_rule_or_is_taken() {
    assert!(are_distinct(NAMES.map(|name| name.as_str().to_owned())));
    for name in NAMES {
        for said in [Error::Name(name).to_string(), Error::Taken(name).to_string()] {
            assert!(said.contains(&format!("the {} is ", name.as_str())), "{said}");
        }
    }
}

/// A client that is refused a name is shown the rule that it broke.
#[test]
fn every_kind_of_name_has_a_rule_of_its_own() {
    assert!(are_distinct(NAMES.map(|name| name.rule().to_owned())));
}
