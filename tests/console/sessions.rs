//! Sessions of browsers: the gateway renews them, and what ends them ends all they opened.

use super::*;
use crate::support::eventually;
use crate::support::gateway::ECHO;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Recording, Upstream};
use crate::support::websocket::handshake;

/// Access tokens that expire while a test looks on.
fn short(more: &str) -> String {
    format!("[console]\naccess_ttl = \"1s\"\n{more}\n{ECHO}")
}

/// The access cookie alone is a token that says when it expires.
fn access(jar: &str) -> String {
    let access = jar.split("; ").find_map(|pair| pair.strip_prefix("__Host-portcullis-access="));
    access.expect("an access token").to_owned()
}

async fn until_expired(gateway: &Gateway, jar: &str) {
    let bearer = Client::bearer(gateway, &access(jar));
    eventually("the token to expire", async || (bearer.get("/").await.status == 401).then_some(()))
        .await;
}

#[tokio::test]
async fn cookies_are_kept_from_scripts_and_other_sites_and_live_as_long_as_the_session() {
    let gateway = Gateway::start(&format!("console.session_idle = \"1h\"\n{ECHO}")).await;
    let fields = [("name", ADMIN), ("password", ADMIN_PASSWORD)];
    let signed_in = visitor(&gateway).request(form(&format!("{BASE}/sign-in"), &fields)).await;
    let lines = signed_in.fields("set-cookie");
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        assert!(line.starts_with("__Host-portcullis-"), "{line}");
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=4500"] {
            assert!(line.split("; ").any(|found| found == attribute), "{attribute}: {line}");
        }
    }
}

#[tokio::test]
async fn an_expired_token_is_renewed_with_the_request_that_needs_it() {
    let gateway = Gateway::start(&short("")).await;
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    until_expired(&gateway, &cookies).await;
    for client in [Client::anonymous(&gateway), Client::anonymous(&gateway).h2()] {
        let answer = client.with("cookie", &cookies).get("/data").await.expect(200);
        assert_eq!(answer.json()["headers"]["x-portcullis-username"][0], ADMIN);
        let renewed = jar(&answer);
        assert_ne!(access(&renewed), access(&cookies));
        assert_eq!(answer.field("cache-control"), "private");
        Client::anonymous(&gateway).with("cookie", &renewed).get("/").await.expect(200);
    }
    // With the other cookie alone as well, which outlives the first in some browsers.
    let renewal = cookies.split("; ").find(|pair| pair.contains("-refresh=")).expect("a token");
    let answer = Client::anonymous(&gateway).with("cookie", renewal).get("/").await.expect(200);
    assert_eq!(answer.fields("set-cookie").len(), 2);
}

#[tokio::test]
async fn many_requests_at_once_share_one_renewal() {
    let gateway = Gateway::start(&format!("[limits]\nburst = 1000\n{}", short(""))).await;
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    until_expired(&gateway, &cookies).await;
    let mut tabs = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = Client::anonymous(&gateway).with("cookie", &cookies);
        tabs.spawn(async move { jar(&client.get("/").await.expect(200)) });
    }
    let mut renewed = tabs.join_all().await;
    renewed.sort_unstable();
    renewed.dedup();
    assert_eq!(renewed.len(), 1, "{renewed:?}");
}

#[tokio::test]
async fn an_idle_session_ends_and_leads_to_the_sign_in() {
    let gateway = Gateway::start(&short("session_idle = \"1s\"")).await;
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let browser = visitor(&gateway).with("cookie", &cookies);
    eventually("the session to end", async || (browser.get("/").await.status == 303).then_some(()))
        .await;
    let program = Client::anonymous(&gateway).with("cookie", &cookies);
    program.get("/").await.refused(401, "INVALID_TOKEN");
}

#[tokio::test]
async fn a_session_that_was_ended_is_not_renewed_and_its_sockets_close() {
    let gateway = Gateway::start(&short("")).await;
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let mut socket = Tunnel::opened(&gateway, "/socket", &[("cookie", &cookies)]).await;
    until_expired(&gateway, &cookies).await;
    socket.check_open().await;
    let sessions = gateway.manage(&["session", "list", "--format", "json"], None).await;
    let listed: serde_json::Value = serde_json::from_str(&sessions).expect("JSON");
    let id = listed[0]["id"].as_str().or(listed["items"][0]["id"].as_str()).expect("a session");
    gateway.manage(&["session", "end", id], None).await;
    assert_eq!(socket.closed().await, Some(4401));
    let refused = Client::anonymous(&gateway).with("cookie", &cookies).get("/").await.expect(401);
    assert_eq!(refused.fields("set-cookie"), [""; 0]);
}

