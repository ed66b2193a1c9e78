//! The gateway as a writer sees it: it may be gone at any moment, and then there is
//! no answer.

use std::path::PathBuf;

use http::header::{AUTHORIZATION, CONNECTION};
use http::{HeaderValue, Method, Request};
use serde_json::{Value, json};

use crate::support::admin;
use crate::support::client::{Answer, Body, Client, Connection, Pair, json_request, request};
use crate::support::gateway::Gateway;
use crate::support::websocket::handshake;

pub(super) struct Site {
    client: Client,
    connection: Option<Connection>,
    directory: PathBuf,
}

impl Site {
    pub(super) fn of(gateway: &Gateway) -> Self {
        Self {
            client: Client::anonymous(gateway),
            connection: None,
            directory: gateway.path("data"),
        }
    }

    async fn send(&mut self, request: Request<Body>) -> Option<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.client.try_connect().await.ok()?,
        };
        let answer = connection.try_send(request).await.ok()?;
        if !answer.headers.contains_key(CONNECTION) {
            self.connection = Some(connection);
        }
        Some(answer)
    }

    /// Asks for a path under a credential: `Bearer …` or `Basic …`.
    pub(super) async fn get(&mut self, path: &str, credential: &str) -> Option<Answer> {
        self.send(with_credential(request(Method::GET, path), credential)).await
    }

    /// The status of a plain request under a credential, of a gateway that runs.
    pub(super) async fn status(&mut self, credential: &str) -> u16 {
        self.get("/", credential).await.expect("the gateway runs").status.as_u16()
    }

    pub(super) async fn login(&mut self, name: &str, password: &str) -> Option<Pair> {
        let body = json!({ "username": name, "password": password });
        Some(self.send(json_request("/api/auth/login", &body)).await?.pair())
    }

    pub(super) async fn refresh(&mut self, token: &str) -> Option<Answer> {
        self.send(json_request("/api/auth/refresh", &json!({ "refresh_token": token }))).await
    }

    pub(super) async fn logout(&mut self, access: &str) -> Option<Answer> {
        let request = request(Method::POST, "/api/logout");
        self.send(with_credential(request, &bearer(access))).await
    }

    pub(super) async fn change_password(
        &mut self,
        credential: &str,
        current: &str,
        new: &str,
    ) -> Option<Answer> {
        let body = json!({ "current_password": current, "new_password": new });
        let request = json_request("/api/change-password", &body);
        self.send(with_credential(request, credential)).await
    }

    /// Opens a WebSocket with a ticket: 101 or a refusal.
    pub(super) async fn open_socket(&mut self, ticket: &str) -> Option<Answer> {
        let mut connection = self.client.try_connect().await.ok()?;
        connection.try_send(handshake(&format!("/socket?token={ticket}"))).await.ok()
    }

    /// Asks the administration for something it can do.
    pub(super) async fn manage(&self, request: &Value) -> Option<Value> {
        let reply = admin::ask(&self.directory, request).await.ok()?;
        assert!(reply.get("failed").is_none(), "{request}: {reply}");
        Some(reply)
    }
}

pub(super) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn with_credential(mut request: Request<Body>, credential: &str) -> Request<Body> {
    let credential = HeaderValue::from_str(credential).expect("a credential is a field value");
    request.headers_mut().insert(AUTHORIZATION, credential);
    request
}
