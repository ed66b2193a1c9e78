//! Which contract a request for a shared path speaks (C1 to C4), and who shapes
//! refusals where (C14).

mod decode;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::account::{Account, AccountId, Username};
use crate::auth::login::{AccessToken, TokenPair};
use crate::auth::password::PasswordRule;
use crate::auth::ports::{StoreHealth, StoreState};
use crate::auth::time::{Seconds, Timestamp};
use crate::contract::shared_path::{RequestTraits, may_share_prefix};

use super::delivery::{ACCESS_COOKIE, Delivery, DeliveryRule, REFRESH_COOKIE};
use super::disambiguate::{Chosen, choose};
use super::envelope::Envelope;
use super::form::Form;
use super::notation::plain_user;
use super::plain::Plain;
use super::status::Status;
use super::{
    Answer, ClientError, Context, Contract, Dialect, Dialects, EndpointAccess, ErrorKind, Health,
    HealthPaths, Operation, Outcome, Resolution, Serving, Settings, body,
};

/// What outcomes are encoded for.
pub(super) const fn context(operation: Operation, delivery: Delivery) -> Context<'static> {
    Context { now: Timestamp(0), delivery, operation, typed: None }
}

pub(super) fn settings(prefix: &str) -> Settings {
    Settings {
        prefix: prefix.to_owned(),
        access_ttl: Seconds(60),
        refresh_ttl: Seconds(600),
        password: PasswordRule::default(),
        delivery: DeliveryRule::Always(Delivery::Body),
    }
}

fn contracts() -> Vec<Arc<dyn Dialect>> {
    vec![
        Arc::new(Status { settings: settings("/api"), rotate: true }),
        Arc::new(Plain::new(settings("/api/v1"), true, false)),
        Arc::new(Envelope { settings: settings("/api"), callback: None }),
        Arc::new(Form(settings("/api/v1"))),
    ]
}

fn mounted(contracts: Vec<Arc<dyn Dialect>>) -> Dialects {
    Dialects::new(contracts, HealthPaths::Own, EndpointAccess::Authenticated)
        .expect("the paths are told apart")
}

