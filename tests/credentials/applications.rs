//! An application's own credential beside the gateway's: it goes on to the application, and
//! nothing of the gateway's ever does.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::support::client::{Client, Protocol, basic, json_request, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::tunnel::Tunnel;
use crate::support::upstream::{Upstream, ok};
use crate::support::websocket::{self, open_socket};

const AUTHORIZATION: &str = "authorization";
const API_KEY: &str = "x-api-key";
const COOKIE: &str = "cookie";
const COOKIES: &str = "[dialect.status]\ndelivery = \"cookie\"\n";
/// As Sonarr and Home Assistant have theirs.
const THEIR_KEY: &str = "0123456789abcdef0123456789abcdef";
const THEIR_TOKEN: &str = "Bearer the-applications-own-token";

/// Under the very header of ours, which is everybody's.
fn their_token() -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = URL_SAFE_NO_PAD.encode(r#"{"iss":"home-assistant","iat":1,"exp":9999999999}"#);
    format!("Bearer {header}.{claims}.{}", URL_SAFE_NO_PAD.encode([7; 32]))
}

/// The cookies of a browser that has signed in.
async fn cookies(gateway: &Gateway) -> String {
    let login = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
    let answer = Client::anonymous(gateway).request(json_request("/api/auth/login", &login)).await;
    let answer = answer.expect(200);
    let pairs = answer.fields("set-cookie").into_iter().filter_map(|line| line.split(';').next());
    pairs.collect::<Vec<_>>().join("; ")
}

fn with(client: Client, fields: &[(&str, &str)]) -> Client {
    fields.iter().fold(client, |client, (name, value)| client.with(name, value))
}

#[tokio::test]
async fn what_cannot_be_ours_goes_on_to_the_application_beside_what_is() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&format!("{COOKIES}{}", upstream.routes())).await;
    let basic = basic(ADMIN, ADMIN_PASSWORD);
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let (cookies, their_token) = (cookies(&gateway).await, their_token());
    let token = cookies.split(['=', ';']).nth(1).expect("an access token");
    let (token, key_as_bearer) = (format!("Bearer {token}"), format!("Bearer {key}"));
    for (ours, theirs) in [
        ((AUTHORIZATION, &basic), &[(API_KEY, THEIR_KEY)][..]),
        ((AUTHORIZATION, &token), &[(API_KEY, THEIR_KEY)]),
        ((AUTHORIZATION, &key_as_bearer), &[(API_KEY, THEIR_KEY)]),
        ((API_KEY, &key), &[(AUTHORIZATION, THEIR_TOKEN)]),
        ((API_KEY, &key), &[(AUTHORIZATION, "ApiKey bXktaWQ6bXktc2VjcmV0")]),
        ((COOKIE, &cookies), &[(AUTHORIZATION, THEIR_TOKEN)]),
        ((COOKIE, &cookies), &[(AUTHORIZATION, &their_token)]),
        ((COOKIE, &cookies), &[(API_KEY, "abc")]),
        ((COOKIE, &cookies), &[(AUTHORIZATION, THEIR_TOKEN), (API_KEY, THEIR_KEY)]),
    ] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let caller = Client::anonymous(&gateway).protocol(protocol).with(ours.0, ours.1);
            with(caller, theirs).get("/app").await.expect(200);
            let received = upstream.next_request().await;
            assert_eq!(received.field("x-portcullis-username"), Some(ADMIN), "{ours:?}");
            for name in [AUTHORIZATION, API_KEY, COOKIE] {
                let expected = theirs.iter().find(|(other, _)| *other == name);
                let expected = expected.map(|(_, value)| *value);
                assert_eq!(received.field(name), expected, "{name} beside {ours:?}");
            }
        }
    }
    // Alone it is judged, as ever.
    for (name, value) in [(AUTHORIZATION, THEIR_TOKEN), (API_KEY, THEIR_KEY)] {
        Client::anonymous(&gateway).with(name, value).get("/app").await.expect(401);
    }
    assert_eq!(upstream.requests().len(), 18);
}

