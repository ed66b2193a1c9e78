//! What ends when something is removed, at once and without anybody's help.

use serde_json::{Value, json};

use super::{Caller, PASSWORD, id, start};
use crate::support::client::{Client, sign_in};
use crate::support::gateway::Gateway;
use crate::support::tunnel::Tunnel;
use crate::support::upstream::Upstream;

#[tokio::test]
async fn with_a_user_go_its_tokens_keys_sessions_and_memberships() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let ann = admin.add_user("ann").await;
    let work = admin.post("/workspaces", json!({ "name": "work" })).await;
    let members = format!("/workspaces/{}/members", id(&work));
    let member = format!("{members}/{}", id(&ann));
    admin.call("PUT", &member, json!({ "role": "member" })).await.expect(200);
    let server = admin.post("/servers", json!({ "name": "web", "owner": id(&ann) })).await;
    let key = admin.post("/keys", json!({ "owner": id(&ann), "server": id(&server) })).await;
    let pair = sign_in(&gateway, "ann", PASSWORD).await;
    let text = key["api_key"].as_str().expect("the key's text");
    let callers = [
        Client::basic(&gateway, "ann", PASSWORD),
        Client::bearer(&gateway, &pair.access),
        Client::api_key(&gateway, text),
    ];
    for caller in &callers {
        caller.get("/").await.expect(200);
    }
    admin.delete(&format!("/users/{}", id(&ann))).await;
    for caller in &callers {
        caller.get("/").await.expect(401);
    }
    Client::anonymous(&gateway).refresh(&pair.refresh).await.expect(401);
    let nothing = json!({ "items": [], "next": null });
    for list in ["/keys", "/sessions", &members] {
        assert_eq!(admin.get(list).await, nothing, "{list}");
    }
    let server = admin.get(&format!("/servers/{}", id(&server))).await;
    assert_eq!(server["owner"], Value::Null, "the machine is still there");
    // The name is free, and who has it now inherits nothing.
    admin.add_user("ann").await;
    for caller in &callers[1..] {
        caller.get("/").await.expect(401);
    }
}

#[tokio::test]
async fn with_a_server_go_its_keys_and_no_others() {
    let gateway = start().await;
    let admin = Caller::admin(&gateway);
    let ann = admin.add_user("ann").await;
    let server = admin.post("/servers", json!({ "name": "web" })).await;
    let key = async |server: Option<&str>| {
        let made = admin.post("/keys", json!({ "owner": id(&ann), "server": server })).await;
        Client::api_key(&gateway, made["api_key"].as_str().expect("the key's text"))
    };
    let (bound, free) = (key(Some(id(&server))).await, key(None).await);
    bound.get("/").await.expect(200);
    admin.delete(&format!("/servers/{}", id(&server))).await;
    bound.get("/").await.expect(401);
    free.get("/").await.expect(200);
    assert_eq!(admin.get("/keys").await["items"].as_array().map(Vec::len), Some(1));
}

/// A tunnel of a server's agent, which `end` must close.
async fn closes(end: impl AsyncFnOnce(&Caller, &Value, &Value)) {
    let upstream = Upstream::websocket().await;
    let app = "upstream = \"app\"\n";
    let routes = upstream.routes().replacen(app, &format!("{app}keys = \"servers\"\n"), 1);
    let gateway = Gateway::start(&routes).await;
    let admin = Caller::admin(&gateway);
    let ann = admin.add_user("ann").await;
    let server = admin.post("/servers", json!({ "name": "web" })).await;
    let key = admin.post("/keys", json!({ "owner": id(&ann), "server": id(&server) })).await;
    let field = ("x-api-key", key["api_key"].as_str().expect("the key's text"));
    let mut tunnel = Tunnel::opened(&gateway, "/", &[field]).await;
    tunnel.check_open().await;
    end(&admin, &ann, &server).await;
    assert_eq!(tunnel.closed().await, Some(4401));
}

#[tokio::test]
async fn a_removed_user_s_open_sockets_are_closed() {
    closes(async |admin, user, _| admin.delete(&format!("/users/{}", id(user))).await).await;
}

#[tokio::test]
async fn a_removed_server_s_open_sockets_are_closed() {
    closes(async |admin, _, server| admin.delete(&format!("/servers/{}", id(server))).await).await;
}

#[tokio::test]
async fn what_was_made_is_there_after_a_crash() {
    let mut gateway = start().await;
    let admin = Caller::admin(&gateway);
    let ann = admin.add_user("ann").await;
    let server = admin.post("/servers", json!({ "name": "web", "owner": id(&ann) })).await;
    let work = admin.post("/workspaces", json!({ "name": "work" })).await;
    let member = format!("/workspaces/{}/members/{}", id(&work), id(&ann));
    admin.call("PUT", &member, json!({ "role": "member" })).await.expect(200);
    admin.patch(&format!("/users/{}", id(&ann)), json!({ "roles": ["ops"] })).await;
    let lists =
        ["/users", "/servers", "/workspaces", &format!("/workspaces/{}/members", id(&work))];
    let mut before = Vec::new();
    for list in lists {
        before.push(admin.get(list).await);
    }
    gateway.kill();
    gateway.restart().await;
    let admin = Caller::admin(&gateway);
    for (list, before) in lists.into_iter().zip(before) {
        assert_eq!(admin.get(list).await, before, "{list}");
    }
    assert_eq!(admin.get(&format!("/servers/{}", id(&server))).await, server);
}
