//! Pages of other origins: a preflight is answered without a credential, and a response
//! is readable where a policy lists the page, be it an upstream's or a refusal.

mod auth_api;
mod preflights;
mod responses;

use http::{Method, Request};
use serde_json::Value;

use crate::support::client::{Answer, Body, Client, body, request};
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

/// Listed by the tests' policies.
const PAGE: &str = "https://app.example";
/// Listed by none.
const FOREIGN: &str = "https://evil.example";
/// The policy that lists `PAGE`, in a route's own table.
const POLICY: &str = "cors = { origins = [\"https://app.example\"] }\n";

/// A route to the upstream `app` for whoever is authenticated, with more keys.
fn route(keys: &str) -> String {
    format!("[[route]]\nupstream = \"app\"\n{keys}")
}

async fn in_front_of(app: &Upstream, routes: &str) -> Gateway {
    Gateway::start(&format!("{}{routes}", app.section("app"))).await
}

fn page(gateway: &Gateway, origin: &str) -> Client {
    Client::anonymous(gateway).with("origin", origin)
}

/// What a browser asks before a page uses this method and these fields.
fn preflight(path: &str, method: &str, fields: &str) -> Request<Body> {
    let mut request = request(Method::OPTIONS, path);
    let headers = request.headers_mut();
    headers.insert("access-control-request-method", method.parse().expect("a field value"));
    if !fields.is_empty() {
        headers.insert("access-control-request-headers", fields.parse().expect("a field value"));
    }
    request
}

/// Every field of the protocol, as `name: value` in order.
fn family(answer: &Answer) -> Vec<String> {
    let of_family = |name: &http::HeaderName| name.as_str().starts_with("access-control-");
    let mut lines: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| of_family(name))
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("visible ASCII")))
        .collect();
    lines.sort();
    lines
}

/// A page of `PAGE` may read it: its origin once, and nothing that lets others.
#[track_caller]
fn assert_readable(answer: &Answer) {
    assert_eq!(answer.field("access-control-allow-origin"), PAGE, "{answer:?}");
    assert!(answer.fields("access-control-allow-credentials").is_empty(), "{answer:?}");
    let exposed = answer.field("access-control-expose-headers");
    for name in ["retry-after", "www-authenticate", "x-request-id"] {
        assert!(exposed.split(", ").any(|known| known == name), "{name}: {answer:?}");
    }
    assert_varies(answer);
}

#[track_caller]
fn assert_varies(answer: &Answer) {
    let names = answer.fields("vary").join(",").to_ascii_lowercase();
    assert!(names.split(',').any(|name| name.trim() == "origin"), "{answer:?}");
}

async fn access_line(gateway: &Gateway, answer: &Answer) -> Value {
    let id = answer.field("x-request-id").to_owned();
    let is_it = |line: &Value| line["type"] == "access" && line["request_id"] == *id;
    gateway.wait_for_recent_log(is_it).await
}

async fn check_logged(gateway: &Gateway, answer: &Answer, reason: &str, detail: &str) {
    let line = access_line(gateway, answer).await;
    assert_eq!(line["reason"], reason, "{line}");
    assert!(line["detail"].as_str().unwrap_or_default().contains(detail), "{detail}: {line}");
}

fn posted(path: &str, bytes: usize) -> Request<Body> {
    Request::post(path).body(body(vec![b'x'; bytes])).expect("a request")
}
