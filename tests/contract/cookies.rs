//! Tokens in cookies (S0-20): what a browser gets, and whose pages may use it.

use http::{Method, Request};
use serde_json::{Value, json};

use crate::support::client::{Answer, Body, Client, body, json_request, request};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::websocket::handshake;

const COOKIES: &str =
    "[dialect.status]\ndelivery = \"cookie\"\n[dialect.envelope]\ndelivery = \"cookie\"\n";

fn config() -> String {
    format!("{COOKIES}{ECHO}")
}

/// The cookies an answer sets, as the next request sends them.
fn jar(answer: &Answer) -> String {
    let pairs = answer.fields("set-cookie");
    let pairs = pairs.iter().map(|line| line.split(';').next().expect("a pair"));
    pairs.collect::<Vec<_>>().join("; ")
}

async fn signed_in(gateway: &Gateway) -> (Answer, String) {
    let answer = Client::anonymous(gateway).login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    let jar = jar(&answer);
    (answer, jar)
}

fn same_origin(client: Client) -> Client {
    client.with("origin", "https://localhost").with("sec-fetch-site", "same-origin")
}

#[tokio::test]
async fn tokens_come_as_cookies_that_scripts_cannot_read_and_not_in_the_body() {
    let gateway = Gateway::start(&config()).await;
    let (answer, jar) = signed_in(&gateway).await;
    assert_eq!(answer.json(), json!({ "status": "success", "token_type": "Bearer" }));
    let lines = answer.fields("set-cookie");
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, (name, age)) in lines.iter().zip([("access", 28_800), ("refresh", 604_800)]) {
        assert!(line.starts_with(&format!("__Host-portcullis-{name}=eyJ")), "{line}");
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", &format!("Max-Age={age}")]
        {
            assert!(line.split("; ").any(|found| found == attribute), "{attribute}: {line}");
        }
    }
    let browser = Client::anonymous(&gateway).with("cookie", &format!("theme=dark; {jar}"));
    let seen = browser.get("/page").await.expect(200).json();
    assert_eq!(seen["headers"]["x-portcullis-username"], json!([ADMIN]));
    assert_eq!(seen["headers"]["cookie"], json!(["theme=dark"]), "the tokens stay here");
}

#[tokio::test]
async fn without_the_setting_a_cookie_proves_nothing() {
    let gateway = Gateway::start(&format!("console.enabled = false\n{ECHO}")).await;
    let pair = Client::anonymous(&gateway).login(ADMIN, ADMIN_PASSWORD).await.pair();
    let cookie = format!("__Host-portcullis-access={}", pair.access);
    let browser = same_origin(Client::anonymous(&gateway)).with("cookie", &cookie);
    browser.get("/").await.refused(401, "AUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn another_sites_page_changes_nothing_with_a_cookie() {
    let gateway = Gateway::start(&format!("[limits]\nburst = 1000\n{}", config())).await;
    let (_, jar) = signed_in(&gateway).await;
    let browser = || Client::anonymous(&gateway).with("cookie", &jar);
    let from = |fields: &[(&str, &str)]| {
        fields.iter().fold(browser(), |client, (name, value)| client.with(name, value))
    };
    let strangers: &[&[(&str, &str)]] = &[
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "https://localhost"), ("sec-fetch-site", "cross-site")],
    ];
    for fields in strangers {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = from(fields).request(request(method.clone(), "/things")).await;
            assert_eq!(answer.refusal(), (403, "CSRF".to_owned()), "{method} {fields:?}");
        }
        from(fields).request(handshake("/socket")).await.refused(403, "CSRF");
        from(fields).post("/api/logout").await.refused(403, "CSRF");
        // What changes nothing may come by a link.
        from(fields).get("/things").await.expect(200);
    }
    for fields in [
        &[][..],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("origin", "null"), ("sec-fetch-site", "same-origin")],
        &[("origin", "https://localhost")],
        &[("origin", "https://localhost"), ("sec-fetch-site", "same-origin")],
    ] {
        from(fields).post("/things").await.expect(200);
    }
}

