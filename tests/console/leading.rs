//! Who is led to the sign-in, and back to where.

use super::*;
use crate::support::client::basic;
use crate::support::gateway::ECHO;

const SIGN_IN: &str = "/.portcullis/console/sign-in";

#[tokio::test]
async fn a_navigation_is_led_to_the_sign_in_and_back() {
    let gateway = Gateway::start(ECHO).await;
    for client in [visitor(&gateway), visitor(&gateway).h2()] {
        let led = client.get("/a/b?x=1&y=%2F").await.expect(303);
        let page = led.field("location").to_owned();
        assert_eq!(page, format!("{SIGN_IN}?return_to=%2Fa%2Fb%3Fx%3D1%26y%3D%252F"));
        assert_eq!(led.fields("www-authenticate"), [""; 0]);
        let shown = text(&client.get(&page).await.expect(200));
        assert_eq!(hidden(&shown, "return_to"), "/a/b?x=1&#38;y=%2F");
        let fields =
            [("name", ADMIN), ("password", ADMIN_PASSWORD), ("return_to", "/a/b?x=1&y=%2F")];
        let signed_in = client.request(form(SIGN_IN, &fields)).await.expect(303);
        let on = signed_in.field("location").to_owned();
        let browser = client.clone().with("cookie", &jar(&signed_in));
        let on = text(&browser.get(&on).await.expect(200));
        assert!(on.contains("content=\"0; url=/a/b?x=1&#38;y=%2F\""), "{on}");
        let back = browser.get("/a/b?x=1&y=%2F").await.expect(200).json();
        assert_eq!(back["headers"]["x-portcullis-username"][0], ADMIN);
        assert!(back["headers"].get("cookie").is_none(), "the tokens stay here");
    }
}

#[tokio::test]
async fn only_navigations_in_a_window_are_led() {
    let gateway = Gateway::start(ECHO).await;
    let anonymous = || Client::anonymous(&gateway);
    let old = || {
        let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:60.0) Gecko/20100101 Firefox/60.0";
        anonymous().with("user-agent", agent).with("accept", "text/html,*/*;q=0.8")
    };
    let mode = |mode: &str| anonymous().with("sec-fetch-mode", mode).with("accept", "text/html");
    old().get("/").await.expect(303);
    for (client, why) in [
        (anonymous(), "a program"),
        (anonymous().with("accept", "text/html"), "no browser"),
        (anonymous().with("user-agent", "Mozilla/5.0"), "no page is wanted"),
        (mode("cors"), "a fetch"),
        (mode("no-cors"), "an image"),
        (mode("websocket"), "a socket"),
    ] {
        let refused = client.get("/").await.expect(401);
        assert_eq!(refused.field("content-type"), "application/json", "{why}");
    }
    old().request(request(Method::POST, "/")).await.refused(401, "AUTHENTICATION_REQUIRED");
    // In a frame no page of ours is shown.
    let framed = anonymous().with("sec-fetch-mode", "navigate").with("sec-fetch-dest", "iframe");
    framed.get("/in/a/frame").await.refused(401, "AUTHENTICATION_REQUIRED");
}

/// Else a browser that sends it by itself would go round for ever.
#[tokio::test]
async fn a_refused_password_by_basic_is_asked_for_again() {
    let gateway = Gateway::start(ECHO).await;
    let client = visitor(&gateway).with("authorization", &basic(ADMIN, "wrong"));
    let refused = client.get("/").await.expect(401);
    assert!(refused.field("www-authenticate").starts_with("Basic "), "{refused:?}");
    assert!(text(&refused).contains("<h1>"), "{refused:?}");
}

#[tokio::test]
async fn a_form_that_was_refused_leads_back_to_the_page_it_came_from() {
    let gateway = Gateway::start(ECHO).await;
    let post = |referer: &str, site: &str| {
        let client = Client::anonymous(&gateway).with("sec-fetch-mode", "navigate");
        let client = client.with("sec-fetch-dest", "document").with("sec-fetch-site", site);
        client.with("referer", referer)
    };
    for (referer, site, return_to) in [
        ("https://localhost/page?a=1", "same-origin", "%2Fpage%3Fa%3D1"),
        ("https://evil.example/page", "cross-site", "%2F"),
        ("none", "same-origin", "%2F"),
    ] {
        let led = post(referer, site).request(request(Method::POST, "/send")).await.expect(303);
        let expected = format!("{SIGN_IN}?return_to={return_to}");
        assert_eq!(led.field("location"), expected, "{referer}");
    }
}

