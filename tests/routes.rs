//! Rules of routes, as written and as requests meet them; and what `check` says of them.

use http::{Method, Request};
use serde_json::Value;

use crate::support::client::{Client, Protocol, body};
use crate::support::gateway::{Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::Ended;

const OPEN: &str = "[[route]]\nid = \"open\"\npublic = true\nupstream = \"echo\"\n";
const CLOSED: &str = "[[route]]\nid = \"closed\"\nupstream = \"echo\"\n";

async fn check(config: &str, arguments: &[&str]) -> Ended {
    let installation =
        Installation::new().file("config.toml", config).env("SECRET_KEY", SECRET_KEY);
    installation.run(&[&["check"], arguments].concat(), None).await
}

async fn status(gateway: &Gateway, host: &str, path: &str) -> u16 {
    Client::anonymous(gateway).host(host).get(path).await.status.as_u16()
}

/// Was: `/adm` beside `/adm/` passed, and the laxer of both opened what lies below.
#[tokio::test]
async fn routes_that_differ_in_spelling_alone_are_duplicates() {
    let pair = |left: &str, right: &str| format!("{OPEN}{left}\n{CLOSED}{right}\n");
    let good = check(&pair("path = \"/adm\"", "path = \"/admin\""), &[]).await;
    assert!(good.status.success(), "{good:?}");
    for (left, right) in [
        ("path = \"/adm\"", "path = \"/adm/\""),
        ("path = \"/adm\"", "path = \"/%61dm\""),
        ("path = \"/é\"", "path = \"/%c3%a9\""),
        ("host = \"app.example\"", "host = \"APP.example.\""),
        ("host = \"[2001:db8::1]\"", "host = \"[2001:DB8:0:0::1]\""),
        ("host = \"*.example\"", "host = \"*.Example.\""),
    ] {
        let ended = check(&pair(left, right), &[]).await;
        assert_eq!(ended.status.code(), Some(78), "{left} {right}: {ended:?}");
        assert!(ended.stderr.contains("another route has the same host, path and method"));
    }
}

/// Was: such a host escaped its route, and came to the one for every host.
#[tokio::test]
async fn every_spelling_of_a_host_meets_its_route() {
    let closed = |host: &str| format!("{CLOSED}host = \"{host}\"\n");
    for (written, spellings) in [
        ("app.example.", &["app.example", "APP.EXAMPLE", "app.example.", "app.example:8443"][..]),
        ("[2001:DB8::1]", &["[2001:db8::1]", "[2001:db8:0:0:0:0:0:1]", "[2001:0DB8::0001]:443"]),
        ("*.example", &["app.example", "App.Example."]),
    ] {
        let gateway = Gateway::start(&format!("{OPEN}{}", closed(written))).await;
        // Control: another host is everybody's.
        assert_eq!(status(&gateway, "localhost", "/").await, 200);
        assert_eq!(status(&gateway, "a.b.example", "/").await, 200);
        for spelling in spellings {
            assert_eq!(status(&gateway, spelling, "/").await, 401, "{spelling} for {written}");
        }
    }
}

/// Was: an upstream that compares hosts byte by byte answered such a request as its default site.
#[tokio::test]
async fn an_upstream_reads_the_host_that_was_judged() {
    let gateway = Gateway::start(OPEN).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for (written, told) in [
            ("app.example", "app.example"),
            ("App.Example.", "app.example"),
            ("APP.example.:08443", "app.example:8443"),
            ("[2001:DB8:0::1]:443", "[2001:db8::1]:443"),
        ] {
            let client = Client::anonymous(&gateway).protocol(protocol).host(written);
            let headers = client.get("/").await.expect(200).json()["headers"].clone();
            assert_eq!(headers["host"], serde_json::json!([told]), "{written}");
            assert_eq!(headers["x-forwarded-host"], serde_json::json!([told]), "{written}");
        }
    }
}

#[tokio::test]
async fn a_public_exact_route_opens_nothing_below_it() {
    let gateway =
        Gateway::start(&format!("{OPEN}path = \"/status\"\nexact = true\n{CLOSED}")).await;
    for (path, expected) in [
        ("/status", 200),
        ("/%73tatus?x=1", 200),
        ("/status/", 401),
        ("/status/secret", 401),
        ("/statuses", 401),
    ] {
        assert_eq!(status(&gateway, "localhost", path).await, expected, "{path}");
        let h2 = Client::anonymous(&gateway).protocol(Protocol::Http2).get(path).await;
        assert_eq!(h2.status.as_u16(), expected, "{path}");
    }
}

#[tokio::test]
async fn the_method_never_leads_from_an_exact_route_to_a_laxer_one() {
    let config = format!("{OPEN}{CLOSED}path = \"/x\"\nexact = true\nmethods = [\"GET\"]\n");
    let gateway = Gateway::start(&config).await;
    assert_eq!(status(&gateway, "localhost", "/x").await, 401);
    let post = Request::builder().method(Method::POST).uri("/x").body(body("")).expect("a request");
    assert_eq!(Client::anonymous(&gateway).request(post).await.status.as_u16(), 405);
}

#[tokio::test]
async fn an_exact_route_for_a_path_of_the_gateway_is_refused() {
    let config = format!("{OPEN}path = \"/health\"\nexact = true\n");
    let ended = check(&config, &[]).await;
    assert_eq!(ended.status.code(), Some(78), "{ended:?}");
    assert!(ended.stderr.contains("the gateway serves /health itself"), "{ended:?}");
    let moved = check(&format!("{config}[health]\nenabled = false\n"), &[]).await;
    assert!(moved.status.success(), "{moved:?}");
}

