//! Dialect `plain`: `/api/v1/auth`, flat answers and `error` in refusals, API keys
//! (S3-01 to S3-20).

use http::StatusCode;
use serde::Serialize;

use crate::auth::account::Account;
use crate::auth::api_key::{ApiKey, DEFAULT_OVERLAP, KeyId, MAX_OVERLAP};
use crate::auth::login::{Issuance, TokenPair};
use crate::auth::password::PasswordRule;
use crate::auth::secret::Secret;
use crate::auth::server::{Server, ServerId};
use crate::auth::time::Seconds;

use super::body::{Members, none, to_json};
use super::delivery::{Delivery, DeliveryRule};
use super::notation::{parse_id, parse_time, plain_key, plain_user, seconds};
use super::{
    Admission, Answer, Attempt, Binding, ClientError, Command, Context, Contract, DecodeError,
    Dialect, Endpoint, Expiry, Input, KeyRequest, Operation, Outcome, Settings, Verb,
};

const SESSIONS: &[Endpoint] = &[
    Endpoint::new(Verb::Post, "/auth/login", Operation::Login).trying(Attempt::Password),
    Endpoint::new(Verb::Post, "/auth/refresh", Operation::Refresh).trying(Attempt::RefreshToken),
    Endpoint::new(Verb::Post, "/auth/logout", Operation::EndSession).admitting(Admission::Bearer),
];

/// Optional as a whole (S3-13).
const KEYS: &[Endpoint] = &[
    Endpoint::new(Verb::Post, "/auth/keys", Operation::CreateKey)
        .admitting(Admission::Authenticated),
    Endpoint::new(Verb::Get, "/auth/keys", Operation::ListKeys).admitting(Admission::Authenticated),
    Endpoint::new(Verb::Delete, "/auth/keys/{key}", Operation::DeleteKey)
        .admitting(Admission::Authenticated),
    Endpoint::new(Verb::Post, "/auth/keys/{key}/rotate", Operation::RotateKey)
        .admitting(Admission::Authenticated),
    Endpoint::new(Verb::Get, "/auth/servers", Operation::ListServers)
        .admitting(Admission::Authenticated),
];

pub struct Plain {
    settings: Settings,
    reveal_unknown_user: bool,
    endpoints: Vec<Endpoint>,
}

impl Plain {
    #[must_use]
    pub fn new(settings: Settings, keys: bool, reveal_unknown_user: bool) -> Self {
        let keys: &[Endpoint] = if keys { KEYS } else { &[] };
        Self { settings, reveal_unknown_user, endpoints: [SESSIONS, keys].concat() }
    }
}

#[derive(Serialize)]
struct SignedInAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    expires_in: u64,
    #[serde(rename = "refreshToken", skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    user: User<'a>,
}

#[derive(Serialize)]
struct User<'a> {
    id: String,
    username: &'a str,
    email: Option<&'a str>,
}

#[derive(Serialize)]
struct RefreshedAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    expires_in: u64,
}

#[derive(Serialize)]
struct MessageAnswer {
    message: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewKeyAnswer<'a> {
    key_id: String,
    api_key: &'a str,
    name: &'a str,
    created_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyAnswer<'a> {
    key_id: String,
    name: &'a str,
    created_at: String,
    last_used: Option<String>,
    /// This and the following are beyond the contract's four.
    scopes: &'a [String],
    expires_at: Option<String>,
    server_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerAnswer<'a> {
    server_id: String,
    name: &'a str,
    created_at: String,
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    error: &'a str,
}

impl Dialect for Plain {
    fn contract(&self) -> Contract {
        Contract::Plain
    }

