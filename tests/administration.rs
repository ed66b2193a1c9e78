//! The admin API and the commands that do the same: users, keys, servers, workspaces,
//! sessions and lockouts.

mod activity;
mod audited;
mod commands;
mod consequences;
mod incidents;
mod lists;
mod networks;
mod permissions;
mod records;
mod verified;

use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::support::client::{Answer, Client, body};
use crate::support::gateway::{ECHO, Gateway};

/// An id that nothing has.
const NOBODY: &str = "00000000-0000-7000-8000-000000000000";
const PASSWORD: &str = "a password of theirs";

async fn start() -> Gateway {
    Gateway::start(&format!("[limits]\nburst = 10000\n{ECHO}keys = \"any\"\n")).await
}

/// Somebody who calls the admin API.
struct Caller(Client);

impl Caller {
    /// The first account, by its password.
    fn admin(gateway: &Gateway) -> Self {
        Self(Client::admin(gateway))
    }

    /// A request to a path below the API's prefix; `null` is no body.
    async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &body).await
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.send_as((!body.is_empty()).then_some("application/json"), method, path, body).await
    }

    async fn send_as(
        &self,
        content_type: Option<&str>,
        method: &str,
        path: &str,
        text: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/admin{path}"));
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        self.0.request(request.body(body(text.to_owned())).expect("a request")).await
    }

    async fn get(&self, path: &str) -> Value {
        self.call("GET", path, Value::Null).await.expect(200).json()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, body).await.expect(201).json()
    }

    async fn patch(&self, path: &str, body: Value) -> Value {
        self.call("PATCH", path, body).await.expect(200).json()
    }

    async fn delete(&self, path: &str) {
        let answer = self.call("DELETE", path, Value::Null).await.expect(204);
        assert!(answer.body.is_empty(), "{answer:?}");
    }

    async fn add_user(&self, name: &str) -> Value {
        let user = serde_json::json!({ "username": name, "password": PASSWORD });
        self.post("/users", user).await
    }
}

/// Status and code of a refusal in the API's shape.
#[track_caller]
fn refusal(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    let error = body["error"].as_object().unwrap_or_else(|| panic!("no error: {answer:?}"));
    assert_eq!((body.as_object().map(serde_json::Map::len), error.len()), (Some(1), 2));
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer:?}");
    let code = error["code"].as_str().expect("a code");
    (answer.status.as_u16(), code.to_owned())
}

fn id(record: &Value) -> &str {
    record["id"].as_str().expect("a record has an id")
}
