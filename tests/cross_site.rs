//! What a foreign page makes a visitor's browser send: refused before it is verified
//! or counted, while every page and client that is meant goes on.

mod clients;
mod credentials;
mod sign_in;
mod tickets;

use http::Request;
use serde_json::Value;

use crate::support::client::{Answer, Body, Client};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};

/// As many failures as lock an address out.
const ATTEMPTS: usize = 5;
/// Whoever is refused and whoever is not comes from here.
const VISITOR: &str = "203.0.113.7";
/// A page that nobody lists.
const FOREIGN: &[(&str, &str)] =
    &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
/// What the tests' listed page sends from another site.
const LISTED: &[(&str, &str)] =
    &[("origin", "https://app.example"), ("sec-fetch-site", "cross-site")];
/// A form of a page with `Referrer-Policy: no-referrer`, as helmet sets it.
const NO_REFERRER: &[(&str, &str)] = &[("origin", "null"), ("sec-fetch-site", "same-origin")];

/// Many requests in a moment, with the attempts as few as ever.
const MANY: &str = "[limits]\nburst = 10000\n";

fn with(client: Client, fields: &[(&str, &str)]) -> Client {
    fields.iter().fold(client, |client, (name, value)| client.with(name, value))
}

fn visitor(gateway: &Gateway, fields: &[(&str, &str)]) -> Client {
    with(Client::anonymous(gateway).from_address(VISITOR), fields)
}

/// The visitor is still let in with a password, by Basic and by login.
async fn check_not_locked_out(gateway: &Gateway) {
    visitor(gateway, &[]).login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    Client::admin(gateway).from_address(VISITOR).get("/api/ws-token").await.expect(200);
}

async fn access_line(gateway: &Gateway, answer: &Answer) -> Value {
    let id = answer.field("x-request-id").to_owned();
    let is_it = |line: &Value| line["type"] == "access" && line["request_id"] == *id;
    gateway.wait_for_recent_log(is_it).await
}

/// Refused as cross-site, as the log has it.
async fn check_refused(gateway: &Gateway, client: &Client, request: Request<Body>) -> Answer {
    let what = format!("{} {}", request.method(), request.uri());
    let answer = client.request(request).await;
    assert_eq!(answer.status, 403, "{what}: {answer:?}");
    let line = access_line(gateway, &answer).await;
    assert_eq!(line["reason"], "cross_site", "{what}: {line}");
    assert!(line["detail"].as_str().is_some_and(|detail| detail.contains("`origins`")), "{line}");
    answer
}