#[tokio::test]
async fn cookies_of_a_contract_are_renewed_too() {
    let config = "[dialect.status]\ndelivery = \"cookie\"\naccess_ttl = \"1s\"\n";
    let gateway = Gateway::start(&format!("{config}{ECHO}")).await;
    let answer = Client::anonymous(&gateway).login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    let cookies = jar(&answer);
    until_expired(&gateway, &cookies).await;
    let answer = Client::anonymous(&gateway).with("cookie", &cookies).get("/").await.expect(200);
    // Not the refresh token, which a page may be rotating at the same moment.
    let lines = answer.fields("set-cookie");
    assert!(lines.len() == 1 && lines[0].starts_with("__Host-portcullis-access="), "{lines:?}");
}

/// Answers with the `Cache-Control` lines that the query has, separated by `|`.
async fn caching() -> Upstream {
    Upstream::http1(|request: Request<Recording>| async move {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let mut response = http::Response::builder();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            response = response.header(name.as_ref(), value.as_ref());
        }
        response.body(body("x")).expect("a response")
    })
    .await
}

#[tokio::test]
async fn a_response_that_anybody_may_keep_brings_nobodys_tokens_to_others() {
    let upstream = caching().await;
    let config = format!("console.access_ttl = \"1s\"\n{}", upstream.routes());
    let gateway = Gateway::start(&config).await;
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let client = Client::anonymous(&gateway).with("cookie", &cookies);
    let usual = client.get("/?cache-control=public,max-age=3600").await.expect(200);
    assert_eq!(usual.field("cache-control"), "public,max-age=3600");
    until_expired(&gateway, &cookies).await;
    for (said, told) in [
        ("cache-control=public,max-age=3600", "max-age=3600, private"),
        ("cache-control=no-cache,No-Store", "no-cache,No-Store"),
        ("cache-control=max-age=0&cache-control=no-store", "max-age=0;no-store"),
        ("cache-control=private%3D%22X-A%22,s-maxage=600", "private"),
        ("cache-control=private,max-age=60", "private,max-age=60"),
        ("cdn-cache-control=max-age=600", "private"),
        ("", "private"),
    ] {
        let renewed = client.get(&format!("/?{said}")).await.expect(200);
        assert_eq!(renewed.fields("set-cookie").len(), 2, "{said}");
        assert_eq!(renewed.fields("cache-control").join(";"), told, "{said}");
        assert_eq!(renewed.fields("cdn-cache-control"), [""; 0], "{said}");
    }
}

#[tokio::test]
async fn no_upstream_sets_our_cookies() {
    let upstream = caching().await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let query = "set-cookie=__Host-portcullis-access%3Devil&set-cookie=theme%3Ddark&\
                 set-cookie=__Host-portcullis-refresh+%3Devil";
    let answer = Client::admin(&gateway).get(&format!("/?{query}")).await.expect(200);
    assert_eq!(answer.fields("set-cookie"), ["theme=dark"]);
}

/// Else its session would be renewed, and who has signed out be signed in again.
#[tokio::test]
async fn a_contracts_logout_ends_a_browsers_session() {
    let gateway = Gateway::start(&short("")).await;
    for path in ["/api/logout", "/api/v1/auth/logout"] {
        let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
        let page = Client::anonymous(&gateway).with("cookie", &cookies);
        let page = page.with("sec-fetch-site", "same-origin");
        let out = page.request(request(Method::POST, path)).await.expect(200);
        let lines = out.fields("set-cookie");
        assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("Max-Age=0")), "{path}");
        until_expired(&gateway, &cookies).await;
        page.get("/").await.expect(401);
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_of_the_cookies_whatever_else_is_sent() {
    let gateway = Gateway::start(&short("")).await;
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let out = |client: Client| async move {
        client.request(form(&format!("{BASE}/sign-out"), &[])).await.expect(303)
    };
    let password = crate::support::client::basic(ADMIN, ADMIN_PASSWORD);
    let both = visitor(&gateway).with("cookie", &cookies).with("authorization", &password);
    out(both).await;
    Client::anonymous(&gateway).with("cookie", &cookies).get("/").await.expect(401);
    // Of a session whose access token has expired, too.
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    until_expired(&gateway, &cookies).await;
    out(visitor(&gateway).with("cookie", &cookies)).await;
    Client::anonymous(&gateway).with("cookie", &cookies).get("/").await.expect(401);
}

