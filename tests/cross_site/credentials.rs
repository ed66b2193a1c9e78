//! Credentials that browsers send by themselves, on the way to upstreams.

use http::Method;

use crate::support::client::{Client, request, sign_in_admin};
use crate::support::upstream::{Upstream, ok};
use crate::support::websocket::handshake;

use super::*;

const UNSAFE: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

fn basic(gateway: &Gateway, password: &str, fields: &[(&str, &str)]) -> Client {
    with(Client::basic(gateway, ADMIN, password).from_address(VISITOR), fields)
}

#[tokio::test]
async fn a_foreign_page_changes_nothing_with_basic_and_costs_no_attempt() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&format!("{}{MANY}", upstream.routes())).await;
    for method in UNSAFE {
        basic(&gateway, ADMIN_PASSWORD, &[]).request(request(method, "/a")).await.expect(200);
    }
    let passed = upstream.requests().len();
    for password in ["a guess", ADMIN_PASSWORD] {
        for _ in 0..ATTEMPTS {
            let foreign = basic(&gateway, password, FOREIGN);
            for method in UNSAFE {
                let answer = check_refused(&gateway, &foreign, request(method, "/a")).await;
                answer.refused(403, "CSRF");
            }
            check_refused(&gateway, &foreign, handshake("/a")).await;
            let h2 = foreign.clone().h2();
            check_refused(&gateway, &h2, request(Method::POST, "/a")).await;
        }
    }
    assert_eq!(upstream.requests().len(), passed);
    // A link from another site changes nothing.
    basic(&gateway, ADMIN_PASSWORD, FOREIGN).get("/a").await.expect(200);
    check_not_locked_out(&gateway).await;
}

/// Our own endpoints: a logout, a key, the administration.
#[tokio::test]
async fn a_foreign_page_changes_nothing_of_ours_with_basic() {
    let gateway = Gateway::start(&format!("{MANY}{ECHO}")).await;
    for (method, path) in [
        (Method::POST, "/api/logout"),
        (Method::POST, "/api/v1/auth/keys"),
        (Method::DELETE, "/api/v1/auth/keys/key_0"),
        (Method::POST, "/api/admin/users"),
    ] {
        let own = basic(&gateway, ADMIN_PASSWORD, NO_REFERRER);
        let own = own.request(request(method.clone(), path)).await;
        assert!(![401, 403].contains(&own.status.as_u16()), "{method} {path}: {own:?}");
        let foreign = basic(&gateway, "a guess", FOREIGN);
        for _ in 0..ATTEMPTS {
            check_refused(&gateway, &foreign, request(method.clone(), path)).await;
        }
    }
    check_not_locked_out(&gateway).await;
}

#[tokio::test]
async fn what_no_browser_sends_by_itself_is_no_matter_of_pages() {
    let gateway = Gateway::start(ECHO).await;
    let token = sign_in_admin(&gateway).await.access;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    for client in [Client::bearer(&gateway, &token), Client::api_key(&gateway, &key)] {
        with(client, FOREIGN).post("/a").await.expect(200);
    }
}

#[tokio::test]
async fn a_public_route_judges_no_page() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for password in ["a guess", ADMIN_PASSWORD] {
        basic(&gateway, password, FOREIGN).post("/open").await.expect(200);
    }
}

#[tokio::test]
async fn origins_are_listed_for_everything_or_for_a_route() {
    let gateway = Gateway::start(
        "[client]\norigins = [\"https://app.example\"]\n\
         [[route]]\nupstream = \"echo\"\n\
         [[route]]\npath = \"/more\"\nupstream = \"echo\"\norigins = [\"http://localhost:5173\"]\n",
    )
    .await;
    let developer = [("origin", "http://localhost:5173"), ("sec-fetch-site", "same-site")];
    for (page, path, status) in [
        (LISTED, "/a", 200),
        (LISTED, "/more", 200),
        (&developer, "/a", 403),
        (&developer, "/more", 200),
        (&developer, "/api/logout", 403),
        (FOREIGN, "/more", 403),
    ] {
        let answer = basic(&gateway, ADMIN_PASSWORD, page).post(path).await;
        assert_eq!(answer.status, status, "{page:?} {path}: {answer:?}");
    }
}

/// What a trusted proxy says of scheme and host is what the browser saw.
#[tokio::test]
async fn pages_of_this_origin_are_known_by_what_a_trusted_proxy_says() {
    let gateway =
        Gateway::start(&format!("[client]\nbelieve = [\"proto\", \"host\"]\n{ECHO}")).await;
    let proto = ("x-forwarded-proto", "http");
    let host = ("x-forwarded-host", "app.example");
    for (origin, fields, status) in [
        ("http://localhost", &[][..], 403),
        ("http://localhost", &[proto], 200),
        ("https://localhost", &[proto], 200),
        ("https://app.example", &[], 403),
        ("https://app.example", &[host], 200),
        ("https://localhost", &[host], 403),
    ] {
        let client = with(basic(&gateway, ADMIN_PASSWORD, &[("origin", origin)]), fields);
        let answer = client.post("/a").await;
        assert_eq!(answer.status, status, "{origin} {fields:?}: {answer:?}");
    }
}

#[tokio::test]
async fn pages_of_this_origin_are_known_by_host_and_port() {
    let gateway = Gateway::start(ECHO).await;
    for (host, origin, status) in [
        ("localhost:8443", "https://localhost:8443", 200),
        ("localhost:8443", "https://localhost", 403),
        ("localhost", "https://localhost:443", 200),
        ("localhost", "http://localhost", 403),
        ("[2001:db8::7]:8443", "https://[2001:db8::7]:8443", 200),
    ] {
        let client = basic(&gateway, ADMIN_PASSWORD, &[("origin", origin)]).host(host);
        let answer = client.post("/a").await;
        assert_eq!(answer.status, status, "{origin} at {host}: {answer:?}");
    }
}
