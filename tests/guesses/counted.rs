//! Every kind of credential that can be refused, and whether it counts.

use http::{Method, Request};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::client::{Body, Client, json_request, request, typed_request};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::github::{CLIENT_SECRET, GitHub};
use crate::support::tunnel::Tunnel;
use crate::support::websocket::handshake;

/// When a refusal is a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Always,
    /// With `limits.count = "all"`.
    WithAll,
    Never,
}

use Counts::{Always, Never, WithAll};

const ROUTES: &str = "\
    [[route]]\nupstream = \"echo\"\n\
    [[route]]\npath = \"/agents\"\nupstream = \"echo\"\nagents = \"any\"\n\
    [[route]]\npath = \"/logs\"\nupstream = \"echo\"\nws_token = true\n";

struct Attempt {
    kind: &'static str,
    counts: Counts,
    status: u16,
    request: Request<Body>,
}

/// One of each kind, all of them refused.
fn attempts() -> Vec<Attempt> {
    let mut all = Vec::new();
    let mut add = |kind, counts, status, request| {
        all.push(Attempt { kind, counts, status, request });
    };
    let page = || request(Method::GET, "/");
    let with = |name: &str, value: &[u8]| {
        let mut request = page();
        let name: http::HeaderName = name.parse().expect("a field name");
        let value = http::HeaderValue::from_bytes(value).expect("a field value");
        request.headers_mut().insert(name, value);
        request
    };
    let credentials = |name: &str| json!({ name: ADMIN, "password": "wrong" });
    let form = "application/x-www-form-urlencoded";

    // Passwords, by whichever door.
    let body = format!("username={ADMIN}&password=wrong");
    add("form login", Always, 401, typed_request("/api/v1/auth/login", form, body));
    add("plain login", Always, 401, json_request("/api/v1/auth/login", &credentials("username")));
    add("status login", Always, 401, json_request("/api/auth/login", &credentials("username")));
    add("envelope login", Always, 401, json_request("/api/auth/login", &credentials("email")));
    add("an unknown user", Always, 401, with("authorization", b"Basic bm9ib2R5Ondyb25n"));
    add("Basic", Always, 401, with("authorization", b"Basic YWRtaW46d3Jvbmc="));
    add("Basic that is no base64", Always, 401, with("authorization", b"Basic !"));
    add("Basic without a colon", Always, 401, with("authorization", b"Basic YQ=="));
    add("empty Basic", Always, 401, with("authorization", b"Basic"));
    add("no text", Always, 401, with("authorization", b"Basic \xff"));
    let mut change = json_request(
        "/api/change-password",
        &json!({ "current_password": "wrong", "new_password": "a new password" }),
    );
    let right = crate::support::client::basic(ADMIN, ADMIN_PASSWORD);
    change.headers_mut().insert("authorization", right.parse().expect("a field value"));
    add("change-password", Always, 401, change);
    let code = json!({ "code": "0".repeat(20) });
    add("a GitHub code", Always, 401, json_request("/api/auth/github", &code));

    // What cannot be guessed.
    add("a bad token", WithAll, 401, with("authorization", b"Bearer eyJhbGciOi"));
    add("a token that is no text", WithAll, 401, with("authorization", b"Bearer \xff"));
    add("a malformed key", WithAll, 401, with("x-api-key", b"sk_live_wrong"));
    add("a key that is no text", WithAll, 401, with("x-api-key", b"\xff"));
    add("a key as a token", WithAll, 401, with("authorization", b"Bearer sk_live_wrong"));
    for (kind, path, member) in [
        ("a refresh token to status", "/api/auth/refresh", "refresh_token"),
        ("a refresh token to form", "/api/v1/auth/refresh", "refresh_token"),
        ("a refresh token to plain", "/api/v1/auth/refresh", "refreshToken"),
    ] {
        add(kind, WithAll, 401, json_request(path, &json!({ member: "wrong" })));
    }
    add("an unknown ticket", WithAll, 401, handshake(&format!("/logs?token={}", "0".repeat(64))));

    // Nothing was tried.
    add("no credential", Never, 401, page());
    add("another scheme", Never, 401, with("authorization", b"Digest x"));
    add(
        "a body that is none",
        Never,
        400,
        typed_request("/api/auth/login", "application/json", "{"),
    );
    let unacceptable = json!({ "username": "ann", "email": "ann@example.com", "password": "short",
        "password_confirm": "short", "full_name": "Ann" });
    add("registration", Never, 403, json_request("/api/v1/auth/register", &unacceptable));
    all
}

