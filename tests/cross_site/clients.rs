//! What common clients say of themselves, as it was recorded: each does what it is
//! meant to, with a password in the body and with Basic.

use http::Method;
use serde_json::json;

use crate::support::client::{Client, json_request, request};

use super::*;

type Fields = &'static [(&'static str, &'static str)];

/// Who, what it sends beside method and body, and whether it is served.
const CLIENTS: &[(&str, Fields, bool)] = &[
    ("curl", &[("user-agent", "curl/8.14.1"), ("accept", "*/*")], true),
    (
        "requests",
        &[("user-agent", "python-requests/2.32.5"), ("accept", "*/*"), ("accept-encoding", "gzip")],
        true,
    ),
    (
        "node's fetch",
        &[("user-agent", "node"), ("sec-fetch-mode", "cors"), ("accept", "*/*")],
        true,
    ),
    ("Go", &[("user-agent", "Go-http-client/2.0")], true),
    (
        "Chromium, fetch of its own page",
        &[
            ("origin", "https://localhost"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
        ],
        true,
    ),
    (
        "Chromium, form of its own page with no-referrer",
        &[
            ("origin", "null"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-user", "?1"),
            ("sec-fetch-dest", "document"),
        ],
        true,
    ),
    (
        "Chromium, a request sent again from the address bar",
        &[("origin", "null"), ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        true,
    ),
    ("Safari 16 without Sec-Fetch-Site", &[("origin", "https://localhost")], true),
    (
        "Chromium, form of a foreign page",
        &[
            ("origin", "https://evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-user", "?1"),
            ("sec-fetch-dest", "document"),
        ],
        false,
    ),
    (
        "Chromium, fetch of a neighbour's page with no-cors",
        &[
            ("origin", "https://blog.localhost"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-mode", "no-cors"),
        ],
        false,
    ),
    (
        "Chromium, a sandboxed frame of a foreign page",
        &[("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")],
        false,
    ),
    ("Safari 16, form of a foreign page", &[("origin", "https://evil.example")], false),
    ("Safari 16, form of a foreign page with no-referrer", &[("origin", "null")], false),
];

#[tokio::test]
async fn common_clients_are_served_and_foreign_pages_are_not() {
    let gateway = Gateway::start(&format!("{MANY}{ECHO}")).await;
    for (who, fields, served) in CLIENTS {
        let body = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
        let anonymous = with(Client::anonymous(&gateway), fields);
        let basic = with(Client::admin(&gateway), fields);
        for protocol in [anonymous.clone(), anonymous.h2()] {
            let answer = protocol.request(json_request("/api/auth/login", &body)).await;
            assert_eq!(answer.status, if *served { 200 } else { 403 }, "{who}: {answer:?}");
        }
        for method in [Method::POST, Method::DELETE] {
            let answer = basic.request(request(method, "/things")).await;
            assert_eq!(answer.status, if *served { 200 } else { 403 }, "{who}: {answer:?}");
        }
    }
}