#[tokio::test]
async fn a_credential_in_a_field_is_no_matter_of_origins_and_comes_first() {
    let gateway = Gateway::start(&config()).await;
    let (_, jar) = signed_in(&gateway).await;
    gateway.add_user("grace", "a password of hers", &[]).await;
    let (_, key) = gateway.create_key("grace", &[], &[]).await;
    let client = Client::api_key(&gateway, &key)
        .with("cookie", &jar)
        .with("origin", "https://elsewhere.example");
    let seen = client.post("/things").await.expect(200).json();
    assert_eq!(seen["headers"]["x-portcullis-username"], json!(["grace"]));
}

#[tokio::test]
async fn no_other_site_signs_its_visitors_in_as_somebody() {
    let gateway = Gateway::start(&config()).await;
    let body = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
    let cross = Client::anonymous(&gateway).with("origin", "https://evil.example");
    cross.post_json("/api/auth/login", &body).await.refused(403, "CSRF");
    let same = same_origin(Client::anonymous(&gateway));
    same.post_json("/api/auth/login", &body).await.expect(200);
}

#[tokio::test]
async fn a_refresh_needs_no_body_where_the_token_is_a_cookie() {
    let gateway = Gateway::start(&config()).await;
    let (_, first) = signed_in(&gateway).await;
    let browser = same_origin(Client::anonymous(&gateway)).with("cookie", &first);
    let answer = browser.post("/api/auth/refresh").await.expect(200);
    assert_eq!(answer.json(), json!({ "status": "success", "token_type": "Bearer" }));
    let second = jar(&answer);
    assert_ne!(first, second);
    let browser = same_origin(Client::anonymous(&gateway)).with("cookie", &second);
    browser.post("/things").await.expect(200);
    let cross = Client::anonymous(&gateway).with("cookie", &second);
    let cross = cross.with("sec-fetch-site", "cross-site");
    cross.post("/api/auth/refresh").await.refused(403, "CSRF");
}

#[tokio::test]
async fn logging_out_makes_the_browser_forget() {
    let gateway = Gateway::start(&config()).await;
    let (_, jar) = signed_in(&gateway).await;
    let browser = same_origin(Client::anonymous(&gateway)).with("cookie", &jar);
    let answer = browser.post("/api/logout").await.expect(200);
    let lines = answer.fields("set-cookie");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("Max-Age=0")), "{lines:?}");
    browser.get("/").await.expect(401);
}

#[tokio::test]
async fn a_cookie_that_came_twice_is_no_choice() {
    let gateway = Gateway::start(&config()).await;
    let (_, jar) = signed_in(&gateway).await;
    let client = Client::anonymous(&gateway).with("cookie", &jar).with("cookie", &jar);
    client.get("/").await.refused(400, "BAD_REQUEST");
}

#[tokio::test]
async fn the_envelope_leaves_its_token_out_too() {
    let gateway = Gateway::start(&config()).await;
    gateway
        .manage(
            &["user", "add", "jane", "--email", "jane@example.com"],
            Some("a password of hers\n"),
        )
        .await;
    let login = json!({ "email": "jane@example.com", "password": "a password of hers" });
    let answer = Client::anonymous(&gateway)
        .request(json_request("/api/auth/login", &login))
        .await
        .expect(200);
    let data = answer.json()["data"].clone();
    assert_eq!(data["token"], Value::Null);
    assert_eq!(data["user"]["email"], "jane@example.com");
    let browser = same_origin(Client::anonymous(&gateway)).with("cookie", &jar(&answer));
    browser.get("/api/auth/me").await.expect(200);
    let empty: Request<Body> =
        Request::post("/api/auth/refresh").body(body("")).expect("a request");
    browser.request(empty).await.expect(200);
}

const LISTED: &str = "http://app.localhost:5000";

