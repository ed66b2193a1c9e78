//! Workspaces (S2-22 to S2-24): what a token scoped to one says upstream, and when
//! it ends.

use serde_json::{Value, json};

use crate::support::client::{Client, sign_in};
use crate::support::gateway::{ECHO, Gateway};
use crate::support::token::claims;
use crate::support::tunnel::Tunnel;

const PASSWORD: &str = "a password of hers";
const SWITCH: &str = "/api/auth/switch-workspace";

struct Office {
    gateway: Gateway,
    workspace: String,
}

impl Office {
    /// A workspace in which `grace` is a maintainer.
    async fn open() -> Self {
        let gateway = Gateway::start(ECHO).await;
        gateway.add_user("grace", PASSWORD, &["user"]).await;
        let made = gateway.manage(&["workspace", "add", "Ops", "--format", "json"], None).await;
        let made: Value = serde_json::from_str(&made).expect("a workspace is described as JSON");
        let workspace = made["id"].as_str().expect("an id").to_owned();
        let office = Self { gateway, workspace };
        office.manage("join", &["--role", "maintainer"]).await;
        office
    }

    async fn manage(&self, command: &str, more: &[&str]) {
        let arguments = [&["workspace", command, &self.workspace, "grace"], more].concat();
        self.gateway.manage(&arguments, None).await;
    }

    async fn scoped_token(&self) -> String {
        let token = sign_in(&self.gateway, "grace", PASSWORD).await.access;
        let client = Client::bearer(&self.gateway, &token);
        let answer = client.post_json(SWITCH, &json!({ "workspaceId": self.workspace })).await;
        let body = answer.expect(200).json();
        body["data"]["token"].as_str().expect("a token").to_owned()
    }

    /// What an upstream is told of the workspace.
    async fn told(&self, token: &str) -> (Value, Value) {
        let seen = Client::bearer(&self.gateway, token).get("/").await.expect(200).json();
        let field = |name: &str| seen["headers"][name][0].clone();
        (field("x-portcullis-workspace"), field("x-portcullis-workspace-role"))
    }
}

#[tokio::test]
async fn a_scoped_token_tells_upstreams_the_workspace_and_the_role_held_there_now() {
    let office = Office::open().await;
    let token = office.scoped_token().await;
    assert_eq!(claims(&token)["workspace"], *office.workspace);
    assert_eq!(office.told(&token).await, (json!(office.workspace), json!("maintainer")));
    office.manage("join", &["--role", "viewer"]).await;
    assert_eq!(office.told(&token).await, (json!(office.workspace), json!("viewer")));
    // It stays what it is when it is issued anew.
    let client = Client::bearer(&office.gateway, &token);
    let body = client.post("/api/auth/refresh").await.expect(200).json();
    let renewed = body["data"]["token"].as_str().expect("a token");
    assert_eq!(office.told(renewed).await, (json!(office.workspace), json!("viewer")));
    let unscoped = sign_in(&office.gateway, "grace", PASSWORD).await.access;
    assert_eq!(office.told(&unscoped).await, (Value::Null, Value::Null));
}

#[tokio::test]
async fn who_leaves_a_workspace_is_refused_with_the_next_request_and_its_sockets_close() {
    let office = Office::open().await;
    let token = office.scoped_token().await;
    let authorization = format!("Bearer {token}");
    let fields = [("authorization", authorization.as_str())];
    let mut socket = Tunnel::opened(&office.gateway, "/socket", &fields).await;
    socket.check_open().await;
    office.manage("leave", &[]).await;
    let refused = Client::bearer(&office.gateway, &token).get("/").await;
    refused.refused(401, "INVALID_TOKEN");
    assert_eq!(socket.closed().await, Some(4401));
    // The session itself goes on.
    let token = sign_in(&office.gateway, "grace", PASSWORD).await.access;
    let client = Client::bearer(&office.gateway, &token);
    client.get("/").await.expect(200);
    let answer = client.post_json(SWITCH, &json!({ "workspaceId": office.workspace })).await;
    assert_eq!(answer.expect(404).json()["error"]["code"], "WORKSPACE_NOT_FOUND");
}

/// S2-24: one answer for "there is none" and "not yours".
#[tokio::test]
async fn a_workspace_one_has_no_part_in_is_not_told_from_one_that_does_not_exist() {
    let office = Office::open().await;
    office.gateway.add_user("ada", PASSWORD, &["admin"]).await;
    let token = sign_in(&office.gateway, "ada", PASSWORD).await.access;
    let client = Client::bearer(&office.gateway, &token);
    let unknown = "550e8400-e29b-41d4-a716-446655440000";
    let mut answers = Vec::new();
    for id in [office.workspace.as_str(), unknown, "nonsense"] {
        let answer = client.post_json(SWITCH, &json!({ "workspaceId": id })).await;
        answers.push(answer.expect(404).json()["error"].clone());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[1], answers[2]);
}

/// S2-21, and that the injected role is the present one before any refresh.
#[tokio::test]
async fn a_change_of_role_holds_at_once_and_shows_in_the_next_token() {
    let office = Office::open().await;
    let token = sign_in(&office.gateway, "grace", PASSWORD).await.access;
    let client = Client::bearer(&office.gateway, &token);
    office.gateway.manage(&["user", "roles", "grace", "auditor"], None).await;
    let seen = client.get("/").await.expect(200).json();
    assert_eq!(seen["headers"]["x-portcullis-roles"], json!(["auditor"]));
    let me = client.get("/api/auth/me").await.expect(200).json();
    assert_eq!(me["data"]["role"], "auditor");
    let body = client.post("/api/auth/refresh").await.expect(200).json();
    assert_eq!(body["data"]["user"]["role"], "auditor");
    let renewed = body["data"]["token"].as_str().expect("a token");
    assert_eq!(claims(renewed)["role"], "auditor");
}