#[tokio::test]
async fn a_route_names_the_schemes_that_are_the_gateways() {
    let upstream = Upstream::http1(ok).await;
    let route = |path: &str, schemes: &str| {
        format!("[[route]]\npath = \"{path}\"\nupstream = \"app\"\nschemes = {schemes}\n")
    };
    let routes = [
        upstream.section("app"),
        route("/cookie", "[\"cookie\"]"),
        route("/basic", "[\"cookie\", \"basic\"]"),
        route("/bearer", "[\"bearer\"]"),
        route("/key", "[\"key\"]"),
    ]
    .concat();
    let gateway = Gateway::start(&format!("{COOKIES}{routes}")).await;
    let basic = basic(ADMIN, ADMIN_PASSWORD);
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let cookies = cookies(&gateway).await;
    let token = cookies.split(['=', ';']).nth(1).expect("an access token").to_owned();
    let token = format!("Bearer {token}");
    let elastic = format!("Basic {}", STANDARD.encode("elastic:changeme"));
    let stripe = format!("Bearer sk_live_{}", "4eC39HqLyjWDarjtT1zdp7dc");
    let digest = r#"Digest username="a", realm="b", response="c""#;
    for (path, ours, theirs) in [
        ("/cookie", (COOKIE, &cookies), (AUTHORIZATION, &*elastic)),
        ("/cookie", (COOKIE, &cookies), (AUTHORIZATION, &stripe)),
        ("/cookie", (COOKIE, &cookies), (API_KEY, "sk_live_their_own")),
        ("/basic", (COOKIE, &cookies), (AUTHORIZATION, THEIR_TOKEN)),
        ("/basic", (COOKIE, &cookies), (AUTHORIZATION, digest)),
        ("/basic", (AUTHORIZATION, &basic), (API_KEY, THEIR_KEY)),
        ("/bearer", (AUTHORIZATION, &token), (API_KEY, "sk_live_their_own")),
        ("/key", (API_KEY, &key), (AUTHORIZATION, &elastic)),
    ] {
        let caller = Client::anonymous(&gateway).with(ours.0, ours.1).with(theirs.0, theirs.1);
        caller.get(path).await.expect(200);
        let received = upstream.next_request().await;
        assert_eq!(received.field(theirs.0), Some(theirs.1), "{path}");
        assert_eq!(received.field(ours.0), None, "{path}");
    }
    // What a route does not take proves nothing there, however right it is.
    for (path, name, value) in [
        ("/cookie", AUTHORIZATION, &basic),
        ("/cookie", AUTHORIZATION, &token),
        ("/basic", AUTHORIZATION, &token),
        ("/basic", API_KEY, &key),
        ("/bearer", AUTHORIZATION, &basic),
        ("/bearer", COOKIE, &cookies),
        ("/key", AUTHORIZATION, &token),
        ("/key", COOKIE, &cookies),
    ] {
        let refused = Client::anonymous(&gateway).with(name, value).get(path).await;
        refused.refused(401, "AUTHENTICATION_REQUIRED");
    }
    // Two of the route's are a conflict.
    let both = Client::admin(&gateway).with(AUTHORIZATION, &elastic);
    both.get("/cookie").await.refused(400, "BAD_REQUEST");
    assert_eq!(upstream.requests().len(), 8);
}

#[tokio::test]
async fn nothing_of_ours_goes_to_an_application_in_whatever_form() {
    let upstream = Upstream::http1(ok).await;
    let routes = format!(
        "{COOKIES}{}[[route]]\nupstream = \"app\"\nschemes = [\"cookie\"]\n\
         [[route]]\npath = \"/passed\"\nupstream = \"app\"\nschemes = [\"cookie\"]\n\
         forward_credential = true\n",
        upstream.section("app")
    );
    let gateway = Gateway::start(&routes).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let cookies = cookies(&gateway).await;
    let tokens: Vec<&str> =
        cookies.split("; ").filter_map(|pair| Some(pair.split_once('=')?.1)).collect();
    for secret in [tokens[0], tokens[1], &key] {
        for (name, value) in [
            (AUTHORIZATION, format!("Bearer {secret}")),
            (AUTHORIZATION, format!("Token token=\"{secret}\"")),
            (AUTHORIZATION, basic("__token__", secret)),
            (AUTHORIZATION, basic(secret, "")),
            (API_KEY, secret.to_owned()),
            (API_KEY, format!(" x,{secret}")),
        ] {
            let caller = || Client::anonymous(&gateway).with(COOKIE, &cookies).with(name, &value);
            caller().get("/app").await.expect(200);
            let received = upstream.next_request().await;
            assert_eq!((received.field(name), received.field(COOKIE)), (None, None), "{value}");
            // But where the operator says so.
            caller().get("/passed").await.expect(200);
            let received = upstream.next_request().await;
            assert_eq!(received.field(name), Some(value.trim()), "{value}");
        }
    }
    // The operator learns why the application does not get it.
    for name in [AUTHORIZATION, API_KEY] {
        let told = |line: &serde_json::Value| {
            line["reason"] == "field_holds_own_credential" && line["field"] == name
        };
        gateway.wait_for_log(told).await;
    }
    let log = gateway.log_lines().iter().map(ToString::to_string).collect::<String>();
    assert!([tokens[0], tokens[1], &key].iter().all(|secret| !log.contains(*secret)));
}

