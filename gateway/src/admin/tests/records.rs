//! What is shown of accounts and things. The members are an interface.

use serde_json::{Value, json};

use super::super::record::{Lockout, Registration};
use super::*;
use crate::auth::account::former::FormerPassword;
use crate::auth::account::{HashedPassword, PersonName, Username};
use crate::auth::api_key::{ApiKey, AtomicTimestamp, KeyId};
use crate::auth::server::ServerId;
use crate::auth::session_client::{SessionClient, UserAgent};
use crate::auth::source::Source;
use crate::auth::time::Timestamp;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const TIME: &str = "2027-01-15T08:00:00.000Z";

fn account() -> Account {
    let username = Username::parse("ann").unwrap();
    Account {
        email: Some("ann@example.com".to_owned()),
        email_verified: true,
        name: PersonName {
            full: None,
            first: Some("Ann".to_owned()),
            last: Some("Lee".to_owned()),
        },
        avatar: Some("https://example.com/ann.png".to_owned()),
        github: Some(42),
        roles: texts(&["ops", "admin"]),
        password: Some(HashedPassword("hunter42".to_owned())),
        former: Some(FormerPassword { mac: [42; 32], ends: NOW }),
        registered_from: Some(Box::new([43; 32])),
        last_sign_in: Some(NOW),
        ..Account::new(AccountId(NOBODY), username, NOW)
    }
}

fn key() -> ApiKey {
    ApiKey {
        id: KeyId(Uuid::from_u128(1)),
        owner: AccountId(NOBODY),
        name: "ci".to_owned(),
        shown: "sk_live_abcdef".to_owned(),
        digest: [44; 32],
        server: Some(ServerId(Uuid::from_u128(2))),
        scopes: texts(&["deploy"]),
        created: NOW,
        expires: Some(NOW.plus(Seconds(60))),
        superseded: AtomicTimestamp::default(),
        last_used: AtomicTimestamp::at(Some(NOW)),
    }
}

#[test]
fn a_user_is_shown_by_these_members() {
    let account = account();
    let mut expected = json!({
        "id": NOBODY,
        "username": "ann",
        "email": "ann@example.com",
        "email_verified": true,
        "full_name": null,
        "first_name": "Ann",
        "last_name": "Lee",
        "avatar_url": "https://example.com/ann.png",
        "roles": ["ops", "admin"],
        "state": "enabled",
        "github": true,
        "created": TIME,
        "last_sign_in": TIME,
    });
    assert_eq!(Record::User((&account).into()).members(), expected);
    // Where a user is shown alone, and has signed in.
    let known = account.known_from(HERE, NOW);
    let shown = User::shown_at(&known, NOW.plus(Seconds(1)));
    expected["known_addresses"] = json!(1);
    expected["last_noted"] = json!(TIME);
    assert_eq!(Record::User(shown).members(), expected);
    let known = known.known_from(Source::V4(1), NOW.plus(Seconds(1)));
    let shown = User::shown_at(&known, NOW.plus(Seconds(2)));
    expected["known_addresses"] = json!(2);
    expected["last_noted"] = json!("2027-01-15T08:00:01.000Z");
    assert_eq!(Record::User(shown).members(), expected);
}

/// Of a key that was rotated, the end of the overlap is its end.
#[test]
fn a_key_is_shown_by_these_members() {
    let mut expected = json!({
        "id": Uuid::from_u128(1),
        "owner": NOBODY,
        "name": "ci",
        "shown": "sk_live_abcdef",
        "server": Uuid::from_u128(2),
        "scopes": ["deploy"],
        "created": TIME,
        "expires": "2027-01-15T08:01:00.000Z",
        "last_used": TIME,
    });
    let key = key();
    assert_eq!(Record::Key((&key).into()).members(), expected);
    key.superseded.set(Some(NOW.plus(Seconds(30))));
    expected["expires"] = json!("2027-01-15T08:00:30.000Z");
    assert_eq!(Record::Key((&key).into()).members(), expected);
}

