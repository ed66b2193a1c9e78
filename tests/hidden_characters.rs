//! Characters that are not seen: none comes into a name, and where people read, those
//! of others are shown by their number.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway, SECRET_KEY};
use crate::support::installation::Installation;
use crate::support::process::Process;

/// An override and an isolate of direction, two of no width, two ends of a line, one of
/// the tags, a selector.
const HIDDEN: [char; 8] = [
    '\u{202e}',
    '\u{2066}',
    '\u{200b}',
    '\u{feff}',
    '\u{2028}',
    '\u{2029}',
    '\u{e0041}',
    '\u{fe0f}',
];
const PASSWORD: &str = "a password of theirs";

async fn start() -> Gateway {
    let limits = "[limits]\nburst = 10000\nmax_login_attempts = 1000\n";
    Gateway::start(&format!("{limits}[auth]\nregistration = \"open\"\n{ECHO}")).await
}

async fn administer(gateway: &Gateway, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("/api/admin{path}"))
        .header("content-type", "application/json")
        .body(crate::support::client::body(body.to_string()))
        .expect("a request");
    let answer = Client::admin(gateway).request(request).await;
    (answer.status.as_u16(), answer.json())
}

#[tokio::test]
async fn no_door_lets_a_name_in_that_holds_what_is_not_seen() {
    let gateway = start().await;
    let made = async |path: &str| {
        let (status, record) =
            administer(&gateway, "POST", path, &json!({ "name": "名前 é" })).await;
        assert_eq!(status, 201, "control: {record}");
        record["id"].as_str().expect("an id").to_owned()
    };
    let (server, workspace) = (made("/servers").await, made("/workspaces").await);
    let users = Client::admin(&gateway).get("/api/admin/users").await.expect(200).json();
    let owner = &users["items"][0]["id"];
    for hidden in HIDDEN {
        let name = format!("a{hidden}b");
        let named = json!({ "name": name });
        let (of_server, of_workspace) =
            (format!("/servers/{server}"), format!("/workspaces/{workspace}"));
        for (method, path, body) in [
            ("POST", "/servers", named.clone()),
            ("PATCH", of_server.as_str(), named.clone()),
            ("POST", "/workspaces", named.clone()),
            ("PATCH", of_workspace.as_str(), named.clone()),
            ("POST", "/keys", json!({ "owner": owner, "name": name })),
            ("POST", "/users", json!({ "username": "x", "password": PASSWORD, "full_name": name })),
        ] {
            let (status, answer) = administer(&gateway, method, path, &body).await;
            assert_eq!(status, 422, "{method} {path} {hidden:?}: {answer}");
        }
        let anonymous = Client::anonymous(&gateway);
        let person = json!({
            "email": "x@example.com", "firstName": name, "lastName": "b", "password": PASSWORD,
        });
        anonymous.post_json("/api/auth/register", &person).await.expect(422);
        let admin =
            Client::bearer(&gateway, &crate::support::client::sign_in_admin(&gateway).await.access);
        admin.post_json("/api/v1/auth/keys", &named).await.expect(422);
        for command in [
            &["server", "add", &name][..],
            &["server", "rename", &server, &name],
            &["workspace", "add", &name],
            &["workspace", "rename", &workspace, &name],
            &["key", "create", "--owner", ADMIN, "--name", &name],
        ] {
            let ended = gateway.cli(command, None).await;
            assert_eq!(ended.status.code(), Some(1), "{command:?}: {ended:?}");
        }
    }
}

/// A gateway whose log is for people, asked for a path with what is not seen in it.
async fn logged(format: &str) -> String {
    let listen = crate::config::free_address();
    let installation = Installation::new()
        .file("config.toml", &format!("[auth]\nbcrypt_cost = 4\n{ECHO}"))
        .env("ADMIN_PASSWORD", ADMIN_PASSWORD)
        .env("SECRET_KEY", SECRET_KEY);
    let arguments = ["run", "--log-format", format, "--listen", &listen];
    let process = installation.start(&arguments, None);
    let heard = |process: &Process| process.stdout.text() + &process.stderr.text();
    eventually("the gateway to listen", async || {
        heard(&process).contains("listening").then_some(())
    })
    .await;
    let port = listen.rsplit(':').next().expect("a port");
    let asked: Output = std::process::Command::new("curl")
        .args(["-s", "-k", "--http2", "-o", "/dev/null", "-w", "%{http_code}"])
        .args(["-A", "agent\u{202e}\u{2028}x", "-e", "https://localhost/\u{200b}from"])
        .args(["--request-target", "/\u{202e}\u{200b}there"])
        .arg(format!("https://localhost:{port}/"))
        .output()
        .expect("curl runs");
    assert_eq!(asked.stdout, b"401", "{asked:?}");
    let line = eventually("the line of the request", async || {
        let lines = process.stdout.all();
        lines.into_iter().find(|line| line.contains("there"))
    })
    .await;
    assert!(!line.contains(HIDDEN), "{line:?}");
    line
}

#[tokio::test]
async fn the_text_log_shows_what_is_not_seen_in_a_path_by_its_number() {
    let line = logged("text").await;
    assert!(line.contains(r" /\u{202e}\u{200b}there "), "{line}");
}

#[tokio::test]
async fn the_combined_log_shows_what_is_not_seen_in_a_path_and_an_agent_by_its_number() {
    let line = logged("combined").await;
    assert!(line.contains(r#""GET /\u{202e}\u{200b}there HTTP/2.0""#), "{line}");
    let agent = r#""https://localhost/\u{200b}from" "agent\u{202e}\u{2028}x""#;
    assert!(line.ends_with(agent), "{line}");
}