#[tokio::test]
async fn who_signs_in_anew_leaves_no_session_behind() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("ann", "a good password", &["user"]).await;
    let former = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let fields = [("name", "ann"), ("password", "a good password")];
    let browser = visitor(&gateway).with("cookie", &former);
    browser.request(form(&format!("{BASE}/sign-in"), &fields)).await.expect(303);
    Client::anonymous(&gateway).with("cookie", &former).get("/").await.expect(401);
}

#[tokio::test]
async fn no_script_is_given_a_token_that_a_cookie_kept_from_it() {
    let gateway = Gateway::start(ECHO).await;
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let page = Client::anonymous(&gateway).with("cookie", &cookies);
    let page = page.with("sec-fetch-site", "same-origin").with("sec-fetch-mode", "cors");
    let workspace = gateway.manage(&["workspace", "add", "lab"], None).await;
    gateway.manage(&["workspace", "join", "lab", ADMIN], None).await;
    let wanted = serde_json::json!({ "workspaceId": workspace.trim() });
    let answer = page.post_json("/api/auth/switch-workspace", &wanted).await.expect(200);
    assert!(!text(&answer).contains("eyJ"), "{answer:?}");
    assert!(answer.fields("set-cookie")[0].contains("HttpOnly"), "{answer:?}");
    let fields =
        [("form", "00000000-0000-4000-8000-000000000000"), ("name", "x"), ("scopes", "admin")];
    let sent = page.request(form(&format!("{BASE}/keys/new"), &fields)).await.expect(403);
    assert!(text(&sent).contains("\"CSRF\""), "{sent:?}");
}

#[tokio::test]
async fn signing_out_ends_the_session_and_forgets_the_cookies() {
    let gateway = Gateway::start(ECHO).await;
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let browser = visitor(&gateway).with("cookie", &cookies);
    let out = browser.request(form(&format!("{BASE}/sign-out"), &[])).await.expect(303);
    assert_eq!(out.field("location"), format!("{BASE}/signed-out"));
    for line in out.fields("set-cookie") {
        assert!(line.contains("Max-Age=0"), "{line}");
    }
    browser.get("/").await.expect(303);
    Client::bearer(&gateway, &access(&cookies)).get("/").await.expect(401);
    let page = text(&browser.get(&format!("{BASE}/signed-out")).await.expect(200));
    assert!(page.contains("close all its windows"), "{page}");
    // Once more, without a session: it is the same to whoever asks.
    let again = browser.request(form(&format!("{BASE}/sign-out"), &[])).await.expect(303);
    assert_eq!(again.field("location"), format!("{BASE}/signed-out"));
}

#[tokio::test]
async fn forms_come_from_the_consoles_own_pages_alone() {
    let config = format!("[client]\norigins = [\"https://friend.example\"]\n{ECHO}");
    let gateway = Gateway::start(&config).await;
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let fields = [("name", "server")];
    for (site, origin) in [
        ("cross-site", "https://evil.example"),
        ("cross-site", "https://friend.example"),
        ("same-site", "https://other.localhost"),
        ("cross-site", "null"),
    ] {
        let foreign = Client::anonymous(&gateway)
            .with("cookie", &cookies)
            .with("sec-fetch-site", site)
            .with("origin", origin);
        for path in ["/admin/servers", "/sign-out", "/sign-in", "/account/password"] {
            let sent = foreign.request(form(&format!("{BASE}{path}"), &fields)).await;
            assert!(text(&sent.expect(403)).contains("\"CSRF\""));
        }
    }
    let own = visitor(&gateway).with("cookie", &cookies);
    own.request(form(&format!("{BASE}/admin/servers"), &fields)).await.expect(303);
    let upgrade = Client::anonymous(&gateway).with("cookie", &cookies);
    let upgrade = upgrade.with("origin", "https://evil.example");
    upgrade.request(handshake("/socket")).await.refused(403, "CSRF");
}