#[tokio::test]
async fn a_route_chooses_what_a_navigation_gets() {
    let route = |path: &str, key: &str| {
        format!("[[route]]\npath = \"{path}\"\nupstream = \"echo\"\n{key}\n")
    };
    let routes = [
        route("/page", ""),
        route("/basic", "sign_in = \"basic\""),
        route("/none", "sign_in = \"none\""),
        route("/keys", "schemes = [\"key\"]"),
    ]
    .concat();
    let gateway = Gateway::start(&routes).await;
    for (path, status, challenge) in [
        ("/page", 303, None),
        ("/basic", 401, Some("Basic ")),
        ("/none", 401, Some("Bearer ")),
        ("/keys", 401, Some("Bearer ")),
    ] {
        let answer = visitor(&gateway).get(path).await.expect(status);
        match challenge {
            Some(challenge) => {
                assert!(answer.field("www-authenticate").starts_with(challenge), "{answer:?}");
                assert!(answer.field("content-type").starts_with("text/html"), "{answer:?}");
            }
            None => assert_eq!(answer.fields("www-authenticate"), [""; 0]),
        }
    }
}

#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let gateway = Gateway::start(ECHO).await;
    for elsewhere in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/\t/evil.example/",
        "\\\\evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/a\r\nset-cookie: x=1",
        " //evil.example",
        "%2F%2Fevil.example",
    ] {
        let query: String = form_urlencoded::byte_serialize(elsewhere.as_bytes()).collect();
        let page = format!("{SIGN_IN}?return_to={query}");
        let shown = text(&visitor(&gateway).get(&page).await.expect(200));
        assert_eq!(hidden(&shown, "return_to"), "/", "{elsewhere:?}");
        let fields = [("name", ADMIN), ("password", ADMIN_PASSWORD), ("return_to", elsewhere)];
        let signed_in = visitor(&gateway).request(form(SIGN_IN, &fields)).await.expect(303);
        let on = signed_in.field("location").to_owned();
        assert_eq!(on, format!("{BASE}/continue?return_to=%2F"), "{elsewhere:?}");
        let on = visitor(&gateway).with("cookie", &jar(&signed_in));
        let on = text(&on.get(&format!("{BASE}/continue?return_to={query}")).await.expect(200));
        assert!(on.contains("content=\"0; url=/\""), "{elsewhere:?}: {on}");
    }
}

#[tokio::test]
async fn without_a_console_everything_is_as_it_was() {
    let gateway = Gateway::start(&format!("console.enabled = false\n{ECHO}")).await;
    let refused = visitor(&gateway).get("/").await.expect(401);
    assert!(refused.field("www-authenticate").starts_with("Basic "), "{refused:?}");
    // Its paths are the routes'.
    let seen = Client::admin(&gateway).get(SIGN_IN).await.expect(200).json();
    assert_eq!(seen["target"].as_str().or(seen["path"].as_str()), Some(SIGN_IN), "{seen}");
}

/// Else it would make a request of this site out of one of another's.
#[tokio::test]
async fn a_link_of_another_site_goes_on_by_hand_alone() {
    let gateway = Gateway::start(ECHO).await;
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let foreign = Client::anonymous(&gateway)
        .with("sec-fetch-mode", "navigate")
        .with("sec-fetch-dest", "document")
        .with("sec-fetch-site", "cross-site")
        .with("cookie", &cookies);
    let page = foreign.get(&format!("{BASE}/continue?return_to=%2Fdelete%3Fall")).await.expect(200);
    let page = text(&page);
    assert!(!page.contains("http-equiv") && page.contains("href=\"/delete?all\""), "{page}");
}

/// A page that is to tell of cookies must know whether there are any.
#[tokio::test]
async fn a_browser_that_keeps_no_cookies_is_told_so() {
    let gateway = Gateway::start(ECHO).await;
    let page = visitor(&gateway).get(&format!("{BASE}/continue?return_to=%2Fa")).await.expect(200);
    let page = text(&page);
    assert!(page.contains("Your sign-in was not saved") && !page.contains("http-equiv"), "{page}");
}
