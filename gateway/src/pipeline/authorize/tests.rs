use std::sync::Arc;

use uuid::Uuid;

use super::{administrator, authorize, own_endpoint};
use crate::auth::account::{Account, AccountId, Username};
use crate::auth::api_key::{ApiKey, AtomicTimestamp, KeyId};
use crate::auth::principal::{Principal, Proof};
use crate::auth::server::ServerId;
use crate::auth::time::Timestamp;
use crate::config::{Access, KeyAccess};

const OK: &str = "ok";

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn account(roles: &[&str]) -> Arc<Account> {
    let name = Username::parse("ann").unwrap();
    let account = Account::new(AccountId(Uuid::from_u128(1)), name, Timestamp(1));
    Arc::new(Account { roles: texts(roles), ..account })
}

/// Somebody with these roles who came with a password.
fn person(roles: &[&str]) -> Principal {
    Principal::new(account(roles), Proof::Password)
}

/// A key with these scopes, of somebody with these roles.
fn key(roles: &[&str], scopes: &[&str]) -> Principal {
    let account = account(roles);
    let key = ApiKey {
        id: KeyId(Uuid::from_u128(2)),
        owner: account.id,
        name: String::new(),
        shown: String::new(),
        digest: [0; 32],
        server: None,
        scopes: texts(scopes),
        created: Timestamp(1),
        expires: None,
        superseded: AtomicTimestamp::default(),
        last_used: AtomicTimestamp::default(),
    };
    Principal::new(account, Proof::Key(Arc::new(key)))
}

#[track_caller]
fn check(principal: &Principal, roles: &[&str], scopes: &[&str], expected: &str) {
    let keys = KeyAccess::Unbound;
    let access = Access::Authenticated { roles: texts(roles), scopes: texts(scopes), keys };
    let outcome = authorize(principal, &access);
    let code = outcome.as_ref().map_or_else(|rejection| rejection.reason.code(), |()| OK);
    let had = principal.key().map(|key| &key.scopes);
    assert_eq!(code, expected, "{roles:?} {scopes:?} of {:?} {had:?}", principal.account.roles);
}

#[test]
fn any_one_of_a_routes_roles_suffices() {
    check(&person(&["user"]), &[], &[], OK);
    check(&person(&[]), &[], &[], OK);
    check(&person(&["ops"]), &["ops", "dev"], &[], OK);
    check(&person(&["user", "dev"]), &["ops", "dev"], &[], OK);
    check(&person(&["user"]), &["ops", "dev"], &[], "role_missing");
    check(&person(&["op"]), &["ops"], &[], "role_missing");
    check(&person(&["Ops"]), &["ops"], &[], "role_missing");
    check(&person(&[]), &["ops"], &[], "role_missing");
    check(&person(&["admin"]), &["ops"], &[], "role_missing");
}

#[test]
fn a_key_needs_every_one_of_a_routes_scopes() {
    check(&key(&["user"], &["read", "write"]), &[], &["read", "write"], OK);
    check(&key(&["user"], &["a", "write", "read"]), &[], &["read", "write"], OK);
    check(&key(&["user"], &["read"]), &[], &["read", "write"], "scope_missing");
    check(&key(&["user"], &["write"]), &[], &["read", "write"], "scope_missing");
    check(&key(&["user"], &[]), &[], &["read"], "scope_missing");
    check(&key(&["user"], &[]), &[], &[], OK);
    check(&key(&["admin"], &["admin"]), &[], &["read"], "scope_missing");
}

#[test]
fn scopes_concern_keys_only_and_roles_concern_everybody() {
    check(&person(&["user"]), &[], &["read", "write"], OK);
    check(&key(&["ops"], &["read"]), &["ops"], &["read"], OK);
    check(&key(&["user"], &["read"]), &["ops"], &["read"], "role_missing");
    check(&key(&["ops"], &["write"]), &["ops"], &["read"], "scope_missing");
}

#[test]
fn a_public_route_lets_everybody_pass() {
    assert!(authorize(&person(&[]), &Access::Public).is_ok());
    assert!(authorize(&key(&[], &[]), &Access::Public).is_ok());
}

#[test]
fn a_key_administers_only_if_it_was_made_for_that() {
    for (principal, expected) in [
        (person(&["admin"]), OK),
        (person(&["user", "admin"]), OK),
        (person(&["user"]), "role_missing"),
        (key(&["admin"], &["admin"]), OK),
        (key(&["admin"], &["read", "admin"]), OK),
        (key(&["admin"], &["read"]), "scope_missing"),
        (key(&["admin"], &[]), "scope_missing"),
        (key(&["user"], &["admin"]), "role_missing"),
    ] {
        let outcome = administrator(&principal);
        let code = outcome.as_ref().map_or_else(|rejection| rejection.reason.code(), |()| OK);
        assert_eq!(code, expected, "{principal:?}");
    }
}

/// A key of an administrator, bound to a server.
fn bound() -> Principal {
    let owner = key(&["admin"], &["admin"]);
    let key = ApiKey { server: Some(ServerId(Uuid::from_u128(3))), ..owner.key().unwrap().clone() };
    Principal::new(Arc::clone(&owner.account), Proof::Key(Arc::new(key)))
}

#[test]
fn a_route_takes_the_keys_that_it_says() {
    let table = [
        (KeyAccess::Any, OK, OK),
        (KeyAccess::Unbound, OK, "key_bound_to_server"),
        (KeyAccess::Servers, "key_not_bound", OK),
        (KeyAccess::None, "not_for_keys", "not_for_keys"),
    ];
    let code = |principal: &Principal, keys| {
        let access = Access::Authenticated { roles: Vec::new(), scopes: Vec::new(), keys };
        let outcome = authorize(principal, &access);
        outcome.as_ref().map_or_else(|rejection| rejection.reason.code(), |()| OK)
    };
    for (keys, of_unbound, of_bound) in table {
        assert_eq!(code(&person(&[]), keys), OK, "{keys:?}: people always");
        assert_eq!(code(&key(&[], &[]), keys), of_unbound, "{keys:?}");
        assert_eq!(code(&bound(), keys), of_bound, "{keys:?}");
    }
}

#[test]
fn a_key_of_a_server_manages_nothing() {
    assert!(own_endpoint(&person(&[])).is_ok() && own_endpoint(&key(&[], &[])).is_ok());
    let refused = own_endpoint(&bound()).unwrap_err();
    assert_eq!(refused.reason.code(), "key_bound_to_server");
}