    fn prefix(&self) -> &str {
        &self.settings.prefix
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn decode(&self, operation: Operation, input: &Input<'_>) -> Result<Command, DecodeError> {
        let Input { content_type, body, .. } = *input;
        let key = || input.parameters.first().and_then(|text| parse_id(text)).map(KeyId);
        match operation {
            Operation::Login => {
                let mut body = Members::read(content_type, body)?;
                let (name, password) = (body.text("username")?, body.text("password")?);
                Ok(Command::Login { name, password: Secret::new(password) })
            }
            Operation::Refresh => {
                if let Some(token) = input.refresh_cookie {
                    return Ok(Command::Refresh { token: token.into() });
                }
                let token = Members::read(content_type, body)?.text("refreshToken")?;
                Ok(Command::Refresh { token: Secret::new(token) })
            }
            // Whatever body comes with this has no meaning here and gets none.
            Operation::EndSession => Ok(Command::EndSession),
            Operation::CreateKey => read_key_request(content_type, body).map(Command::CreateKey),
            Operation::ListKeys => Ok(Command::ListKeys),
            Operation::ListServers => Ok(Command::ListServers),
            Operation::DeleteKey => Ok(Command::DeleteKey { key: key() }),
            Operation::RotateKey => {
                let overlap = read_overlap(content_type, body)?;
                Ok(Command::RotateKey { key: key(), overlap })
            }
            _ => Err(DecodeError::not_of_this_contract()),
        }
    }

    fn encode(&self, outcome: Outcome, context: Context<'_>) -> Answer {
        let delivery = context.delivery;
        match outcome {
            Outcome::SignedIn(account, pair) => self.signed_in(&account, &pair, delivery),
            Outcome::Refreshed(_, pair) => {
                let token = delivery.shown(&pair.access.text);
                Answer::ok(&RefreshedAnswer { token, expires_in: pair.access.ttl.0 })
                    .with(delivery.of_access(&pair.access))
            }
            Outcome::SessionEnded => {
                Answer::ok(&MessageAnswer { message: "Successfully logged out" })
                    .with(delivery.forget())
            }
            Outcome::KeyCreated(key, text) => {
                let answer = NewKeyAnswer {
                    key_id: plain_key(key.id),
                    api_key: text.expose(),
                    name: &key.name,
                    created_at: seconds(key.created),
                };
                Answer::json(StatusCode::CREATED, &answer)
            }
            Outcome::Keys(keys) => {
                Answer::ok(&keys.iter().map(|key| describe(key)).collect::<Vec<_>>())
            }
            Outcome::Servers(servers) => Answer::ok(
                &servers.iter().map(|server| describe_server(server)).collect::<Vec<_>>(),
            ),
            Outcome::KeyDeleted => Answer { status: StatusCode::NO_CONTENT, ..Answer::nothing() },
            _ => Answer::nothing(),
        }
    }

    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8> {
        let message = match error.code {
            // It has one word for whoever is not signed in (S3-12), whatever came.
            "INVALID_TOKEN" => "Authentication required",
            _ if error.unknown_user && self.reveal_unknown_user => "User not found",
            _ => error.message,
        };
        to_json(&ErrorAnswer { error: message })
    }

    fn issuance(&self) -> Issuance {
        // A refresh answers no new refresh token, so the old one stays (S3-08, C6).
        Issuance {
            access_ttl: self.settings.access_ttl,
            rotate: false,
            shows_role: false,
            life: None,
        }
    }

    fn password_rule(&self) -> PasswordRule {
        self.settings.password
    }

    fn delivery(&self) -> DeliveryRule {
        self.settings.delivery
    }
}

impl Plain {
    fn signed_in(&self, account: &Account, pair: &TokenPair, delivery: Delivery) -> Answer {
        let answer = SignedInAnswer {
            token: delivery.shown(&pair.access.text),
            expires_in: pair.access.ttl.0,
            refresh_token: delivery.shown(&pair.refresh),
            user: User {
                id: plain_user(account.id),
                username: account.username.as_str(),
                email: account.email.as_deref(),
            },
        };
        Answer::ok(&answer).with(delivery.of_pair(pair, self.settings.refresh_ttl))
    }
}

fn describe(key: &ApiKey) -> KeyAnswer<'_> {
    KeyAnswer {
        key_id: plain_key(key.id),
        name: &key.name,
        created_at: seconds(key.created),
        last_used: key.last_used.get().map(seconds),
        scopes: &key.scopes,
        expires_at: key.expires.map(seconds),
        server_id: key.server.map(|server| server.0.to_string()),
    }
}

fn describe_server(server: &Server) -> ServerAnswer<'_> {
    ServerAnswer {
        server_id: server.id.0.to_string(),
        name: &server.name,
        created_at: seconds(server.created),
    }
}

fn read_key_request(content_type: Option<&str>, body: &[u8]) -> Result<KeyRequest, DecodeError> {
    // Every member is optional, and so is the body.
    if body.is_empty() {
        return Ok(KeyRequest::default());
    }
    let mut body = Members::read(content_type, body)?;
    let not_a_time = || DecodeError::Malformed("expiresAt must be a time of RFC 3339".to_owned());
    let expires = body.optional_text("expiresAt")?;
    let expires = expires.map(|text| parse_time(&text).ok_or_else(not_a_time)).transpose()?;
    let wanted = KeyRequest {
        name: body.optional_text("name")?.unwrap_or_default(),
        server: match body.optional_text("serverId")? {
            None => Binding::None,
            Some(text) => {
                parse_id(&text).map_or(Binding::Nothing, |id| Binding::Server(ServerId(id)))
            }
        },
        scopes: body.texts("scopes")?.unwrap_or_default(),
        expires: expires.map_or(Expiry::Never, Expiry::At),
    };
    body.refuse_narrowing().map(|()| wanted)
}

fn read_overlap(content_type: Option<&str>, body: &[u8]) -> Result<Seconds, DecodeError> {
    if none(body).is_ok() {
        return Ok(DEFAULT_OVERLAP);
    }
    let mut body = Members::read(content_type, body)?;
    let wanted = body.number("overlapSeconds")?;
    // A key that has leaked would go on for a day.
    body.refuse_narrowing()?;
    match wanted {
        None => Ok(DEFAULT_OVERLAP),
        Some(length) if length <= MAX_OVERLAP.0 => Ok(Seconds(length)),
        Some(_) => {
            Err(DecodeError::Malformed(format!("overlapSeconds must be at most {}", MAX_OVERLAP.0)))
        }
    }
}

#[cfg(test)]
mod tests;
