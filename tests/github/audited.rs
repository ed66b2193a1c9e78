//! What the audit log says of who has become GitHub's.

use serde_json::{Value, json};

use super::{data, sign_in, start};
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::github::Person;

const NUMBER: u64 = 583_231;

async fn audited(gateway: &Gateway, event: &str) -> Value {
    let wanted = |line: &Value| line["type"] == "audit" && line["event"] == event;
    let line = gateway.wait_for_log(wanted).await;
    for (name, value) in [("outcome", "success"), ("credential", "github"), ("by", "client")] {
        assert_eq!(line[name], value, "{line}");
    }
    assert_eq!(line["detail"], format!("github {NUMBER}"), "{line}");
    line
}

#[tokio::test]
async fn a_link_is_an_event_of_its_own_and_happens_once() {
    let (github, gateway) = start().await;
    let add = ["user", "add", "mona", "--email", "octocat@github.example"];
    gateway.manage(&add, Some("mona's own password\n")).await;
    sign_in(&gateway, &github.code(&Person::octocat())).await.expect(200);
    let link = audited(&gateway, "github_link").await;
    assert_eq!(link["user"], "mona");
    let login = gateway.wait_for_log(|line| line["event"] == "login").await;
    assert_eq!(login["request_id"], link["request_id"]);
    sign_in(&gateway, &github.code(&Person::octocat())).await.expect(200);
    let logins = |lines: &[Value]| lines.iter().filter(|line| line["event"] == "login").count();
    crate::support::eventually("the second sign-in's line", async || {
        (logins(&gateway.log_lines()) == 2).then_some(())
    })
    .await;
    let lines = gateway.log_lines();
    assert_eq!(lines.iter().filter(|line| line["event"] == "github_link").count(), 1);
}

#[tokio::test]
async fn a_takeover_is_told_from_a_link() {
    let (github, gateway) = start().await;
    let registration = json!({
        "email": "octocat@github.example", "firstName": "Not", "lastName": "Mona",
        "password": "mallory waits!",
    });
    let mallory = Client::anonymous(&gateway);
    let registered = mallory.post_json("/api/auth/register", &registration).await.expect(201);
    let _ = data(&registered);
    sign_in(&gateway, &github.code(&Person::octocat())).await.expect(200);
    let takeover = audited(&gateway, "github_takeover").await;
    assert_eq!(takeover["user"], "octocat@github.example");
    assert!(gateway.log_lines().iter().all(|line| line["event"] != "github_link"));
}

#[tokio::test]
async fn an_account_that_is_made_by_githubs_word_is_a_registration() {
    let (github, gateway) = start().await;
    sign_in(&gateway, &github.code(&Person::octocat())).await.expect(200);
    let made = audited(&gateway, "register").await;
    assert_eq!(made["user"], "octocat@github.example");
}
