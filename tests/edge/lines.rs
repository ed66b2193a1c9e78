//! What the log says of a request's connection and credential, and of events inside it.

use serde_json::Value;

use crate::support::client::Client;
use crate::support::gateway::{ECHO, Gateway};
use crate::support::raw::raw;

#[tokio::test]
async fn an_access_line_says_where_for_which_host_by_what_credential_and_to_which_protocol() {
    let gateway = Gateway::start(ECHO).await;
    let listener = gateway.address().to_string();
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    let refused = Client::bearer(&gateway, "no.such.token").host("app.example");
    let refused = upgrade.iter().fold(refused, |client, (name, value)| client.with(name, value));
    let nobody = Client::anonymous(&gateway).host("app.example:8443");
    let known = Client::admin(&gateway).h2().host("app.example");
    for (client, path, host, presented, upgrade) in [
        (refused, "/refused", "app.example", Some("bearer"), Some("websocket")),
        (nobody, "/nobody", "app.example:8443", None, None),
        (known, "/known", "app.example", Some("basic"), None),
    ] {
        client.get(path).await;
        let line =
            gateway.wait_for_log(|line| line["type"] == "access" && line["path"] == path).await;
        assert_eq!(line["listener"], listener, "{line}");
        assert_eq!(line["host"], host, "{line}");
        assert_eq!(line["presented"].as_str(), presented, "{line}");
        assert_eq!(line["upgrade"].as_str(), upgrade, "{line}");
    }
}

// Was: the host of the request that stands in for one that cannot be read.
#[tokio::test]
async fn an_access_line_names_no_host_where_the_request_cannot_be_read() {
    let gateway = Gateway::start(ECHO).await;
    let mut stream = raw(&gateway).await;
    stream.send("GET / HTTP/1.1\r\nHost : app.example\r\n\r\n").await;
    let line = gateway.wait_for_log(|line| line["reason"] == "framing_field").await;
    assert!(line["host"].is_null(), "{line}");
}

#[tokio::test]
async fn an_event_inside_a_request_carries_the_id_that_its_client_was_told() {
    let gateway = Gateway::start(&format!("{ECHO}[client]\ntrusted_proxies = []\n")).await;
    let client = Client::anonymous(&gateway).with("x-forwarded-for", "203.0.113.7");
    let answer = client.get("/").await;
    let is_it = |line: &Value| {
        line["message"].as_str().is_some_and(|text| text.starts_with("forwarding fields ignored"))
    };
    let line = gateway.wait_for_log(is_it).await;
    assert_eq!(line["request_id"], answer.field("x-request-id"), "{line}");
}
