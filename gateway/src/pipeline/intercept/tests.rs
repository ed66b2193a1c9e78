use std::net::IpAddr;

use http::Request;
use uuid::Uuid;

use super::audit::detail_of;
use super::*;
use crate::auth::api_key::KeyId;
use crate::auth::error::{Refusal, StoreError};
use crate::auth::password::PasswordRule;
use crate::auth::ports::FailureLimit;
use crate::auth::source::Source;
use crate::auth::time::Seconds;
use crate::auth::workspace::WorkspaceId;
use crate::config::Counted;
use crate::contract::shared_path::Media;
use crate::dialect::delivery::{Delivery, DeliveryRule};
use crate::dialect::plain::Plain;
use crate::dialect::{Settings, Verb};
use crate::pipeline::throttle::{Limits, Page};

fn endpoint(access: EndpointAccess, attempt: Attempt) -> Endpoint {
    let (method, operation) = (Verb::Post, Operation::Refresh);
    Endpoint { method, path: "/", fixed: false, operation, access, attempt }
}

#[test]
fn an_endpoint_takes_a_secret_if_anybody_may_call_it_or_it_tries_one() {
    let takes = |access, attempt| takes_secret(&endpoint(access, attempt));
    for attempt in [Attempt::Password, Attempt::RefreshToken, Attempt::Code, Attempt::None] {
        assert!(takes(EndpointAccess::Public, attempt), "{attempt:?}");
        for access in
            [EndpointAccess::Authenticated, EndpointAccess::Bearer, EndpointAccess::Administrator]
        {
            assert_eq!(takes(access, attempt), attempt != Attempt::None, "{attempt:?}");
        }
    }
}

#[test]
fn what_tells_dialects_apart_is_read_from_the_request() {
    let read = |fields: &[(&str, &str)], body: &str| {
        let mut request = Request::post("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let told = traits(&parts, body.as_bytes()).map_err(|rejection| rejection.reason.code());
        told.map(|told| {
            let media = told.media;
            (media, told.members, told.authorization, told.refresh_cookie)
        })
    };
    let nothing = (Media::Other, Vec::new(), false, false);
    assert_eq!(read(&[], ""), Ok(nothing.clone()));
    assert_eq!(
        read(&[("content-type", "application/json")], "{\"username\":\"ann\"}"),
        Ok((Media::Json, vec!["username".to_owned()], false, false))
    );
    let bearer = (Media::Other, Vec::new(), true, false);
    assert_eq!(read(&[("authorization", "Bearer x")], "[]"), Ok(bearer));
    let cookie = format!("{REFRESH_COOKIE}=x");
    let by_cookie = (Media::Other, Vec::new(), false, true);
    assert_eq!(read(&[("cookie", &cookie)], ""), Ok(by_cookie));
    assert_eq!(read(&[("cookie", "other=x")], ""), Ok(nothing));
    assert_eq!(read(&[("cookie", &cookie), ("cookie", &cookie)], ""), Err("credentials_conflict"));
}

#[test]
fn a_refresh_token_in_a_cookie_counts_where_cookies_are_given_and_no_body_brings_one() {
    let refresh_token = |delivery, attempt, body: &[u8], cookie: &str| {
        let (access_ttl, refresh_ttl) = (Seconds(60), Seconds(600));
        let (prefix, password) = ("/api/v1/auth".to_owned(), PasswordRule::default());
        let settings = Settings { prefix, access_ttl, refresh_ttl, password, delivery };
        let dialect = Plain::new(settings, false, false);
        let request = Request::post("/").header("cookie", cookie).body(());
        let (parts, ()) = request.expect("a request").into_parts();
        let (client, request_id) = (IpAddr::from([192, 0, 2, 1]), "request".into());
        let source = Source::of(client);
        let failures = FailureLimit { attempts: 5, user_attempts: 30, window: Seconds(300) };
        let limits = Limits::new(failures, Duration::ZERO, Counted::Passwords).into();
        let caller = Caller { client, source, request_id, page: Page::Meant, limits };
        let origin = Origin { host: "gate.example", scheme: "https" };
        let call = Call { caller: &caller, parts: &parts, origin, parameters: &[] };
        let endpoint = endpoint(EndpointAccess::Public, attempt);
        let found = refresh_cookie(&endpoint, &dialect, &call, body);
        found.map(|token| token.map(str::to_owned)).map_err(|rejection| rejection.reason.code())
    };
    let cookie = format!("{REFRESH_COOKIE}=secret");
    let twice = format!("{cookie}; {cookie}");
    let found = Ok(Some("secret".to_owned()));
    let (by_body, by_cookie) =
        (DeliveryRule::Always(Delivery::Body), DeliveryRule::Always(Delivery::Cookie));
    for (delivery, attempt, body, cookie, expected) in [
        (by_cookie, Attempt::RefreshToken, &b""[..], &*cookie, found.clone()),
        (DeliveryRule::ByClient, Attempt::RefreshToken, b"", &cookie, found),
        (by_cookie, Attempt::RefreshToken, b"", "other=x", Ok(None)),
        (by_cookie, Attempt::RefreshToken, b"", &twice, Err("credentials_conflict")),
        (by_cookie, Attempt::RefreshToken, b"{}", &cookie, Ok(None)),
        (by_cookie, Attempt::Password, b"", &cookie, Ok(None)),
        (by_body, Attempt::RefreshToken, b"", &cookie, Ok(None)),
        (by_body, Attempt::RefreshToken, b"", &twice, Ok(None)),
    ] {
        assert_eq!(refresh_token(delivery, attempt, body, cookie), expected, "{cookie} {body:?}");
    }
}

#[test]
fn what_the_store_could_not_do_is_audited_as_failed_and_not_as_refused() {
    for (error, outcome) in [
        (Error::Store(StoreError::Busy), Outcome::Failed),
        (Error::Store(StoreError::Unavailable("away".into())), Outcome::Failed),
        (Refusal::PasswordWrong.into(), Outcome::Refused),
        (Error::LastAdministrator, Outcome::Refused),
    ] {
        assert_eq!(outcome_of(&error), outcome, "{error:?}");
    }
}

#[test]
fn the_key_or_workspace_that_a_command_names_is_in_its_audit_line() {
    let id = Uuid::from_u128(7);
    let (key, workspace) = (Some(KeyId(id)), Some(WorkspaceId(id)));
    for (command, expected) in [
        (Command::DeleteKey { key }, Some(format!("key {id}"))),
        (Command::SwitchWorkspace { workspace }, Some(format!("workspace {id}"))),
        (Command::RotateKey { key, overlap: Seconds(0) }, Some(format!("key {id}"))),
        (Command::DeleteKey { key: None }, None),
        (Command::SwitchWorkspace { workspace: None }, None),
        (Command::Logout, None),
    ] {
        assert_eq!(detail_of(&command), expected);
    }
}
