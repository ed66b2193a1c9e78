//! Dialect `plain`: `/api/v1/auth`, flat answers and `error` in refusals, API keys
//! (S3-01 to S3-20).

use http::StatusCode;
use serde::Serialize;

use crate::auth::account::Account;
use crate::auth::api_key::{ApiKey, DEFAULT_OVERLAP, KeyId, MAX_OVERLAP};
use crate::auth::login::{Issuance, TokenPair};
use crate::auth::password::PasswordRule;
use crate::auth::server::{Server, ServerId};
use crate::auth::time::Seconds;

use super::body::{Members, none, read_login, read_refresh, to_json};
use super::delivery::{Delivery, DeliveryRule};
use super::notation::{parse_id, parse_time, plain_key, plain_user, seconds};
use super::row::{self, NotEncoded, Row};
use super::{
    Answer, Attempt, Binding, ClientError, Command, Context, Contract, DecodeError, Dialect,
    Endpoint, EndpointAccess, ErrorKind, Expiry, Input, KeyRequest, Operation, Outcome, Settings,
    Verb,
};

static SESSIONS: [Row<Plain>; 3] = [
    Row::new(
        Endpoint::new(Verb::Post, "/auth/login", Operation::Login).trying(Attempt::Password),
        |_, input| read_login(input, "username"),
        |plain, outcome, context| match outcome {
            Outcome::SignedIn(account, pair) => {
                Some(plain.signed_in(&account, &pair, context.delivery))
            }
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/auth/refresh", Operation::Refresh)
            .trying(Attempt::RefreshToken),
        |_, input| read_refresh(input, "refreshToken"),
        |_, outcome, context| match outcome {
            Outcome::Refreshed(_, pair) => Some(refreshed(&pair, context.delivery)),
            _ => None,
        },
    ),
    // Whatever body comes with this has no meaning here and gets none.
    Row::new(
        Endpoint::new(Verb::Post, "/auth/logout", Operation::EndSession)
            .accessible_to(EndpointAccess::Bearer),
        |_, _| Ok(Command::EndSession),
        |_, outcome, context| match outcome {
            Outcome::SessionEnded => Some(
                Answer::ok(&MessageAnswer { message: "Successfully logged out" })
                    .with(context.delivery.forget()),
            ),
            _ => None,
        },
    ),
];

/// Optional as a whole (S3-13).
static KEYS: [Row<Plain>; 5] = [
    Row::new(
        Endpoint::new(Verb::Post, "/auth/keys", Operation::CreateKey)
            .accessible_to(EndpointAccess::Authenticated),
        |_, input| read_key_request(input.content_type, input.body).map(Command::CreateKey),
        key_created,
    ),
    Row::new(
        Endpoint::new(Verb::Get, "/auth/keys", Operation::ListKeys)
            .accessible_to(EndpointAccess::Authenticated),
        |_, _| Ok(Command::ListKeys),
        |_, outcome, _| match outcome {
            Outcome::Keys(keys) => {
                Some(Answer::ok(&keys.iter().map(|key| describe(key)).collect::<Vec<_>>()))
            }
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Delete, "/auth/keys/{key}", Operation::DeleteKey)
            .accessible_to(EndpointAccess::Authenticated),
        |_, input| Ok(Command::DeleteKey { key: key(input) }),
        |_, outcome, _| match outcome {
            Outcome::KeyDeleted => Some(Answer::empty(StatusCode::NO_CONTENT)),
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/auth/keys/{key}/rotate", Operation::RotateKey)
            .accessible_to(EndpointAccess::Authenticated),
        |_, input| {
            let overlap = read_overlap(input.content_type, input.body)?;
            Ok(Command::RotateKey { key: key(input), overlap })
        },
        key_created,
    ),
    Row::new(
        Endpoint::new(Verb::Get, "/auth/servers", Operation::ListServers)
            .accessible_to(EndpointAccess::Authenticated),
        |_, _| Ok(Command::ListServers),
        |_, outcome, _| match outcome {
            Outcome::Servers(servers) => Some(Answer::ok(
                &servers.iter().map(|server| describe_server(server)).collect::<Vec<_>>(),
            )),
            _ => None,
        },
    ),
];

fn rows() -> impl Iterator<Item = &'static Row<Plain>> {
    SESSIONS.iter().chain(&KEYS)
}

pub struct Plain {
    settings: Settings,
    reveal_unknown_user: bool,
    endpoints: Vec<Endpoint>,
}

impl Plain {
    #[must_use]
    pub fn new(settings: Settings, keys: bool, reveal_unknown_user: bool) -> Self {
        let keys: &[Row<Self>] = if keys { &KEYS } else { &[] };
        let endpoints = SESSIONS.iter().chain(keys).map(|row| row.endpoint).collect();
        Self { settings, reveal_unknown_user, endpoints }
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
        row::decode(rows(), self, operation, input)
    }

    fn encode(&self, outcome: Outcome, context: Context<'_>) -> Result<Answer, NotEncoded> {
        row::encode(rows(), self, outcome, context)
    }

    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8> {
        let message = match error.kind {
            // It has one word for whoever is not signed in (S3-12), whatever came.
            ErrorKind::TokenRefused => "Authentication required",
            ErrorKind::UnknownUser if self.reveal_unknown_user => "User not found",
            ErrorKind::UnknownUser | ErrorKind::RegistrationClosed | ErrorKind::Other => {
                error.message
            }
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

fn refreshed(pair: &TokenPair, delivery: Delivery) -> Answer {
    let token = delivery.shown(&pair.access.text);
    Answer::ok(&RefreshedAnswer { token, expires_in: pair.access.ttl.0 })
        .with(delivery.of_access(&pair.access))
}

fn key_created(_: &Plain, outcome: Outcome, _: Context<'_>) -> Option<Answer> {
    let Outcome::KeyCreated(key, text) = outcome else { return None };
    let answer = NewKeyAnswer {
        key_id: plain_key(key.id),
        api_key: text.expose(),
        name: &key.name,
        created_at: seconds(key.created),
    };
    Some(Answer::json(StatusCode::CREATED, &answer))
}

/// The key that the path names; `None` of what is no id.
fn key(input: &Input<'_>) -> Option<KeyId> {
    input.parameters.first().and_then(|text| parse_id(text)).map(KeyId)
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