#[tokio::test]
async fn servers_workspaces_members_and_sessions_are_shown_by_these_members() {
    let bench = Bench::new();
    let ann = bench.add("ann").await;
    let server = bench.add_server("web", Some("ann")).await;
    let workspace = bench.add_workspace("lab").await;
    let members = async |request| match bench.ask(request).await.unwrap() {
        Reply::Found(record) => record.members(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        members(Request::ShowServer { id: server }).await,
        json!({ "id": server, "name": "web", "owner": ann, "created": TIME })
    );
    assert_eq!(
        members(Request::ShowWorkspace { id: workspace }).await,
        json!({ "id": workspace, "name": "lab", "created": TIME })
    );
    let set = Request::SetMember { workspace, user: named("ann"), role: "dev".to_owned() };
    assert_eq!(members(set).await, json!({ "user_id": ann, "username": "ann", "role": "dev" }));
    let phone = SessionClient { user_agent: UserAgent::read(b"Phone/1"), ..CLIENT.clone() };
    bench.core.login("ann", &PASSWORD.into(), &phone, ISSUANCE).await.unwrap();
    let session = bench.sessions().await.remove(0);
    assert_eq!(
        Record::Session(session.clone()).members(),
        json!({
            "id": session.id,
            "user_id": ann,
            "address": "203.0.113.7",
            "user_agent": "Phone/1",
            "created": TIME,
            "last_used": TIME,
            "expires": "2027-01-22T08:00:00.000Z",
        })
    );
}

#[test]
fn lockouts_and_registration_are_shown_by_these_members() {
    let (address, locked_until) = ("192.0.2.1".parse().unwrap(), Some(TIME.to_owned()));
    let lockout = Record::Lockout(Lockout { address, failures: 3, locked_until });
    assert_eq!(
        lockout.members(),
        json!({ "address": "192.0.2.1", "failures": 3, "locked_until": TIME })
    );
    let (state, configured) = (Registering::Closed, Registering::Open);
    let registration = Record::Registration(Registration { state, configured, stored: state });
    assert_eq!(
        registration.members(),
        json!({ "state": "closed", "configured": "open", "stored": "closed" })
    );
}

#[test]
fn a_state_is_called_by_the_word_that_is_written() {
    for state in [State::Enabled, State::Disabled] {
        assert_eq!(serde_json::to_value(state).unwrap(), Value::from(state.as_str()));
        let there: crate::auth::account::AccountState = state.into();
        assert_eq!(State::from(there), state);
    }
}

/// Neither in a log nor in an answer.
#[test]
fn no_record_holds_what_a_secret_is_known_by() {
    let (account, key) = (account(), key());
    for record in [Record::User((&account).into()), Record::Key((&key).into())] {
        let written = serde_json::to_string(&record).unwrap();
        for text in [written, format!("{record:?}")] {
            for secret in ["hunter42", "42, 42", "43, 43", "44, 44", "digest", "password"] {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
    }
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let records = [Record::User((&account()).into()), Record::Key((&key()).into())];
    for record in records {
        let written = serde_json::to_value(&record).unwrap();
        let read: Record = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), written);
        assert_eq!(read.members(), record.members());
    }
}

#[test]
fn what_belongs_to_an_account_says_to_which() {
    let (account, key) = (account(), key());
    assert_eq!(Record::Key((&key).into()).account(), Some(NOBODY));
    assert_eq!(Record::User((&account).into()).account(), None, "it is one itself");
    let server = crate::auth::server::Server {
        id: ServerId(Uuid::from_u128(3)),
        name: String::new(),
        owner: None,
        created: NOW,
    };
    assert_eq!(Record::Server((&server).into()).account(), None);
    let owned = crate::auth::server::Server { owner: Some(AccountId(NOBODY)), ..server };
    assert_eq!(Record::Server((&owned).into()).account(), Some(NOBODY));
}