#[tokio::test]
async fn check_lists_routes_in_the_order_in_which_they_match() {
    let config = format!(
        "{OPEN}{CLOSED}path = \"/adm/\"\nroles = [\"admin\"]\n\
         {}host = \"App.example\"\n{}path = \"/status\"\nexact = true\n",
        CLOSED.replace("closed", "app"),
        OPEN.replace("open", "status")
    );
    let ended = check(&config, &[]).await;
    assert!(ended.status.success(), "{ended:?}");
    let rows: Vec<String> = ended
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("HOST"))
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let expected = [
        "app.example / and below * authenticated echo app strict route open to the same upstream has other rules",
        "* /status itself * public echo status strict route closed to the same upstream has other rules",
        "* /adm and below * roles admin echo closed strict route open to the same upstream has other rules",
        "* / and below * public echo open strict route closed to the same upstream has other rules",
    ];
    assert_eq!(rows[..4], expected);
    // The route for one host has every path there, and asks for no role.
    let note = "note: what route closed (roles admin) protects is reached through route app";
    assert!(ended.stdout.contains(note), "{}", ended.stdout);
}

#[tokio::test]
async fn check_shows_which_pages_of_other_origins_may_read() {
    let config = format!(
        "{OPEN}{}cors = {{ origins = [\"https://*.app.example\", \"http://localhost:3000\"] }}\n\
         {}cors = \"upstream\"\n[client]\norigins = [\"https://a.example\"]\n\
         [cors]\norigins = [\"https://A.example:443\"]\ncredentials = true\n",
        CLOSED.replace("closed\"", "own\"\npath = \"/own\""),
        CLOSED.replace("closed\"", "up\"\npath = \"/up\""),
    );
    let ended = check(&config, &[]).await;
    assert!(ended.status.success(), "{ended:?}");
    for (route, cors) in
        [("own", "https://*.app.example,http://localhost:3000"), ("up", "upstream"), ("open", "-")]
    {
        let mut rows = ended.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let is_row = |row: &Vec<&str>| row.contains(&route) && row.last() == Some(&cors);
        assert!(rows.any(|row| is_row(&row)), "{route}: {}", ended.stdout);
    }
    let auth_api = "the auth API may be read by pages of https://a.example with credentials";
    assert!(ended.stdout.contains(auth_api), "{}", ended.stdout);
    let told = check(&config, &["--path", "/up", "--format", "json"]).await;
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!(told["cors"], "upstream");
    let listed = check(&config, &["--format", "json"]).await;
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!(listed["cors"], "https://a.example with credentials");
}

#[tokio::test]
async fn check_shows_which_routes_have_a_rate() {
    let config = format!(
        "{OPEN}{}rate = \"none\"\n{}rate = {{ requests_per_second = 5 }}\n",
        CLOSED.replace("closed\"", "assets\"\npath = \"/assets\""),
        CLOSED.replace("closed\"", "slow\"\npath = \"/slow\""),
    );
    let ended = check(&config, &["--format", "json"]).await;
    let listed: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let routes = listed["routes"].as_array().expect("routes");
    let rate = |id: &str| &routes.iter().find(|route| route["route"] == id).expect("it")["rate"];
    assert_eq!(rate("open"), &Value::Null);
    assert_eq!(rate("assets"), "none");
    assert_eq!(rate("slow"), "5/s, 15 at once");
    let told = check(&config, &["--path", "/slow"]).await;
    assert!(told.stdout.contains("5/s, 15 at once"), "{told:?}");
    let table = check(&config, &[]).await;
    assert!(table.stdout.contains("RATE"), "{table:?}");
}

#[tokio::test]
async fn check_tells_where_a_request_goes_and_why() {
    let config = format!(
        "{OPEN}{CLOSED}path = \"/adm\"\nroles = [\"admin\"]\n{}host = \"*.example\"\npath = \"/adm/x\"\n",
        CLOSED.replace("closed", "wild")
    );
    let tell = async |arguments: &[&str]| {
        let ended = check(&config, &[arguments, &["--format", "json"]].concat()).await;
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).expect("JSON")
    };
    let told = tell(&["--path", "/%61dm/x?y=1"]).await;
    assert_eq!(told["path"], "/adm/x");
    assert_eq!(told["route"], "closed");
    assert_eq!(told["access"], "roles admin");
    assert_eq!(told["passed_over"], "open");
    let told = tell(&["--path", "/adm/x", "--host", "APP.example:8443", "--method", "PUT"]).await;
    assert_eq!((&told["route"], &told["host"]), (&"wild".into(), &"app.example".into()));
    assert_eq!(told["passed_over"], "closed, open");
    let told = tell(&["--path", "/administrator"]).await;
    assert_eq!((&told["route"], &told["passed_over"]), (&"open".into(), &Value::Null));
    let told = tell(&["--path", "/api/auth/login"]).await;
    assert_eq!(told["methods"], "POST", "{told}");
    let told = tell(&["--path", "/health"]).await;
    assert!(told["why"].as_str().is_some_and(|why| why.contains("own endpoints")), "{told}");
    for (arguments, code) in
        [(["--path", "/adm/../x"], "path_ambiguous"), (["--path", "/a;b"], "path_ambiguous")]
    {
        let ended = check(&config, &arguments).await;
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains(code), "{ended:?}");
    }
}
