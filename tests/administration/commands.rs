//! The same by command, beside a running gateway and on a store at rest.

use serde_json::{Value, json};

use super::{Caller, PASSWORD, id, start};
use crate::support::client::{Client, sign_in};
use crate::support::gateway::{ADMIN, Gateway};

async fn lines(gateway: &Gateway, arguments: &[&str]) -> Vec<String> {
    gateway.manage(arguments, None).await.lines().map(str::to_owned).collect()
}

async fn json_of(gateway: &Gateway, arguments: &[&str]) -> Value {
    let text = gateway.manage(&[arguments, &["--format", "json"]].concat(), None).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

async fn refused(gateway: &Gateway, arguments: &[&str], words: &str) {
    let ended = gateway.cli(arguments, None).await;
    assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {ended:?}");
    assert!(ended.stderr.contains(words) && ended.stdout.is_empty(), "{arguments:?}: {ended:?}");
}

/// All that can be done without a gateway; answers the ids of a server and a workspace.
async fn administer(gateway: &Gateway) -> (String, String) {
    let add = [
        "user",
        "add",
        "ann",
        "--email",
        "ann@example.com",
        "--full-name",
        "Ann Lee",
        "--role",
        "ops",
    ];
    let said = gateway.manage(&add, Some(&format!("{PASSWORD}\n"))).await;
    assert_eq!(said, "user ann added");
    assert_eq!(lines(gateway, &["user", "roles", "ann", "ops", "user"]).await.len(), 1);
    let shown = json_of(gateway, &["user", "show", "ANN@example.com"]).await;
    assert_eq!(
        (&shown["roles"], &shown["full_name"]),
        (&json!(["ops", "user"]), &json!("Ann Lee"))
    );
    assert_eq!(shown["email_verified"], true);
    let listed = lines(gateway, &["user", "list"]).await;
    assert!(listed[0].split_whitespace().any(|head| head == "VERIFIED"), "{listed:#?}");
    let by_id = lines(gateway, &["user", "show", id(&shown)]).await;
    let row = by_id.iter().find(|line| line.starts_with("roles")).expect("a row");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["roles", "ops,user"]);
    refused(
        gateway,
        &["user", "show", "nobody"],
        "no user has the name, e-mail address or id \"nobody\"",
    )
    .await;
    refused(gateway, &["user", "roles", "ann", "a b"], "A role has").await;

    let server = gateway.manage(&["server", "add", "web", "--owner", "ann"], None).await;
    assert_eq!(lines(gateway, &["server", "rename", &server, "web-2"]).await.len(), 1);
    let listed = lines(gateway, &["server", "list"]).await;
    assert!(listed[0].starts_with("ID ") && listed[1].starts_with(&server), "{listed:#?}");
    assert!(listed[1].contains("web-2") && listed[1].contains("ann"), "{listed:#?}");
    gateway.manage(&["server", "give", &server], None).await;
    assert_eq!(json_of(gateway, &["server", "list"]).await[0]["owner"], Value::Null);
    gateway.manage(&["server", "give", &server, "ann"], None).await;
    assert_eq!(json_of(gateway, &["server", "list"]).await[0]["owner"], shown["id"]);

    let (key, text) = gateway.create_key("ann", &["metrics"], &["--server", &server]).await;
    let keys = lines(gateway, &["key", "list", "--server", &server]).await;
    assert!(keys[1].starts_with(&key) && keys[1].contains("ann"), "{keys:#?}");
    assert!(!keys[1].contains(&text), "{keys:#?}");
    let rotated = gateway.manage(&["key", "rotate", &key, "--overlap", "1h"], None).await;
    assert!(rotated.starts_with("sk_live_") && rotated != text, "{rotated}");
    assert_eq!(lines(gateway, &["key", "list", "--owner", "ann"]).await.len(), 3);

    let work = gateway.manage(&["workspace", "add", "Research"], None).await;
    gateway.manage(&["workspace", "rename", &work, "Science"], None).await;
    assert!(lines(gateway, &["workspace", "list"]).await[1].contains("Science"));
    gateway.manage(&["workspace", "join", &work, "ann", "--role", "owner"], None).await;
    let members = lines(gateway, &["workspace", "members", &work]).await;
    assert!(members[1].starts_with("ann ") && members[1].contains("owner"), "{members:#?}");
    gateway.manage(&["workspace", "leave", &work, "ann"], None).await;
    refused(gateway, &["workspace", "leave", &work, "ann"], "no such member").await;
    assert_eq!(lines(gateway, &["workspace", "members", &work]).await.len(), 1, "the head alone");
    (server, work)
}