/// The cookie decides, and a browser sends it for any page.
/// Webhooks and public APIs have credentials of their own.
#[tokio::test]
async fn on_a_public_route_an_applications_token_goes_on_and_no_password_nor_anything_of_ours() {
    let upstream = Upstream::http1(ok).await;
    let route = "[[route]]\npublic = true\nupstream = \"app\"\n";
    let gateway = Gateway::start(&(upstream.section("app") + route)).await;
    let token = sign_in_admin(&gateway).await.access;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let ours = [format!("Bearer {token}"), format!("Bearer {key}"), basic(ADMIN, ADMIN_PASSWORD)];
    for (name, value, arrives) in [
        ("authorization", "Bearer the-application's", true),
        ("authorization", "ApiKey abc", true),
        ("x-api-key", "the-application's", true),
        ("authorization", &*ours[0], false),
        ("authorization", &*ours[1], false),
        ("authorization", &*ours[2], false),
        ("x-api-key", &*key, false),
        ("x-api-key", &*token, false),
    ] {
        Client::anonymous(&gateway).with(name, value).get("/hook").await.expect(200);
        let received = upstream.next_request().await;
        assert_eq!(received.field(name), arrives.then_some(value), "{name}: {value}");
    }
    let twice = Client::anonymous(&gateway)
        .with("authorization", "ApiKey a")
        .with("authorization", "ApiKey b");
    twice.get("/hook").await.expect(200);
    assert_eq!(upstream.next_request().await.field("authorization"), None);
}

#[tokio::test]
async fn a_foreign_page_does_not_pass_by_adding_what_is_not_ours() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&format!("{COOKIES}{}", upstream.routes())).await;
    let cookies = cookies(&gateway).await;
    let basic = basic(ADMIN, ADMIN_PASSWORD);
    for ours in [(COOKIE, &*cookies), (AUTHORIZATION, &basic)] {
        for theirs in [(AUTHORIZATION, THEIR_TOKEN), (API_KEY, THEIR_KEY)] {
            if ours.0 == theirs.0 {
                continue;
            }
            let caller = || with(Client::anonymous(&gateway), &[ours, theirs]);
            let foreign = caller().with("sec-fetch-site", "cross-site");
            foreign.post("/app").await.refused(403, "CSRF");
            let own = caller().with("sec-fetch-site", "same-origin");
            own.post("/app").await.expect(200);
        }
    }
}

#[tokio::test]
async fn tickets_and_agents_come_beside_an_applications_credential() {
    let mut upstream = websocket::Upstream::start().await;
    let url = &upstream.url;
    let routes = format!(
        "{COOKIES}[[route]]\nupstream = \"{url}\"\nws_token = true\nschemes = [\"cookie\"]\n\
         [[route]]\npath = \"/agents\"\nupstream = \"{url}\"\nagents = true\nschemes = [\"cookie\"]\n"
    );
    let gateway = Gateway::start(&routes).await;
    let ticket = Client::admin(&gateway).get("/api/ws-token").await.expect(200).json();
    let path = format!("/logs?token={}", ticket["token"].as_str().expect("a ticket is text"));
    let theirs = [(AUTHORIZATION, THEIR_TOKEN), (API_KEY, THEIR_KEY)];
    let caller = || with(Client::anonymous(&gateway), &theirs);
    open_socket(&caller(), "/logs").await.refused(401, "AUTHENTICATION_REQUIRED");
    open_socket(&caller(), &path).await.expect(101);
    let opened = upstream.next().await;
    assert_eq!(opened.headers()[AUTHORIZATION], THEIR_TOKEN);
    assert_eq!(opened.headers()[API_KEY], THEIR_KEY);
    assert_eq!(opened.uri().path_and_query().expect("a path").as_str(), "/logs");

    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let mut agent = Tunnel::opened(&gateway, "/agents", &theirs).await;
    agent.send(Message::text(json!({ "type": "auth", "api_key": key }).to_string())).await;
    let Message::Text(said) = agent.receive().await else { panic!("text is expected") };
    assert!(said.contains("auth_success"), "{said}");
    let opened = upstream.next().await;
    assert_eq!(opened.headers()[AUTHORIZATION], THEIR_TOKEN);
    assert_eq!(opened.headers()[API_KEY], THEIR_KEY);
}
