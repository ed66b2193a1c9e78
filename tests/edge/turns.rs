//! Pages that ask for more at once than fits into the bucket of their address, and routes
//! with buckets of their own.

use http::{Method, Request};
use tokio::task::JoinSet;

use crate::support::client::{
    Answer, Body, Client, Connection, basic, body, request, sign_in_admin,
};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::raw::raw;

use super::PUBLIC_ECHO;

/// What a page's script and image requests say of themselves.
const MODE: (&str, &str) = ("sec-fetch-mode", "no-cors");
/// One request a second, and whoever may wait long enough for all of a test.
const SLOW: &str = "[limits]\nrequests_per_second = 1\nburst = 1\nwait = \"60s\"\n";

async fn signed_in(gateway: &Gateway) -> Client {
    let token = sign_in_admin(gateway).await.access;
    Client::bearer(gateway, &token)
}

fn in_browser(client: Client) -> Client {
    client.with(MODE.0, MODE.1)
}

/// So many requests of one address at once, each on a connection of its own.
async fn at_once(client: &Client, requests: usize) -> Vec<Answer> {
    let mut page = JoinSet::new();
    for mut connection in connections(client, requests).await {
        page.spawn(async move { connection.get("/part").await });
    }
    page.join_all().await
}

async fn connections(client: &Client, count: usize) -> Vec<Connection> {
    let mut connecting = JoinSet::new();
    for _ in 0..count {
        let client = client.clone();
        connecting.spawn(async move { client.connect().await });
    }
    connecting.join_all().await
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// Asks on until there is a refusal: an address that waits never gets one.
async fn is_refused_at_once(what: &str, mut ask: impl AsyncFnMut() -> Answer) {
    eventually(what, async || (ask().await.status == 429).then_some(())).await;
}

/// Was: JupyterLab's page is 91 requests, and blank if one of them is refused.
#[tokio::test]
async fn a_page_of_91_requests_comes_whole() {
    let gateway = Gateway::start(&format!("[limits]\nwait = \"9s\"\n{ECHO}")).await;
    let client = signed_in(&gateway).await;
    let page = at_once(&in_browser(client.clone()), 91).await;
    assert_eq!(count(&page, 200), 91, "{page:?}");
    gateway.counted(&["rate_waited"], 1).await;
    // Control: the limit is there, and whoever is no browser meets it.
    let mut connection = client.connect().await;
    is_refused_at_once("the limit", async || connection.get("/part").await).await;
}

#[tokio::test]
async fn each_credential_that_memory_knows_waits() {
    let gateway = Gateway::start(&format!("{SLOW}{ECHO}")).await;
    let token = sign_in_admin(&gateway).await.access;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    for client in [
        Client::bearer(&gateway, &token),
        Client::api_key(&gateway, &key),
        Client::basic(&gateway, "anybody", &key),
        Client::basic(&gateway, &key, ""),
    ] {
        let page = at_once(&in_browser(client), 3).await;
        assert_eq!(count(&page, 200), 3, "{page:?}");
    }
    gateway.counted(&["rate_waited"], 3).await;
}

#[tokio::test]
async fn a_cookie_waits_where_a_contract_gives_them() {
    let cookies = "[dialect.status]\ndelivery = \"cookie\"\n";
    let gateway = Gateway::start(&format!("{cookies}{SLOW}{ECHO}")).await;
    let client = Client::anonymous(&gateway);
    let answer = client.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    let cookie = answer.fields("set-cookie").into_iter().find(|line| line.contains("access"));
    let cookie = cookie.and_then(|line| line.split(';').next()).expect("a token").to_owned();
    let browser = in_browser(Client::anonymous(&gateway).with("cookie", &cookie));
    let page = at_once(&browser, 3).await;
    assert_eq!(count(&page, 200), 3, "{page:?}");
    // Beside what may be the application's, as on a route that leaves it that.
    let beside = browser.from_address("203.0.113.9").with("x-api-key", "the application's");
    let page = at_once(&beside, 3).await;
    assert_eq!(count(&page, 200), 3, "{page:?}");
}

#[tokio::test]
async fn who_is_no_browser_or_brings_nothing_good_is_refused_at_once() {
    let gateway = Gateway::start(&format!("{SLOW}{ECHO}")).await;
    let good = signed_in(&gateway).await;
    let twice = in_browser(in_browser(good.clone()));
    let wrong = in_browser(Client::bearer(&gateway, "no.token.atall"));
    let key = in_browser(Client::api_key(&gateway, "sk_live_unknown"));
    let nothing = in_browser(Client::anonymous(&gateway));
    // Nobody has proven it on these connections.
    let basic = in_browser(Client::admin(&gateway));
    for client in [good, twice, wrong, key, nothing, basic] {
        is_refused_at_once("a refusal", async || client.get("/part").await).await;
    }
    assert_eq!(gateway.count("rate_waited").await, 0);
}

/// A browser by itself, without a proxy.
async fn direct(limits: &str) -> (Gateway, Client) {
    let gateway = Gateway::start(&format!("{limits}[client]\ntrusted_proxies = []\n{ECHO}")).await;
    let client = in_browser(Client::anonymous(&gateway));
    (gateway, client)
}

fn by_password(password: &str) -> Request<Body> {
    let mut request = request(Method::GET, "/part");
    let value = basic(ADMIN, password).parse().expect("a field value");
    request.headers_mut().insert("authorization", value);
    request
}

/// Asks on a connection until a token was waited for.
async fn waits(gateway: &Gateway, connection: &mut Connection) {
    let before = gateway.count("rate_waited").await;
    eventually("a request to wait", async || {
        connection.send(by_password(ADMIN_PASSWORD)).await.expect(200);
        (gateway.count("rate_waited").await > before).then_some(())
    })
    .await;
}

/// Else whoever is over the limit could try as many passwords as go through the network.
#[tokio::test]
async fn a_password_waits_on_the_connection_that_has_proven_it_until_another_is_compared() {
    let (gateway, client) = direct(SLOW).await;
    let mut connection = client.connect().await;
    eventually("a guess to be judged", async || {
        (connection.send(by_password("a guess")).await.status == 401).then_some(())
    })
    .await;
    // Not what came first is known, but what was proven.
    eventually("the right one to be judged", async || {
        (connection.send(by_password(ADMIN_PASSWORD)).await.status == 200).then_some(())
    })
    .await;
    waits(&gateway, &mut connection).await;
    let waited = gateway.count("rate_waited").await;
    is_refused_at_once("a guess", async || connection.send(by_password("a guess")).await).await;
    is_refused_at_once("the right one after it", async || {
        connection.send(by_password(ADMIN_PASSWORD)).await
    })
    .await;
    assert_eq!(gateway.count("rate_waited").await, waited);
}

#[tokio::test]
async fn a_password_that_was_changed_waits_no_more() {
    let (gateway, client) = direct(SLOW).await;
    let mut connection = client.connect().await;
    eventually("the password to be judged", async || {
        (connection.send(by_password(ADMIN_PASSWORD)).await.status == 200).then_some(())
    })
    .await;
    waits(&gateway, &mut connection).await;
    gateway.manage(&["user", "passwd", ADMIN], Some("another long one\n")).await;
    let waited = gateway.count("rate_waited").await;
    is_refused_at_once("the former password", async || {
        connection.send(by_password(ADMIN_PASSWORD)).await
    })
    .await;
    assert_eq!(gateway.count("rate_waited").await, waited);
}

/// On the connection of a proxy come the passwords of many, and guesses at them.
#[tokio::test]
async fn no_password_waits_on_the_connection_of_a_proxy() {
    let gateway = Gateway::start(&format!("{SLOW}{ECHO}")).await;
    for address in ["203.0.113.7", "127.0.0.1"] {
        let client = in_browser(Client::anonymous(&gateway)).from_address(address);
        let mut connection = client.connect().await;
        eventually("the password to be judged", async || {
            (connection.send(by_password(ADMIN_PASSWORD)).await.status == 200).then_some(())
        })
        .await;
        is_refused_at_once("the same again", async || {
            connection.send(by_password(ADMIN_PASSWORD)).await
        })
        .await;
    }
    assert_eq!(gateway.count("rate_waited").await, 0);
}

#[tokio::test]
async fn an_account_has_128_that_wait_and_places_are_free_when_their_clients_leave() {
    let limits = "[limits]\nrequests_per_second = 3\nburst = 1\nwait = \"60s\"\n";
    let gateway = Gateway::start(&format!("{limits}{ECHO}")).await;
    let browser = in_browser(signed_in(&gateway).await);
    let mut page = JoinSet::new();
    for _ in 0..140 {
        let browser = browser.clone();
        page.spawn(async move { browser.get("/part").await });
    }
    let refused = eventually("a refusal", async || {
        let answer = page.join_next().await.expect("all of them wait").expect("an answer");
        (answer.status == 429).then_some(answer)
    })
    .await;
    let id = refused.field("x-request-id").to_owned();
    let line =
        gateway.wait_for_log(|line| line["type"] == "access" && line["request_id"] == *id).await;
    assert_eq!(line["detail"], "too many others wait for their turn", "{line}");
    assert!(gateway.count("rate_waited").await >= 128);
    page.shutdown().await;
    // Of three at once two have to wait.
    eventually("places to wait", async || {
        (count(&at_once(&browser, 3).await, 200) == 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whoever_has_waited_in_vain_is_refused_and_the_log_says_so() {
    let limits = "[limits]\nrequests_per_second = 1\nburst = 1\nwait = \"100ms\"\n";
    let gateway = Gateway::start(&format!("{limits}{ECHO}")).await;
    let browser = in_browser(signed_in(&gateway).await);
    let refused = eventually("a refusal", async || {
        Some(browser.get("/part").await).filter(|answer| answer.status == 429)
    })
    .await;
    let id = refused.field("x-request-id").to_owned();
    let line =
        gateway.wait_for_log(|line| line["type"] == "access" && line["request_id"] == *id).await;
    assert_eq!(line["detail"], "it has waited for its turn as long as it may", "{line}");
}

/// Of 20 requests at once 3 have a chance within so long; the others learn at once when to
/// come again.
#[tokio::test]
async fn who_would_wait_in_vain_is_refused_at_once() {
    let limits = "[limits]\nrequests_per_second = 1\nburst = 1\nwait = \"2s\"\n";
    let gateway = Gateway::start(&format!("{limits}{ECHO}")).await;
    let browser = in_browser(signed_in(&gateway).await);
    let page = at_once(&browser, 20).await;
    let refused: Vec<&Answer> = page.iter().filter(|answer| answer.status == 429).collect();
    assert!(refused.len() >= 10, "{page:?}");
    assert!(refused.iter().any(|answer| answer.field("retry-after") == "3"), "{refused:?}");
    let id = refused[0].field("x-request-id").to_owned();
    let line =
        gateway.wait_for_log(|line| line["type"] == "access" && line["request_id"] == *id).await;
    assert!(line["detail"].as_str().is_some_and(|detail| detail.contains("as long as it may")));
}

#[tokio::test]
async fn with_no_time_to_wait_nobody_waits() {
    let limits = "[limits]\nrequests_per_second = 1\nburst = 1\nwait = \"0s\"\n";
    let gateway = Gateway::start(&format!("{limits}{ECHO}")).await;
    let browser = in_browser(signed_in(&gateway).await);
    is_refused_at_once("a refusal", async || browser.get("/part").await).await;
    assert_eq!(gateway.count("rate_waited").await, 0);
}

/// `/assets` has no bucket, `/slow` a small one, all else the common one.
async fn with_rates() -> Gateway {
    let routes = "[[route]]\npath = \"/assets\"\npublic = true\nupstream = \"echo\"\nrate = \"none\"\n\
                  [[route]]\npath = \"/slow\"\npublic = true\nupstream = \"echo\"\nmethods = [\"POST\"]\n\
                  cors = { origins = [\"https://app.example\"] }\n\
                  [route.rate]\nrequests_per_second = 1\nburst = 1\n";
    let limits = "[limits]\nrequests_per_second = 1\nburst = 3\n";
    Gateway::start(&format!("{limits}{PUBLIC_ECHO}{routes}")).await
}

#[tokio::test]
async fn a_route_without_a_rate_takes_no_tokens() {
    let gateway = with_rates().await;
    let client = Client::anonymous(&gateway);
    for _ in 0..20 {
        client.get("/assets/logo.svg").await.expect(200);
    }
    for _ in 0..3 {
        client.get("/").await.expect(200);
    }
    is_refused_at_once("the common bucket to be empty", async || client.get("/").await).await;
    client.get("/assets/logo.svg").await.expect(200);
}

#[tokio::test]
async fn a_route_with_a_rate_has_buckets_of_its_own() {
    let gateway = with_rates().await;
    let client = Client::anonymous(&gateway);
    let refused = eventually("the route's bucket to be empty", async || {
        Some(client.post("/slow").await).filter(|answer| answer.status == 429)
    })
    .await;
    assert_eq!(refused.field("ratelimit-policy"), "\"route\";q=1;w=1");
    client.get("/").await.expect(200);
    // The log says which bucket it was.
    let id = refused.field("x-request-id").to_owned();
    let line =
        gateway.wait_for_log(|line| line["type"] == "access" && line["request_id"] == *id).await;
    assert_eq!((&line["reason"], &line["route"]), (&"rate_limited".into(), &"/slow".into()));
    // What a page asks about costs what it asks for.
    let preflight = || {
        Request::builder()
            .method("OPTIONS")
            .uri("/slow")
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST")
            .body(body(""))
            .expect("a request")
    };
    is_refused_at_once("the route's bucket to be empty", async || {
        client.request(preflight()).await
    })
    .await;
}

#[tokio::test]
async fn a_browser_waits_for_a_token_of_its_route() {
    let limits = "[limits]\nrequests_per_second = 1\nburst = 1\nwait = \"60s\"\n";
    let routes = "[[route]]\npath = \"/own\"\nupstream = \"echo\"\nhost = \"app.example\"\n\
                  rate = { requests_per_second = 50, burst = 1 }\n";
    let gateway = Gateway::start(&format!("{limits}{ECHO}{routes}")).await;
    let browser = in_browser(signed_in(&gateway).await);
    // As many would take a minute elsewhere.
    let mut connection = browser.clone().host("app.example").connect().await;
    for _ in 0..60 {
        connection.get("/own").await.expect(200);
    }
    gateway.counted(&["rate_waited"], 1).await;
    // That path of another host is another route's.
    let waited = gateway.count("rate_waited").await;
    let page = at_once(&browser, 3).await;
    assert_eq!(count(&page, 200), 3, "{page:?}");
    assert!(gateway.count("rate_waited").await > waited);
}

/// A path that goes nowhere, a malformed head, and the gateway's own endpoints, whatever
/// route has them.
#[tokio::test]
async fn what_comes_to_no_route_takes_the_common_tokens() {
    let every = "[[route]]\npublic = true\nupstream = \"echo\"\nrate = \"none\"\n";
    let limits = "[limits]\nrequests_per_second = 1\nburst = 3\n";
    let gateway = Gateway::start(&format!("{limits}{every}")).await;
    for path in ["/health", "/%2e%2e/%00", "/api/v1/auth/login"] {
        let client = Client::anonymous(&gateway);
        is_refused_at_once(path, async || client.get(path).await).await;
        client.get("/anything").await.expect(200);
    }
    is_refused_at_once("a malformed head", async || {
        let mut stream = raw(&gateway).await;
        stream.send("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 1\r\n\r\n").await;
        stream.read_response().await
    })
    .await;
}
