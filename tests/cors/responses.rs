//! Who may read a response: the page that a policy lists, of an upstream's as of ours.

use http::Response;

use crate::support::client::{Protocol, json_request};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO};
use crate::support::upstream::{Refusing, ok, text};

use super::*;

/// An upstream that lets everybody read, twice, and has something to vary by.
async fn generous() -> Upstream {
    Upstream::http1(|_| async {
        let mut answer = text("ok");
        let headers = answer.headers_mut();
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-origin", "https://evil.example"),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "x-secret"),
            ("vary", "Accept-Encoding"),
        ] {
            headers.append(name, value.parse().expect("a field value"));
        }
        answer
    })
    .await
}

fn admin(gateway: &Gateway, origin: &str) -> Client {
    Client::admin(gateway).with("origin", origin)
}

#[tokio::test]
async fn what_an_upstream_says_is_replaced_by_the_policy_of_its_route() {
    let app = generous().await;
    let gateway = in_front_of(&app, &route(POLICY)).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let read = async |client: Client| client.protocol(protocol).get("/").await.expect(200);
        let listed = read(admin(&gateway, PAGE)).await;
        assert_readable(&listed);
        assert_eq!(listed.fields("vary")[0], "Accept-Encoding");
        // Others get the same without it, and a cache keeps it apart.
        for client in [admin(&gateway, FOREIGN), admin(&gateway, "null"), Client::admin(&gateway)] {
            let answer = read(client).await;
            assert!(family(&answer).is_empty(), "{answer:?}");
            assert_varies(&answer);
        }
    }
}

#[tokio::test]
async fn what_an_upstream_says_passes_where_it_is_to_answer_and_where_nothing_is_said() {
    let app = generous().await;
    for keys in ["cors = \"upstream\"\n", ""] {
        let gateway = in_front_of(&app, &route(keys)).await;
        let answer = admin(&gateway, PAGE).get("/").await.expect(200);
        let origins = answer.fields("access-control-allow-origin");
        assert_eq!(origins, ["*", "https://evil.example"], "as the upstream wrote it");
        let refused = page(&gateway, PAGE).get("/").await.expect(401);
        assert!(family(&refused).is_empty(), "{refused:?}");
    }
}

#[tokio::test]
async fn further_fields_are_exposed_beside_those_of_the_gateway() {
    let policy = "cors = { origins = [\"https://*.example\"], expose = [\"X-Total-Count\"] }\n";
    let app = generous().await;
    let gateway = in_front_of(&app, &route(policy)).await;
    let answer = admin(&gateway, PAGE).get("/").await.expect(200);
    assert_readable(&answer);
    let exposed = answer.field("access-control-expose-headers");
    assert!(exposed.ends_with(", x-total-count") && !exposed.contains("x-secret"), "{exposed}");
    for foreign in ["https://a.b.example", "https://example", "https://app.example.evil.example"] {
        let answer = admin(&gateway, foreign).get("/").await.expect(200);
        assert!(family(&answer).is_empty(), "{foreign}: {answer:?}");
    }
}

