//! What administrators see of sign-ins and sessions: address, client and times.

use http::HeaderValue;
use http::header::USER_AGENT;
use serde_json::{Value, json};

use super::{Caller, PASSWORD, id, start};
use crate::support::client::{Client, Pair, json_request};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

async fn sign_in_as(client: &Client, name: &str, user_agent: &[u8]) -> Pair {
    let body = json!({ "username": name, "password": PASSWORD });
    let mut request = json_request("/api/auth/login", &body);
    let user_agent = HeaderValue::from_bytes(user_agent).expect("a field value");
    request.headers_mut().insert(USER_AGENT, user_agent);
    client.request(request).await.pair()
}

/// The only session of a user.
async fn session_of(admin: &Caller, user: &Value) -> Value {
    let listed = admin.get(&format!("/users/{}/sessions", id(user))).await;
    let [session] = listed["items"].as_array().expect("a list").as_slice() else {
        panic!("no single session: {listed}")
    };
    session.clone()
}

/// The head and the rows of a list by command.
async fn table(gateway: &Gateway, arguments: &[&str]) -> (String, Vec<String>) {
    let listed = gateway.manage(arguments, None).await;
    let mut lines = listed.lines();
    let head = lines.next().expect("a head").to_owned();
    (head, lines.map(str::to_owned).collect())
}

#[tokio::test]
async fn a_session_tells_from_where_and_by_what_it_was_opened() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let ann = admin.add_user("ann").await;
    let client = Client::anonymous(&gateway).from_address("2001:db8::1:2:3:4");
    let pair = sign_in_as(&client, "ann", FIREFOX.as_bytes()).await;
    let session = session_of(&admin, &ann).await;
    assert_eq!(session["address"], "2001:db8::1:2:3:4", "whole, not as limits count it");
    assert_eq!(session["user_agent"], FIREFOX);
    // Whoever refreshes it elsewhere has not opened it.
    let elsewhere = Client::anonymous(&gateway).from_address("192.0.2.1").with("user-agent", "x/1");
    elsewhere.refresh(&pair.refresh).await.expect(200);
    let refreshed = session_of(&admin, &ann).await;
    assert_eq!(
        (&refreshed["address"], &refreshed["user_agent"]),
        (&session["address"], &session["user_agent"])
    );

    let (head, rows) = table(&gateway, &["session", "list", "--user", "ann"]).await;
    let heads: Vec<&str> =
        head.split("  ").map(str::trim).filter(|head| !head.is_empty()).collect();
    assert_eq!(heads, ["ID", "USER", "ADDRESS", "BROWSER", "CREATED", "LAST USED", "EXPIRES"]);
    let [row] = rows.as_slice() else { panic!("one session: {rows:#?}") };
    assert!(row.contains("2001:db8::1:2:3:4  Firefox 128 on Linux  "), "{row}");
    let shown = gateway.manage(&["session", "list", "--format", "json"], None).await;
    let shown: Value = serde_json::from_str(&shown).expect("sessions as JSON");
    assert_eq!(shown[0]["user_agent"], FIREFOX);
}

#[tokio::test]
async fn a_client_that_says_nothing_of_itself_opens_a_session_all_the_same() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let ann = admin.add_user("ann").await;
    Client::anonymous(&gateway).from_address("192.0.2.7").login("ann", PASSWORD).await.expect(200);
    let session = session_of(&admin, &ann).await;
    assert_eq!((&session["address"], &session["user_agent"]), (&"192.0.2.7".into(), &Value::Null));
    let (_, rows) = table(&gateway, &["session", "list"]).await;
    assert!(rows[0].contains("192.0.2.7  -"), "{rows:#?}");
}

