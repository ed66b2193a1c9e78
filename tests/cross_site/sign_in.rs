//! Secrets in bodies: logins, registrations, changes of password and codes, by forms
//! that a foreign page posts.

use http::Request;
use serde_json::{Value, json};

use crate::support::client::{Body, Client, json_request, sign_in_admin, typed_request};
use crate::support::github::{CLIENT_SECRET, GitHub, Person};

use super::*;

const FORM: &str = "application/x-www-form-urlencoded";
/// What a form without a preflight can send JSON as.
const PLAIN_TEXT: &str = "text/plain";

/// A login of every contract with this password, and the status of its success.
fn logins(password: &str) -> Vec<(Request<Body>, u16)> {
    let encoded = password.replace(' ', "+");
    let json = |path, body: Value| (json_request(path, &body), 200);
    vec![
        (
            typed_request(
                "/api/v1/auth/login",
                FORM,
                format!("username={ADMIN}&password={encoded}"),
            ),
            200,
        ),
        json("/api/auth/login", json!({ "username": ADMIN, "password": password })),
        json("/api/auth/login", json!({ "email": ADMIN, "password": password })),
        json("/api/v1/auth/login", json!({ "username": ADMIN, "password": password })),
    ]
}

fn registrations(name: &str) -> Vec<Request<Body>> {
    let email = format!("{name}@app.example");
    vec![
        json_request(
            "/api/v1/auth/register",
            &json!({
                "email": email, "username": name, "full_name": "Grace Hopper",
                "password": "a password of hers", "password_confirm": "a password of hers",
            }),
        ),
        json_request(
            "/api/auth/register",
            &json!({
                "email": format!("other-{email}"), "firstName": "Grace", "lastName": "Hopper",
                "password": "a password of hers!",
            }),
        ),
    ]
}

async fn open() -> Gateway {
    Gateway::start(&format!("{MANY}[auth]\nregistration = \"open\"\n{ECHO}")).await
}

#[tokio::test]
async fn no_foreign_form_signs_in_or_costs_its_visitor_an_attempt() {
    let gateway = open().await;
    for (request, status) in logins(ADMIN_PASSWORD) {
        visitor(&gateway, &[]).request(request).await.expect(status);
    }
    let foreign = visitor(&gateway, FOREIGN);
    for password in ["a guess", ADMIN_PASSWORD] {
        for _ in 0..ATTEMPTS {
            for (request, _) in logins(password) {
                check_refused(&gateway, &foreign, request).await;
            }
        }
    }
    // A form sends JSON as text, where the type of a body is not what decides.
    let text = json!({ "username": ADMIN, "password": "a guess" }).to_string();
    for path in ["/api/auth/login", "/api/v1/auth/login"] {
        check_refused(&gateway, &foreign, typed_request(path, PLAIN_TEXT, text.clone())).await;
    }
    gateway.counted(&["cross_site"], 42).await;
    check_not_locked_out(&gateway).await;
}

/// Control: the same guesses of nobody's page are counted.
#[tokio::test]
async fn guesses_that_name_no_page_are_counted() {
    let gateway = open().await;
    let client = visitor(&gateway, &[]);
    for (request, _) in logins("a guess").into_iter().chain(logins("a guess")).take(ATTEMPTS) {
        client.request(request).await.expect(401);
    }
    client.login(ADMIN, ADMIN_PASSWORD).await.expect(429);
    // Who is locked out is told the same of a foreign page.
    visitor(&gateway, FOREIGN).login(ADMIN, ADMIN_PASSWORD).await.refused(403, "CSRF");
}

#[tokio::test]
async fn no_foreign_form_registers_anybody() {
    let gateway = open().await;
    for request in registrations("grace") {
        visitor(&gateway, &[]).request(request).await.expect(201);
    }
    for request in registrations("hedy") {
        check_refused(&gateway, &visitor(&gateway, FOREIGN), request).await;
    }
    let users = gateway.manage(&["user", "list"], None).await;
    assert!(users.contains("grace") && !users.contains("hedy"), "{users}");
}

/// A bearer token is not ambient, but the password beside it would be counted.
#[tokio::test]
async fn no_foreign_page_tries_a_password_on_a_change_of_it() {
    let gateway = open().await;
    let token = sign_in_admin(&gateway).await.access;
    let body = json!({ "current_password": "a guess", "new_password": "another password" });
    let bearer = || Client::bearer(&gateway, &token).from_address(VISITOR);
    bearer().post_json("/api/change-password", &body).await.expect(401);
    for _ in 0..ATTEMPTS {
        let foreign = with(bearer(), FOREIGN);
        check_refused(&gateway, &foreign, json_request("/api/change-password", &body)).await;
    }
    check_not_locked_out(&gateway).await;
}

/// A code that GitHub does not accept is counted like a password.
#[tokio::test]
async fn no_foreign_page_sends_codes_but_the_callback_takes_them_from_anywhere() {
    let github = GitHub::start().await;
    let public = "public_url = \"https://gateway.example\"\n";
    let config =
        format!("{}{public}{MANY}[auth]\nregistration = \"open\"\n{ECHO}", github.section());
    let gateway =
        Gateway::builder().config(&config).env("GITHUB_CLIENT_SECRET", CLIENT_SECRET).start().await;
    let code = |code: &str| json_request("/api/auth/github", &json!({ "code": code }));
    visitor(&gateway, &[]).request(code(&github.code(&Person::octocat()))).await.expect(200);
    let asked = github.requests().len();
    for _ in 0..ATTEMPTS {
        check_refused(&gateway, &visitor(&gateway, FOREIGN), code("made-up")).await;
    }
    assert_eq!(github.requests().len(), asked, "GitHub is not asked");
    // Its page is always another site's; what is missing is the flow's own proof.
    let callback = "/api/auth/github/callback?code=made-up&state=made-up";
    let answer = visitor(&gateway, FOREIGN).get(callback).await.expect(403);
    let line = access_line(&gateway, &answer).await;
    assert_eq!(line["detail"], "the flow did not begin in this browser", "{line}");
    check_not_locked_out(&gateway).await;
}

#[tokio::test]
async fn pages_that_are_meant_sign_in() {
    let gateway =
        Gateway::start(&format!("{MANY}[client]\norigins = [\"https://App.example:443\"]\n{ECHO}"))
            .await;
    let own = [("origin", "https://localhost"), ("sec-fetch-site", "same-origin")];
    let own_of_old = [("origin", "https://localhost")];
    for page in [LISTED, NO_REFERRER, &own, &own_of_old, &[("sec-fetch-site", "none")]] {
        for (request, status) in logins(ADMIN_PASSWORD) {
            visitor(&gateway, page).request(request).await.expect(status);
        }
    }
    let sibling = [("origin", "https://other.app.example"), ("sec-fetch-site", "cross-site")];
    for (request, _) in logins(ADMIN_PASSWORD) {
        check_refused(&gateway, &visitor(&gateway, &sibling), request).await;
    }
}
