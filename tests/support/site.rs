//! A gateway that may be gone at any moment; then there is no answer.

use std::path::PathBuf;

use http::header::{AUTHORIZATION, CONNECTION};
use http::{HeaderValue, Method, Request};
use serde_json::{Value, json};

use super::admin;
use super::client::{Answer, Body, Client, Connection, Pair, json_request, request};
use super::gateway::Gateway;
use super::websocket::handshake;

pub struct Site {
    client: Client,
    connection: Option<Connection>,
    directory: PathBuf,
}

impl Site {
    pub fn of(gateway: &Gateway) -> Self {
        Self {
            client: Client::anonymous(gateway),
            connection: None,
            directory: gateway.path("data"),
        }
    }

    pub async fn send(&mut self, request: Request<Body>) -> Option<Answer> {
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
    pub async fn get(&mut self, path: &str, credential: &str) -> Option<Answer> {
        self.send(with_credential(request(Method::GET, path), credential)).await
    }

    /// The status of a plain request under a credential, of a gateway that runs.
    pub async fn status(&mut self, credential: &str) -> u16 {
        self.get("/", credential).await.expect("the gateway runs").status.as_u16()
    }

    pub async fn login(&mut self, name: &str, password: &str) -> Option<Pair> {
        let body = json!({ "username": name, "password": password });
        Some(self.send(json_request("/api/auth/login", &body)).await?.pair())
    }

    pub async fn refresh(&mut self, token: &str) -> Option<Answer> {
        self.send(json_request("/api/auth/refresh", &json!({ "refresh_token": token }))).await
    }

    pub async fn logout(&mut self, access: &str) -> Option<Answer> {
        let request = request(Method::POST, "/api/logout");
        self.send(with_credential(request, &bearer(access))).await
    }

    pub async fn change_password(
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
    pub async fn open_socket(&mut self, ticket: &str) -> Option<Answer> {
        let mut connection = self.client.try_connect().await.ok()?;
        connection.try_send(handshake(&format!("/socket?token={ticket}"))).await.ok()
    }

    /// Asks the administration for something it can do.
    pub async fn manage(&self, request: &Value) -> Option<Value> {
        let reply = admin::ask(&self.directory, request).await.ok()?;
        assert!(reply.get("failed").is_none(), "{request}: {reply}");
        Some(reply)
    }
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub fn with_credential(mut request: Request<Body>, credential: &str) -> Request<Body> {
    let credential = HeaderValue::from_str(credential).expect("a credential is a field value");
    request.headers_mut().insert(AUTHORIZATION, credential);
    request
}