async fn remove(gateway: &Gateway, server: &str, work: &str) {
    for (command, wanted) in [
        (["workspace", "remove", work, "--yes"], "no such workspace"),
        (["server", "remove", server, "--yes"], "no such server"),
        (["user", "remove", "ann", "--yes"], "no user has the name"),
    ] {
        gateway.manage(&command, None).await;
        refused(gateway, &command, wanted).await;
    }
    assert_eq!(json_of(gateway, &["key", "list"]).await, json!([]));
    assert_eq!(json_of(gateway, &["user", "list"]).await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_running_gateway_carries_out_every_command() {
    let gateway = start().await;
    let (server, work) = administer(&gateway).await;
    let client = Client::basic(&gateway, "ann", PASSWORD);
    client.get("/").await.expect(200);
    remove(&gateway, &server, &work).await;
    client.get("/").await.expect(401);
}

#[tokio::test]
async fn a_store_at_rest_takes_every_command_and_keeps_it() {
    let mut gateway = start().await;
    gateway.stop().await;
    let (server, work) = administer(&gateway).await;
    gateway.restart().await;
    let admin = Caller::admin(&gateway);
    assert_eq!(admin.get(&format!("/servers/{server}")).await["name"], "web-2");
    assert_eq!(admin.get(&format!("/workspaces/{work}")).await["name"], "Science");
    gateway.stop().await;
    remove(&gateway, &server, &work).await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_command() {
    let gateway = start().await;
    gateway.add_user("ann", PASSWORD, &[]).await;
    let first = sign_in(&gateway, "ann", PASSWORD).await;
    let second = sign_in(&gateway, "ann", PASSWORD).await;
    let listed = lines(&gateway, &["session", "list", "--user", "ann"]).await;
    assert_eq!(listed.len(), 3, "{listed:#?}");
    assert!(listed[1].contains(" ann "), "{listed:#?}");
    let session = listed[1].split(' ').next().expect("an id").to_owned();
    let works = async |token: &str, status| {
        Client::bearer(&gateway, token).get("/").await.expect(status);
    };
    gateway.manage(&["session", "end", &session], None).await;
    works(&first.access, 401).await;
    works(&second.access, 200).await;
    refused(&gateway, &["session", "end", &session], "no such session").await;
    gateway.manage(&["session", "end", "--user", "ann"], None).await;
    works(&second.access, 401).await;
    assert_eq!(json_of(&gateway, &["session", "list"]).await, json!([]));
}

#[tokio::test]
async fn lockouts_are_listed_and_cleared_by_command_while_the_gateway_runs() {
    let mut gateway = start().await;
    let locked = Client::anonymous(&gateway).from_address("192.0.2.7");
    for _ in 0..5 {
        locked.login(ADMIN, "wrong wrong").await.expect(401);
    }
    locked.login(ADMIN, "wrong wrong").await.expect(429);
    let listed = lines(&gateway, &["lockout", "list"]).await;
    assert!(listed[1].starts_with("192.0.2.7 ") && listed[1].ends_with('Z'), "{listed:#?}");
    gateway.manage(&["lockout", "clear", "192.0.2.7"], None).await;
    locked.login(ADMIN, "wrong wrong").await.expect(401);
    refused(&gateway, &["lockout", "clear", "192.0.2.8"], "no such lockout").await;
    gateway.stop().await;
    for command in [["lockout", "list"].as_slice(), &["lockout", "clear", "192.0.2.7"]] {
        refused(&gateway, command, "only a running one counts").await;
    }
}

/// Nobody is given a name that reads as somebody else's id; from elsewhere it may come.
#[tokio::test]
async fn a_text_that_reads_as_an_id_is_one() {
    let gateway = start().await;
    gateway.add_user("ann", PASSWORD, &[]).await;
    let ann = json_of(&gateway, &["user", "show", "ann"]).await;
    let password = "eve's own password\n";
    let refused = gateway.cli(&["user", "add", id(&ann)], Some(password)).await;
    assert!(refused.stderr.contains("does not read as an id"), "{refused:?}");
    let hash = gateway.manage(&["hash-password", "--cost", "4"], Some(password)).await;
    gateway.manage(&["user", "import", "-"], Some(&format!("{}:{hash}", id(&ann)))).await;
    gateway.manage(&["user", "disable", id(&ann)], None).await;
    Client::basic(&gateway, "ann", PASSWORD).get("/").await.expect(401);
    Client::basic(&gateway, id(&ann), "eve's own password").get("/").await.expect(200);
}

#[tokio::test]
async fn a_list_longer_than_any_part_is_printed_whole() {
    let gateway = start().await;
    let line = gateway.manage(&["hash-password", "--cost", "4"], Some("a password\n")).await;
    let users: Vec<String> = (0..1_005).map(|n| format!("user{n}:{line}")).collect();
    let users = users.join("\n");
    gateway.manage(&["user", "import", "-"], Some(&users)).await;
    assert_eq!(json_of(&gateway, &["user", "list"]).await.as_array().map(Vec::len), Some(1_006));
    assert_eq!(lines(&gateway, &["user", "list"]).await.len(), 1_007);
}