/// Every refusal on the way of a request, and what is wrong is for the page to read.
#[tokio::test]
async fn refusals_are_readable_by_the_pages_that_may_read_answers() {
    let app = Upstream::http1(ok).await;
    let gone = Refusing::new();
    let config = format!(
        "[limits]\nheader_count = 20\n[cors]\norigins = [\"{PAGE}\"]\n[client]\norigins = [\"{PAGE}\"]\n\
         [upstream.gone]\nurl = \"{}\"\n{}{}{}{}",
        gone.url(),
        app.section("app"),
        route("path = \"/app\"\nbody_size = \"1KiB\"\ncors = \"gateway\"\n"),
        route("path = \"/ops\"\nroles = [\"ops\"]\nmethods = [\"GET\"]\ncors = \"gateway\"\n"),
        route("path = \"/gone\"\ncors = \"gateway\"\n").replace("\"app\"", "\"gone\""),
    );
    let gateway = Gateway::start(&config).await;
    let admin = || admin(&gateway, PAGE);
    let bare = || page(&gateway, PAGE);
    let many = (0..30).fold(bare(), |client, n| client.with(&format!("x-{n}"), "x"));
    let login = |password: &str| {
        let body = serde_json::json!({ "username": ADMIN, "password": password });
        json_request("/api/auth/login", &body)
    };
    let get = |path| request(Method::GET, path);
    for (client, asked, status) in [
        (bare(), get("/app"), 401),
        (bare().with("authorization", "Bearer made-up"), get("/app"), 401),
        (bare(), login("a guess"), 401),
        (bare(), posted("/api/auth/login", 10), 415),
        (bare(), get("/api/auth/login"), 405),
        (admin(), get("/ops"), 403),
        (admin(), posted("/ops", 1), 405),
        (admin(), posted("/app", 4096), 413),
        (admin(), get("/gone"), 502),
        (bare(), get("/nowhere"), 404),
        (bare(), get("/app//x"), 400),
        (many.h2(), get("/app"), 431),
    ] {
        let what = format!("{} {}", asked.method(), asked.uri());
        let answer = client.request(asked).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert_readable(&answer);
    }
    // Control: what succeeds is as readable, and nothing is for anybody else.
    assert_readable(&bare().request(login(ADMIN_PASSWORD)).await.expect(200));
    let foreign = page(&gateway, FOREIGN);
    for asked in [get("/app"), get("/nowhere"), get("/api/auth/login"), get("/api/auth/providers")]
    {
        let answer = foreign.request(asked).await;
        assert!(family(&answer).is_empty(), "{answer:?}");
    }
}

/// Refused by the bucket, before anything is known of the request but its address.
#[tokio::test]
async fn a_refusal_before_the_route_is_known_is_readable_where_its_answer_would_be() {
    let limits = "[limits]\nrequests_per_second = 1\nburst = 1\n";
    let silent = "[[route]]\npath = \"/silent\"\nupstream = \"echo\"\n";
    let loud = format!("[[route]]\nhost = \"*.example\"\nupstream = \"echo\"\n{POLICY}");
    let gateway = Gateway::start(&format!("{limits}{silent}{loud}")).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = page(&gateway, PAGE).protocol(protocol);
        client.get("/silent").await.expect(401);
        let readable = client.clone().host("api.example").get("/x").await.expect(429);
        assert_readable(&readable);
        for unreadable in [
            client.get("/silent").await,
            client.get("/nowhere").await,
            client.get("/api/auth/providers").await,
        ] {
            let answer = unreadable.expect(429);
            assert!(family(&answer).is_empty(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn credentials_are_for_exact_origins_and_named_only_to_them() {
    let policy = "cors = { origins = [\"https://app.example\"], credentials = true }\n";
    let gateway = Gateway::start(&format!("{ECHO}{policy}")).await;
    let answer = admin(&gateway, PAGE).get("/").await.expect(200);
    assert_eq!(answer.field("access-control-allow-credentials"), "true");
    assert_eq!(answer.field("access-control-allow-origin"), PAGE);
    let asked = page(&gateway, PAGE).request(preflight("/", "PUT", "")).await.expect(204);
    assert_eq!(asked.field("access-control-allow-credentials"), "true");
    let other = admin(&gateway, FOREIGN).get("/").await.expect(200);
    assert!(family(&other).is_empty(), "{other:?}");
}

/// `Upgrade` has rules of its own, and no page reads this head.
#[tokio::test]
async fn a_websocket_opens_as_ever_beside_a_policy() {
    let app = Upstream::websocket().await;
    let gateway = in_front_of(&app, &route(POLICY)).await;
    let client = Client::admin(&gateway)
        .with("connection", "upgrade")
        .with("upgrade", "websocket")
        .with("sec-websocket-version", "13")
        .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let opened = |origin: &str| {
        let client = client.clone().with("origin", origin);
        async move {
            let response: Response<_> =
                client.connect().await.begin(request(Method::GET, "/")).await;
            (response.status().as_u16(), response.headers().contains_key("vary"))
        }
    };
    assert_eq!(opened("https://localhost").await, (101, false));
    // To read is not to act.
    assert_eq!(opened(PAGE).await, (403, true));
}
