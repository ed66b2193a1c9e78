//! What is not the documented request: which status, which code, and that none
//! of it counts as an attempt.

use http::{Method, Request};

use crate::support::client::{Client, body, request, typed_request};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::raw::raw;

const JSON: &str = "application/json";
const LOGIN: &str = "/api/auth/login";
const REFRESH: &str = "/api/auth/refresh";
const CHANGE: &str = "/api/change-password";

/// A bucket that no table of cases can empty.
fn config() -> String {
    format!("[limits]\nburst = 10000\n{ECHO}")
}

#[tokio::test]
async fn a_body_that_is_not_the_documented_one_is_refused() {
    let gateway = Gateway::start(&config()).await;
    let client = Client::admin(&gateway);
    let anonymous = Client::anonymous(&gateway);
    let cases: &[(&str, &[u8])] = &[
        (LOGIN, b""),
        (LOGIN, b" "),
        (LOGIN, b"{"),
        (LOGIN, b"null"),
        (LOGIN, b"[]"),
        (LOGIN, br#"["admin","correct horse battery"]"#),
        (LOGIN, br#""username""#),
        (LOGIN, b"{}"),
        (LOGIN, br#"{"username":"admin"}"#),
        (LOGIN, br#"{"password":"correct horse battery"}"#),
        (LOGIN, br#"{"username":"admin","password":null}"#),
        (LOGIN, br#"{"username":"admin","password":12345678}"#),
        (LOGIN, br#"{"username":"admin","password":["correct horse battery"]}"#),
        (LOGIN, br#"{"Username":"admin","Password":"correct horse battery"}"#),
        (LOGIN, br#"{"username":"a","username":"admin","password":"correct horse battery"}"#),
        (LOGIN, br#"{"username":"admin","password":"correct horse battery"}{}"#),
        (LOGIN, br#"{"username":"admin","password":"correct horse battery",}"#),
        (LOGIN, br"{'username':'admin','password':'correct horse battery'}"),
        (LOGIN, b"{\"username\":\"admin\",\"password\":\"\xff\xfe\"}"),
        (LOGIN, b"{\"username\":\"admin\",\"password\":\"a\nb\"}"),
        (LOGIN, br#"{"username":"admin","password":"\ud800"}"#),
        (LOGIN, b"username=admin&password=correct+horse+battery"),
        (REFRESH, br#"{"refresh_token":null}"#),
        (REFRESH, br#"{"refresh_token":"a","refresh_token":"b"}"#),
        (CHANGE, b""),
        (CHANGE, b"{}"),
        (CHANGE, br#"["correct horse battery","staple, not battery"]"#),
        (CHANGE, br#"{"current_password":"correct horse battery"}"#),
        (CHANGE, br#"{"new_password":"staple, not battery"}"#),
        (CHANGE, br#"{"current_password":"correct horse battery","new_password":1}"#),
        (CHANGE, br#"{"current_password":"a","new_password":"b","new_password":"c"}"#),
    ];
    for (path, bytes) in cases {
        let caller = if *path == CHANGE { &client } else { &anonymous };
        let answer = caller.request(typed_request(path, JSON, bytes.to_vec())).await;
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(answer.refusal(), (400, "BAD_REQUEST".to_owned()), "{path} {shown}");
    }
    anonymous.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn deep_nesting_is_refused_before_it_costs_anything() {
    let gateway = Gateway::start(ECHO).await;
    let deep = format!(r#"{{"username":{}"#, "[".repeat(30_000));
    let answer = Client::anonymous(&gateway).request(typed_request(LOGIN, JSON, deep)).await;
    answer.refused(400, "BAD_REQUEST");
    Client::anonymous(&gateway).login(ADMIN, ADMIN_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn only_json_is_read() {
    let gateway = Gateway::start(&config()).await;
    let right = format!(r#"{{"username":"{ADMIN}","password":"{ADMIN_PASSWORD}"}}"#);
    let client = Client::anonymous(&gateway);
    for accepted in [JSON, "application/json; charset=utf-8", "Application/JSON ;charset=UTF-8"] {
        let answer = client.request(typed_request(LOGIN, accepted, right.clone())).await;
        assert_eq!(answer.status, 200, "{accepted}");
    }
    for refused in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "application/jsonp",
        "application/json, text/plain",
        "",
    ] {
        let answer = client.request(typed_request(LOGIN, refused, right.clone())).await;
        let expected = (415, "UNSUPPORTED_MEDIA_TYPE".to_owned());
        assert_eq!(answer.refusal(), expected, "{refused:?}");
    }
    let untyped = Request::post(LOGIN).body(body(right)).expect("a request");
    client.request(untyped).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_a_longer_one_is_not() {
    let gateway = Gateway::start(ECHO).await;
    let right = format!(r#"{{"username":"{ADMIN}","password":"{ADMIN_PASSWORD}"}}"#);
    let padded = |length: usize| format!("{right}{}", " ".repeat(length - right.len()));
    for client in [Client::anonymous(&gateway), Client::anonymous(&gateway).h2()] {
        client.request(typed_request(LOGIN, JSON, padded(64 << 10))).await.expect(200);
        let answer = client.request(typed_request(LOGIN, JSON, padded((64 << 10) + 1))).await;
        answer.refused(413, "BODY_TOO_LARGE");
    }
}

/// What one reader takes for a body is the next request to another.
#[tokio::test]
async fn a_login_of_two_lengths_is_refused_and_ends_the_connection() {
    let gateway = Gateway::start(ECHO).await;
    let right = format!(r#"{{"username":"{ADMIN}","password":"{ADMIN_PASSWORD}"}}"#);
    let length = right.len();
    let head = format!("POST {LOGIN} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n");
    let with_length = format!("{head}Content-Length: {length}\r\n\r\n{right}");
    let chunked =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{right}\r\n0\r\n\r\n");
    let mut stream = raw(&gateway).await;
    for accepted in [&with_length, &chunked] {
        stream.send(accepted).await;
        stream.read_response().await.expect(200);
    }
    for refused in [
        chunked.replace("\r\nTransfer", &format!("\r\nContent-Length: {length}\r\nTransfer")),
        with_length.replace("\r\nContent-Length", "\r\nContent-Length: 1\r\nContent-Length"),
    ] {
        let mut stream = raw(&gateway).await;
        stream.send(&refused).await;
        stream.read_response().await.refused(400, "BAD_REQUEST");
        assert!(stream.is_closed().await, "more than one answer to {refused:?}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let gateway = Gateway::start(&config()).await;
    let client = Client::admin(&gateway);
    for (path, right) in [
        (LOGIN, Method::POST),
        (REFRESH, Method::POST),
        (CHANGE, Method::POST),
        ("/api/logout", Method::POST),
        ("/api/ws-token", Method::GET),
        ("/health", Method::GET),
        ("/api/health", Method::GET),
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            if method == right {
                continue;
            }
            let answer = client.request(request(method.clone(), path)).await;
            let answer = answer.refused(405, "METHOD_NOT_ALLOWED");
            let allowed: Vec<&str> = answer.field("allow").split(", ").collect();
            assert!(allowed.contains(&right.as_str()), "{method} {path}: {answer:?}");
            assert!(!allowed.contains(&method.as_str()), "{method} {path}: {answer:?}");
        }
    }
}