/// Both can use one contract: a page of ours, whose scripts must not read tokens, and
/// everything else, which keeps no cookies.
#[tokio::test]
async fn delivery_auto_gives_cookies_to_pages_of_this_origin_and_bodies_to_others() {
    let auto = |name: &str| format!("[dialect.{name}]\ndelivery = \"auto\"\n");
    let listed = format!("[client]\norigins = [\"{LISTED}\"]\n");
    let gateway =
        Gateway::start(&format!("{listed}{}{}{ECHO}", auto("status"), auto("plain"))).await;
    let login = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
    for fields in [
        &[("origin", "https://localhost"), ("sec-fetch-site", "same-origin")][..],
        &[("sec-fetch-site", "same-origin")],
        // A browser that does not know the field.
        &[("origin", "https://localhost")],
    ] {
        let page = fields
            .iter()
            .fold(Client::anonymous(&gateway), |client, (name, value)| client.with(name, value));
        let answer = page.post_json("/api/auth/login", &login).await.expect(200);
        assert_eq!(answer.json(), json!({ "status": "success", "token_type": "Bearer" }));
        let before = page.clone().with("cookie", &jar(&answer));
        before.get("/page").await.expect(200);
        let renewed = before.post("/api/auth/refresh").await.expect(200);
        assert_eq!(renewed.json(), answer.json(), "{fields:?}");
        let left = page.with("cookie", &jar(&renewed)).post("/api/logout").await.expect(200);
        assert!(left.fields("set-cookie").iter().all(|line| line.contains("Max-Age=0")));
        assert_eq!(left.fields("set-cookie").len(), 2);
    }
    // What came by cookie is answered by cookie, whoever's page asks.
    let page = same_origin(Client::anonymous(&gateway));
    let mut cookies = jar(&page.post_json("/api/auth/login", &login).await.expect(200));
    let listed =
        Client::anonymous(&gateway).with("origin", LISTED).with("sec-fetch-site", "same-site");
    for path in ["/api/auth/refresh", "/api/logout"] {
        let answer = listed.clone().with("cookie", &cookies).post(path).await.expect(200);
        assert!(!String::from_utf8_lossy(&answer.body).contains("_token"), "{answer:?}");
        assert_eq!(answer.fields("set-cookie").len(), 2, "{path}");
        cookies = jar(&answer);
    }
    for fields in [&[][..], &[("sec-fetch-site", "none")], &[("user-agent", "Mozilla/5.0")]] {
        let other = fields
            .iter()
            .fold(Client::anonymous(&gateway), |client, (name, value)| client.with(name, value));
        let answer = other.post_json("/api/auth/login", &login).await.expect(200);
        assert!(answer.fields("set-cookie").is_empty(), "{fields:?}");
        let pair = answer.pair();
        other.refresh(&pair.refresh).await.expect(200);
        let plain = other.post_json("/api/v1/auth/login", &login).await.expect(200);
        assert!(plain.fields("set-cookie").is_empty());
        assert!(plain.json()["token"].is_string() && plain.json()["refreshToken"].is_string());
    }
}

/// By http under a name of the local network the browser would drop them, and nobody
/// could sign in.
#[tokio::test]
async fn delivery_auto_gives_cookies_where_browsers_keep_them() {
    let gateway = Gateway::start(&format!("[dialect.status]\ndelivery = \"auto\"\n{ECHO}")).await;
    let login = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
    for (host, kept) in [
        ("gate.lan:8080", false),
        ("192.168.1.7", false),
        ("localhost:8080", true),
        ("gate.localhost", true),
        ("127.0.0.9", true),
        ("[::1]:8080", true),
    ] {
        let page = Client::anonymous(&gateway)
            .host(host)
            .with("x-forwarded-proto", "http")
            .with("origin", &format!("http://{host}"));
        let answer = page.post_json("/api/auth/login", &login).await.expect(200);
        assert_eq!(!answer.fields("set-cookie").is_empty(), kept, "{host}");
        assert_eq!(answer.json()["access_token"].is_string(), !kept, "{host}");
    }
}