fn all() -> Dialects {
    mounted(contracts())
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Path, content type, body, whether `Authorization` and a refresh cookie are there; whose,
/// where that is not for the order to say.
type Row = (&'static str, Option<&'static str>, &'static str, bool, bool, Option<Contract>);

#[test]
fn contracts_that_share_a_path_are_told_apart_by_the_request() {
    use Contract::{Envelope, Form, Plain, Status};
    let v1_login = "/api/v1/auth/login";
    let v1_refresh = "/api/v1/auth/refresh";
    let login = "/api/auth/login";
    let refresh = "/api/auth/refresh";
    let table: &[Row] = &[
        // C1: by content type.
        (v1_login, Some(FORM), "username=a&password=b", false, false, Some(Form)),
        (
            v1_login,
            Some("application/x-www-form-urlencoded; charset=utf-8"),
            "",
            false,
            false,
            Some(Form),
        ),
        (v1_login, Some(JSON), r#"{"username":"a","password":"b"}"#, false, false, Some(Plain)),
        (v1_login, Some("text/plain"), "username=a", false, false, None),
        (v1_login, None, "", false, false, None),
        // C2: by member name.
        (v1_refresh, Some(JSON), r#"{"refresh_token":"a"}"#, false, false, Some(Form)),
        (v1_refresh, Some(JSON), r#"{"refreshToken":"a"}"#, false, false, Some(Plain)),
        (v1_refresh, Some(JSON), r#"{"refreshToken":"a","refresh_token":"b"}"#, false, false, None),
        (v1_refresh, Some(JSON), r#"["refresh_token"]"#, false, false, None),
        (v1_refresh, Some(JSON), "{", false, false, None),
        // C3: by member name; both or neither go to the default.
        (login, Some(JSON), r#"{"username":"a","password":"b"}"#, false, false, Some(Status)),
        (login, Some(JSON), r#"{"email":"a","password":"b"}"#, false, false, Some(Envelope)),
        (login, Some(JSON), r#"{"email":"a","username":"a"}"#, false, false, None),
        (login, Some(JSON), "{}", false, false, None),
        // C4: a token in the body, else the one that is presented.
        (refresh, Some(JSON), r#"{"refresh_token":"a"}"#, false, false, Some(Status)),
        (refresh, Some(JSON), r#"{"refresh_token":"a"}"#, true, false, Some(Status)),
        (refresh, None, "", true, false, Some(Envelope)),
        (refresh, None, "", false, false, Some(Envelope)),
        (refresh, None, "", false, true, Some(Status)),
        (refresh, None, "", true, true, Some(Envelope)),
    ];
    let reversed: Vec<_> = contracts().into_iter().rev().collect();
    for (dialects, defaults) in [(all(), [Status, Plain]), (mounted(reversed), [Envelope, Form])] {
        for (path, content_type, text, authorization, refresh_cookie, expected) in table {
            let Resolution::Ours { candidates, .. } = dialects.resolve(&Method::POST, path) else {
                panic!("{path} is ours");
            };
            let told = RequestTraits {
                media: body::media(*content_type),
                members: body::members(text.as_bytes()),
                authorization: *authorization,
                refresh_cookie: *refresh_cookie,
            };
            let (chosen, several) = match choose(&candidates, &told).expect("somebody answers") {
                Chosen::One(chosen) => (chosen, false),
                Chosen::Several(default) => (default, true),
            };
            let has = |name: &str| told.members.iter().any(|member| member == name);
            let both =
                has("username") && has("email") || has("refreshToken") && has("refresh_token");
            assert_eq!(several, both, "{path} {text} {told:?}");
            let default = defaults[usize::from(path.starts_with("/api/v1"))];
            let expected = expected.unwrap_or(default);
            assert_eq!(chosen.dialect.contract(), expected, "{path} {text} {told:?}");
        }
    }
}

/// The contract mounted at this prefix.
fn mounted_at(contract: Contract, prefix: &str) -> Arc<dyn Dialect> {
    match contract {
        Contract::Status => Arc::new(Status { settings: settings(prefix), rotate: true }),
        Contract::Envelope => Arc::new(Envelope { settings: settings(prefix), callback: None }),
        Contract::Plain => Arc::new(Plain::new(settings(prefix), true, false)),
        _ => Arc::new(Form(settings(prefix))),
    }
}

/// Was: of two contracts at one path that no rule knows, the second could not be reached, and
/// nobody was told.
#[test]
fn a_path_of_two_contracts_without_a_rule_stops_the_start() {
    use Contract::{Envelope, Form, Plain, Status};
    let new = |contracts: Vec<Arc<dyn Dialect>>| {
        Dialects::new(contracts, HealthPaths::Own, EndpointAccess::Authenticated).err()
    };
    let all = [Form, Status, Envelope, Plain];
    for one in all {
        for other in all {
            let ambiguous = new(vec![mounted_at(one, "/api"), mounted_at(other, "/api")]);
            // The configuration asks nothing else.
            let expected = one != other && may_share_prefix(one, other);
            assert_eq!(ambiguous.is_none(), expected, "{one:?} {other:?}: {ambiguous:?}");
        }
    }
    let ambiguous = new(vec![mounted_at(Status, "/api"), mounted_at(Plain, "/api")]);
    assert_eq!(
        ambiguous.expect("both have a login").to_string(),
        "/api/auth/login: POST is an endpoint of status and of plain, and nothing tells their \
         requests apart; give one of them another prefix"
    );
    // At a path of one contract's own, by the prefix of another.
    let links = super::links::Links {
        prefix: "/api/auth/login".to_owned(),
        mail: false,
        pages: Box::new(super::row::tests::Told),
    };
    assert!(new(vec![mounted_at(Status, "/api"), Arc::new(links)]).is_some());
}

#[test]
fn a_refusal_has_the_shape_of_the_longest_prefix_above_its_path() {
    let dialects = all();
    for (path, expected) in [
        ("/api/v1/servers", Contract::Plain),
        ("/api/v1/auth/login", Contract::Plain),
        ("/api/v1/auth/register", Contract::Form),
        ("/api/v10", Contract::Status),
        ("/api/auth/me", Contract::Envelope),
        ("/api/auth/login", Contract::Status),
        ("/api/auth/unknown", Contract::Status),
        ("/", Contract::Status),
    ] {
        let shape = dialects.shape(path).expect("some dialect is mounted");
        assert_eq!(shape.contract(), expected, "{path}");
    }
}

#[test]
fn another_method_is_told_which_ones_the_path_has() {
    let dialects = all();
    for (method, path, allow) in [
        (Method::GET, "/api/v1/auth/login", "POST"),
        (Method::PUT, "/api/v1/auth/keys", "GET, HEAD, POST"),
        (Method::GET, "/api/v1/auth/keys/key_a", "DELETE"),
    ] {
        match dialects.resolve(&method, path) {
            Resolution::WrongMethod(found) => assert_eq!(found, allow, "{path}"),
            _ => panic!("{path} has no {method}"),
        }
    }
    assert!(matches!(dialects.resolve(&Method::GET, "/api/v1/auth"), Resolution::NotOurs));
}

#[test]
fn every_endpoint_is_documented_and_every_documented_one_is_there() {
    let dialects = all();
    for dialect in &dialects.mounted {
        let body = dialects.document(dialect.contract()).body;
        let document: serde_json::Value = serde_json::from_slice(&body).expect("it is JSON");
        let paths = document["paths"].as_object().expect("it has paths");
        let documented = paths.values().filter_map(|methods| methods.as_object());
        let documented: usize = documented.map(serde_json::Map::len).sum();
        let written = super::openapi::describe(dialect.contract(), dialect.prefix(), |_, _| true);
        let written = written.expect("it has a document");
        assert_eq!(documented, dialect.endpoints().len(), "{:?}", dialect.contract());
        assert_eq!(body.len(), written.len(), "{:?}", dialect.contract());
    }
}

/// Which tokens an answer brings by cookies.
fn cookies(answer: &Answer) -> Vec<&str> {
    let values = answer.fields.iter().filter_map(|(_, value)| value.to_str().ok());
    values.filter_map(|value| value.split_once('=')).map(|(name, _)| name).collect()
}

#[test]
fn tokens_are_in_the_members_of_their_contract_or_in_cookies() {
    let pair = || TokenPair {
        access: AccessToken { text: "of access".into(), ttl: Seconds(60) },
        refresh: "of refresh".into(),
        superseded: Vec::new(),
    };
    let id = AccountId(Uuid::from_u128(7));
    let ann = Account {
        email: Some("ann@example.com".to_owned()),
        ..Account::new(id, Username::parse("ann").expect("a name"), Timestamp(0))
    };
    let ann = Arc::new(ann);
    let user = json!({ "id": plain_user(id), "username": "ann", "email": "ann@example.com" });
    let (access, both) = (&[ACCESS_COOKIE][..], &[ACCESS_COOKIE, REFRESH_COOKIE][..]);
    let outcomes = || {
        [Outcome::SignedIn(Arc::clone(&ann), pair()), Outcome::Refreshed(Arc::clone(&ann), pair())]
    };
    for delivery in [Delivery::Body, Delivery::Cookie] {
        let settings = || settings("/api");
        let status = json!({
            "status": "success", "access_token": "of access", "refresh_token": "of refresh",
            "token_type": "Bearer",
        });
        let contracts: [(&dyn Dialect, _); 3] = [
            (
                &Status { settings: settings(), rotate: true },
                [(status.clone(), both), (status, both)],
            ),
            (
                &Form(settings()),
                [
                    (
                        json!({
                            "access_token": "of access", "refresh_token": "of refresh",
                            "token_type": "bearer",
                        }),
                        both,
                    ),
                    (json!({ "access_token": "of access", "token_type": "bearer" }), access),
                ],
            ),
            (
                &Plain::new(settings(), true, false),
                [
                    (
                        json!({
                            "token": "of access", "expires_in": 60, "refreshToken": "of refresh",
                            "user": user,
                        }),
                        both,
                    ),
                    (json!({ "token": "of access", "expires_in": 60 }), access),
                ],
            ),
        ];
        for (dialect, expected) in contracts {
            let operations = [Operation::Login, Operation::Refresh];
            for ((operation, outcome), (mut body, by_cookie)) in
                operations.into_iter().zip(outcomes()).zip(expected)
            {
                let encoded = dialect.encode(outcome, context(operation, delivery));
                let answer = encoded.expect("it is encoded");
                if delivery == Delivery::Cookie {
                    let members = body.as_object_mut().expect("an object");
                    members.retain(|_, value| *value != "of access" && *value != "of refresh");
                    assert_eq!(cookies(&answer), by_cookie, "{:?}", dialect.contract());
                } else {
                    assert!(answer.fields.is_empty(), "{answer:?}");
                }
                assert_eq!(answer.status, 200);
                let said: Value = serde_json::from_slice(&answer.body).expect("it is JSON");
                assert_eq!(said, body, "{:?}", dialect.contract());
            }
        }
    }
}

/// Whatever the closed registration's code is called: the contract has one for every way in
/// which one cannot register (S2-13), and others' codes stay as they are.
#[test]
fn the_envelope_has_one_code_for_whoever_cannot_register() {
    let envelope = Envelope { settings: settings("/api"), callback: None };
    for (kind, expected) in [
        (ErrorKind::RegistrationClosed, "LOCAL_AUTH_DISABLED"),
        (ErrorKind::TokenRefused, "CODE"),
        (ErrorKind::UnknownUser, "CODE"),
        (ErrorKind::Other, "CODE"),
    ] {
        let error = ClientError { code: "CODE", message: "Words", kind, at: Timestamp(0) };
        let body: Value = serde_json::from_slice(&envelope.refusal(&error)).expect("it is JSON");
        assert_eq!(body["error"], json!({ "code": expected, "message": "Words" }), "{kind:?}");
    }
}

#[test]
fn each_contract_asks_of_a_password_what_it_was_told_to() {
    for special in [false, true] {
        let settings =
            |prefix: &str| Settings { password: PasswordRule { special }, ..settings(prefix) };
        let mounted: [&dyn Dialect; 4] = [
            &Status { settings: settings("/api"), rotate: true },
            &Plain::new(settings("/api/v1"), true, false),
            &Envelope { settings: settings("/api"), callback: None },
            &Form(settings("/api/v1")),
        ];
        for dialect in mounted {
            assert_eq!(dialect.password_rule().special, special, "{:?}", dialect.contract());
        }
    }
}

#[test]
fn health_tells_how_a_shared_store_is_and_nothing_of_one_s_own() {
    let store = |state, staleness, undelivered| Some(StoreHealth { state, staleness, undelivered });
    let some_ms = Duration::from_micros(1_250_900);
    for (serving, store, status, expected) in [
        (Serving::Healthy, None, 200, json!({ "status": "healthy" })),
        (Serving::Draining, None, 503, json!({ "status": "draining" })),
        (
            Serving::Healthy,
            store(StoreState::Live, Some(Duration::ZERO), 0),
            200,
            json!({
                "status": "healthy",
                "store": { "state": "live", "staleness_ms": 0, "undelivered": 0 },
            }),
        ),
        (
            Serving::Healthy,
            store(StoreState::Resyncing, None, 2),
            200,
            json!({ "status": "healthy", "store": { "state": "resyncing", "undelivered": 2 } }),
        ),
        (
            Serving::WithoutStore,
            store(StoreState::Unreachable, Some(some_ms), 0),
            503,
            json!({
                "status": "store_unavailable",
                "store": { "state": "unreachable", "staleness_ms": 1250, "undelivered": 0 },
            }),
        ),
    ] {
        let dialect = Status { settings: settings("/api"), rotate: true };
        let health =
            Health { serving, version: "1.2.3", pending_update: None, cves: Vec::new(), store };
        let wanted = context(Operation::Health, Delivery::Body);
        let answer = dialect.encode(Outcome::Health(health), wanted).expect("it is encoded");
        let mut expected = expected;
        expected["version"] = json!("1.2.3");
        assert_eq!(answer.status, status, "{expected}");
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(said, expected);
    }
}