/// Anybody may write anything there.
#[tokio::test]
async fn what_a_client_calls_itself_is_bounded_and_harmless_to_look_at() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let long = [b"tool/1 ".as_slice(), &[b'a'; 8 << 10]].concat();
    let turned = "evil\u{202e}gnp/1 \u{2066}x".as_bytes();
    let rows: [(&str, &[u8], String, &str); 4] = [
        ("long", &long, format!("tool/1 {}", "a".repeat(185)), "tool 1"),
        ("turned", turned, "evil\u{fffd}gnp/1 \u{fffd}x".to_owned(), "evil\u{fffd}gnp 1"),
        ("latin", b"caf\xe9/2", "caf\u{fffd}/2".to_owned(), "caf\u{fffd} 2"),
        (
            "markup",
            b"<script>alert(1)</script>",
            "<script>alert(1)</script>".to_owned(),
            "<script>alert(1)<",
        ),
    ];
    for (name, user_agent, stored, shown) in rows {
        let user = admin.add_user(name).await;
        sign_in_as(&Client::anonymous(&gateway), name, user_agent).await;
        assert_eq!(session_of(&admin, &user).await["user_agent"], stored, "{name}");
        let (_, listed) = table(&gateway, &["session", "list", "--user", name]).await;
        assert!(listed[0].contains(shown), "{name}: {listed:#?}");
        assert!(listed[0].is_ascii() || listed[0].contains('\u{fffd}'), "{name}: {listed:#?}");
        assert!(!listed[0].contains(['\u{202e}', '\u{2066}']), "{name}: {listed:#?}");
    }
}

#[tokio::test]
async fn a_session_tells_when_it_was_last_used_over_a_restart_too() {
    let mut gateway = start().await;
    let admin = Caller::admin(&gateway);
    let [ann, bob] = [admin.add_user("ann").await, admin.add_user("bob").await];
    let pair = sign_in_as(&Client::anonymous(&gateway), "ann", b"curl/8").await;
    sign_in_as(&Client::anonymous(&gateway), "bob", b"curl/8").await;
    let unused = session_of(&admin, &bob).await;
    assert_eq!(unused["last_used"], unused["created"], "it was opened, and that is all");
    let used = Client::bearer(&gateway, &pair.access);
    let last = eventually("the use to show", async || {
        used.get("/").await.expect(200);
        let session = session_of(&admin, &ann).await;
        (session["last_used"].as_str() > session["created"].as_str())
            .then(|| session["last_used"].clone())
    })
    .await;
    // What is refused is no use.
    Client::bearer(&gateway, &format!("{}x", pair.access)).get("/").await.expect(401);
    assert_eq!(session_of(&admin, &ann).await["last_used"], last);
    gateway.stop().await;
    gateway.restart().await;
    let admin = Caller::admin(&gateway);
    assert_eq!(session_of(&admin, &ann).await["last_used"], last);
    assert_eq!(session_of(&admin, &bob).await["last_used"], unused["last_used"]);
}

#[tokio::test]
async fn a_user_tells_when_a_session_was_last_opened() {
    let mut gateway = start().await;
    let admin = Caller::admin(&gateway);
    let ann = admin.add_user("ann").await;
    let path = format!("/users/{}", id(&ann));
    assert_eq!(ann["last_sign_in"], Value::Null);
    Client::basic(&gateway, "ann", PASSWORD).get("/").await.expect(200);
    assert_eq!(admin.get(&path).await["last_sign_in"], Value::Null, "Basic opens no session");
    sign_in_as(&Client::anonymous(&gateway), "ann", b"curl/8").await;
    let created = session_of(&admin, &ann).await["created"].clone();
    assert_eq!(admin.get(&path).await["last_sign_in"], created);
    let changed = admin.patch(&path, json!({ "roles": ["ops"] })).await;
    assert_eq!(changed["last_sign_in"], created);
    admin.delete(&format!("{path}/sessions")).await;
    gateway.stop().await;
    gateway.restart().await;
    let listed = Caller::admin(&gateway).get("/users").await;
    let known: Vec<_> = listed["items"].as_array().expect("a list").iter().collect();
    let last = |name: &str| {
        let user = known.iter().find(|user| user["username"] == name).expect("it is listed");
        user["last_sign_in"].clone()
    };
    assert_eq!((last("ann"), last(ADMIN)), (created.clone(), Value::Null));

    let (head, rows) = table(&gateway, &["user", "list"]).await;
    let column = head.find("LAST SIGN-IN").expect("a column");
    let cell = |name: &str| {
        let row = rows.iter().find(|row| row.starts_with(name)).expect("a row");
        row[column..].split("  ").next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        (cell("ann"), cell(ADMIN)),
        (created.as_str().unwrap_or_default().into(), "-".into())
    );
    Client::anonymous(&gateway).login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    let shown = gateway.manage(&["user", "show", ADMIN], None).await;
    let row = shown.lines().find(|line| line.starts_with("last_sign_in")).expect("a row");
    assert!(row.ends_with('Z'), "{row}");
}
