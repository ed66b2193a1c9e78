use http::Request;

use super::*;
use crate::dialect::Verb;

#[test]
fn an_endpoint_takes_a_secret_if_anybody_may_call_it_or_it_tries_one() {
    let takes = |admission, attempt| {
        takes_secret(&Endpoint {
            method: Verb::Post,
            path: "/",
            fixed: false,
            operation: Operation::Describe,
            admission,
            attempt,
        })
    };
    for attempt in [Attempt::Password, Attempt::RefreshToken, Attempt::Code, Attempt::None] {
        assert!(takes(Admission::Public, attempt), "{attempt:?}");
        for admission in [Admission::Authenticated, Admission::Bearer, Admission::Administrator] {
            assert_eq!(takes(admission, attempt), attempt != Attempt::None, "{attempt:?}");
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
        let told = telltale(&parts, body.as_bytes()).map_err(|rejection| rejection.reason.code());
        told.map(|told| {
            let media_type = told.content_type.map(str::to_owned);
            (media_type, told.members, told.authorization, told.refresh_cookie)
        })
    };
    let nothing = (None, Vec::new(), false, false);
    assert_eq!(read(&[], ""), Ok(nothing.clone()));
    assert_eq!(
        read(&[("content-type", "application/json")], "{\"username\":\"ann\"}"),
        Ok((Some("application/json".to_owned()), vec!["username".to_owned()], false, false))
    );
    let bearer = (None, Vec::new(), true, false);
    assert_eq!(read(&[("authorization", "Bearer x")], "[]"), Ok(bearer));
    let cookie = format!("{REFRESH_COOKIE}=x");
    let by_cookie = (None, Vec::new(), false, true);
    assert_eq!(read(&[("cookie", &cookie)], ""), Ok(by_cookie));
    assert_eq!(read(&[("cookie", "other=x")], ""), Ok(nothing));
    assert_eq!(read(&[("cookie", &cookie), ("cookie", &cookie)], ""), Err("credentials_conflict"));
}