async fn start(limits: &str) -> (GitHub, Gateway) {
    let github = GitHub::start().await;
    let config = format!("{}[limits]\n{limits}\n{ROUTES}", github.section());
    let builder = Gateway::builder().config(&config).env("GITHUB_CLIENT_SECRET", CLIENT_SECRET);
    (github, builder.start().await)
}

/// Failed attempts of this address that are counted.
async fn counted(gateway: &Gateway, address: &str) -> u64 {
    let listed = Client::admin(gateway).get("/api/admin/lockouts?limit=200").await;
    let listed = listed.expect(200).json();
    let items = listed["items"].as_array().expect("a list");
    let item = items.iter().find(|item| item["address"] == address);
    item.map_or(0, |item| item["failures"].as_u64().expect("a number"))
}

fn is_counted(counts: Counts, all: bool) -> bool {
    counts == Always || all && counts == WithAll
}

/// Each kind from an address of its own, in the body of an agent's message too.
async fn check(limits: &str, all: bool) {
    let (_github, gateway) = start(limits).await;
    for (number, attempt) in attempts().into_iter().enumerate() {
        let Attempt { kind, counts, status, request } = attempt;
        let address = format!("203.0.113.{number}");
        let client = Client::anonymous(&gateway).from_address(&address);
        assert_eq!(client.request(request).await.status, status, "{kind}");
        let expected = u64::from(is_counted(counts, all));
        assert_eq!(counted(&gateway, &address).await, expected, "{kind} with {limits:?}");
    }
    for (number, (kind, member, text, counts)) in [
        ("a key", "api_key", "sk_live_wrong", WithAll),
        ("a token", "token", "wrong", WithAll),
        ("no message", "password", "wrong", Never),
    ]
    .into_iter()
    .enumerate()
    {
        let address = format!("198.51.100.{number}");
        let from = [("x-forwarded-for", address.as_str())];
        let mut agent = Tunnel::opened(&gateway, "/agents", &from).await;
        let message: Value = json!({ "type": "auth", member: text });
        agent.send(Message::text(message.to_string())).await;
        assert_eq!(agent.closed().await, Some(4401), "{kind}");
        let expected = u64::from(is_counted(counts, all));
        assert_eq!(counted(&gateway, &address).await, expected, "an agent's {kind}");
    }
}

#[tokio::test]
async fn what_can_be_guessed_is_counted_and_nothing_else() {
    check("", false).await;
}

#[tokio::test]
async fn with_all_whatever_is_refused_is_counted() {
    check("count = \"all\"", true).await;
}

#[tokio::test]
async fn passwords_is_the_default_by_name() {
    check("count = \"passwords\"", false).await;
}

/// Five posts of another site's page, or five sockets with a made-up ticket, are nothing.
#[tokio::test]
async fn no_number_of_unknown_tickets_keys_and_tokens_locks_an_address_out() {
    let (_github, gateway) = start("").await;
    let client = Client::anonymous(&gateway).from_address("203.0.113.7");
    for _ in 0..3 {
        for attempt in attempts().into_iter().filter(|attempt| attempt.counts != Always) {
            let status = client.request(attempt.request).await.status;
            assert_eq!(status, attempt.status, "{}", attempt.kind);
        }
    }
    client.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
}
