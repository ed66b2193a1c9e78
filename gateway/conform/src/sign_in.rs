//! A sign-in by each contract that takes a user name: of the people of a run, and of its
//! administrator.

use serde_json::json;

use crate::client::{Call, Client};
use crate::delivery::{self, Token};
use crate::report::Fault;

pub const LOGIN: &str = "/api/auth/login";
pub const LOGIN_V1: &str = "/api/v1/auth/login";
/// Where the response of each has its access token.
pub const STATUS_TOKEN: Token = Token::access("/access_token");
pub const FORM_TOKEN: Token = Token::access("/access_token");
pub const PLAIN_TOKEN: Token = Token::access("/token");

pub fn status(name: &str, password: &str) -> Call {
    Call::post(LOGIN).json(&json!({ "username": name, "password": password }))
}

pub fn form(name: &str, password: &str) -> Call {
    Call::post(LOGIN_V1).form(&[("username", name), ("password", password)])
}

pub fn plain(name: &str, password: &str) -> Call {
    Call::post(LOGIN_V1).json(&json!({ "username": name, "password": password }))
}

/// The access token that a sign-in brings, in whichever way it is delivered.
pub async fn token(client: &Client, sign_in: &Call, token: Token) -> Result<String, Fault> {
    let reply = client.send(sign_in).await?;
    reply.status(200)?;
    let (_, reply) = delivery::read(reply, &[token]);
    reply.text(token.member)
}
