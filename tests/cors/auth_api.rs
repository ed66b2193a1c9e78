//! `[cors]`: the auth API for front ends on other origins.

use serde_json::json;

use crate::support::client::{json_request, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO};

use super::*;

/// As many failures as lock an address out.
const ATTEMPTS: usize = 5;

async fn gateway(client: &str) -> Gateway {
    let links = "[links]\npublic_url = \"https://gateway.example\"\n";
    let config = format!("[cors]\norigins = [\"{PAGE}\"]\n{links}[client]\n{client}\n{ECHO}");
    Gateway::start(&config).await
}

fn login(password: &str) -> Request<Body> {
    json_request("/api/auth/login", &json!({ "username": ADMIN, "password": password }))
}

/// What Chromium adds for a page of another site.
fn front_end(gateway: &Gateway, origin: &str) -> Client {
    page(gateway, origin).with("sec-fetch-site", "cross-site")
}

#[tokio::test]
async fn endpoints_tell_pages_the_methods_that_they_have() {
    let gateway = gateway("").await;
    for (path, method, methods) in [
        ("/api/auth/login", "POST", "POST"),
        ("/api/auth/me", "GET", "GET, HEAD"),
        ("/health", "GET", "GET, HEAD, OPTIONS"),
        ("/api/v1/auth/keys", "POST", "GET, HEAD, POST"),
        ("/api/links", "POST", "GET, HEAD, POST"),
    ] {
        let answer = page(&gateway, PAGE).request(preflight(path, method, "content-type")).await;
        let answer = answer.expect(204);
        assert_eq!(answer.field("access-control-allow-methods"), methods, "{path}");
        page(&gateway, FOREIGN).request(preflight(path, method, "")).await.expect(403);
    }
    let answer = page(&gateway, PAGE).request(preflight("/api/auth/login", "PUT", "")).await;
    check_logged(&gateway, &answer.expect(204), "preflight_refused", "a method that").await;
    // Control: without the question it is 405 as ever.
    page(&gateway, PAGE).request(request(Method::OPTIONS, "/api/auth/login")).await.expect(405);
}

/// Who may sign in there is not thereby somebody who may administer.
#[tokio::test]
async fn the_admin_api_is_for_no_page_of_another_origin() {
    let gateway = gateway(&format!("origins = [\"{PAGE}\"]")).await;
    let path = "/api/admin/users";
    let answer = page(&gateway, PAGE).request(preflight(path, "GET", "authorization")).await;
    assert!(family(&answer.expect(403)).is_empty());
    let token = sign_in_admin(&gateway).await.access;
    let bearer = Client::bearer(&gateway, &token).with("origin", PAGE);
    assert!(family(&bearer.get(path).await.expect(200)).is_empty());
    assert_readable(&bearer.get("/api/auth/me").await.expect(200));
}

#[tokio::test]
async fn a_listed_front_end_signs_in_and_refreshes() {
    let gateway = gateway(&format!("origins = [\"{PAGE}\"]")).await;
    let front_end = front_end(&gateway, PAGE);
    let answer = front_end.request(login(ADMIN_PASSWORD)).await;
    assert_readable(&answer);
    let pair = answer.pair();
    let answer = front_end.refresh(&pair.refresh).await.expect(200);
    assert_readable(&answer);
    assert_readable(&front_end.request(login("a guess")).await.expect(401));
}

/// To read responses is one thing, to try passwords another: two lists.
#[tokio::test]
async fn a_page_that_may_only_read_tries_no_passwords_and_costs_its_visitor_no_attempt() {
    let gateway = gateway("").await;
    let visitor = "203.0.113.7";
    for origin in [PAGE, FOREIGN] {
        for _ in 0..ATTEMPTS {
            let client = front_end(&gateway, origin).from_address(visitor);
            let answer = client.request(login("a guess")).await.refused(403, "CSRF");
            check_logged(&gateway, &answer, "cross_site", "`origins`").await;
            // Its own page is told so.
            let readable = !answer.fields("access-control-allow-origin").is_empty();
            assert_eq!(readable, origin == PAGE, "{answer:?}");
        }
    }
    let client = Client::anonymous(&gateway).from_address(visitor);
    client.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
}

/// So that the page reads 404, and not that something failed.
#[tokio::test]
async fn a_preflight_for_what_is_nowhere_is_answered_as_the_auth_api_would() {
    let config = format!(
        "[cors]\norigins = [\"{PAGE}\"]\n[[route]]\npath = \"/app\"\nupstream = \"echo\"\n"
    );
    let gateway = Gateway::start(&config).await;
    let ask = preflight("/nowhere", "PUT", "authorization");
    page(&gateway, PAGE).request(ask).await.expect(204);
    assert_readable(&page(&gateway, PAGE).get("/nowhere").await.refused(404, "NOT_FOUND"));
    let foreign = page(&gateway, FOREIGN).request(preflight("/nowhere", "PUT", "")).await;
    assert!(family(&foreign.refused(404, "NOT_FOUND")).is_empty());
}

#[tokio::test]
async fn a_route_can_have_the_policy_of_the_auth_api() {
    let config = format!(
        "[cors]\norigins = [\"{PAGE}\"]\nmethods = [\"GET\", \"POST\"]\n{ECHO}cors = \"gateway\"\n\
         methods = [\"GET\", \"PUT\"]\n[[route]]\npath = \"/silent\"\nupstream = \"echo\"\n"
    );
    let gateway = Gateway::start(&config).await;
    let answer = page(&gateway, PAGE).request(preflight("/x", "GET", "authorization")).await;
    // Of the policy's methods those that the route has.
    assert_eq!(answer.expect(204).field("access-control-allow-methods"), "GET");
    assert_readable(&page(&gateway, PAGE).get("/x").await.expect(401));
    assert!(family(&page(&gateway, PAGE).get("/silent").await.expect(401)).is_empty());
}
