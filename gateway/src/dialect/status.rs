//! Dialect `status`: `/api/auth`, a `status` member in every answer, token
//! pairs, Basic beside bearer, WebSocket tickets (S1-01 to S1-35).

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::auth::login::Issuance;
use crate::auth::secret::Secret;
use crate::auth::time::Seconds;

use super::{
    Admission, Answer, Attempt, ClientError, Command, DecodeError, Dialect, Endpoint, Health,
    Operation, Outcome, Serving, Verb,
};

const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Verb::Post,
        path: "/api/auth/login",
        operation: Operation::Login,
        admission: Admission::Public,
        attempt: Attempt::Password,
    },
    Endpoint {
        method: Verb::Post,
        path: "/api/auth/refresh",
        operation: Operation::Refresh,
        admission: Admission::Public,
        attempt: Attempt::RefreshToken,
    },
    Endpoint {
        method: Verb::Post,
        path: "/api/logout",
        operation: Operation::Logout,
        admission: Admission::Authenticated,
        attempt: Attempt::None,
    },
    Endpoint {
        method: Verb::Post,
        path: "/api/change-password",
        operation: Operation::ChangePassword,
        admission: Admission::Authenticated,
        attempt: Attempt::Password,
    },
    Endpoint {
        method: Verb::Get,
        path: "/api/ws-token",
        operation: Operation::IssueTicket,
        admission: Admission::Authenticated,
        attempt: Attempt::None,
    },
    Endpoint {
        method: Verb::Get,
        path: "/health",
        operation: Operation::Health,
        admission: Admission::Public,
        attempt: Attempt::None,
    },
    Endpoint {
        method: Verb::Get,
        path: "/api/health",
        operation: Operation::Health,
        admission: Admission::Public,
        attempt: Attempt::None,
    },
];

pub struct Status {
    pub access_ttl: Seconds,
    pub rotate: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginBody {
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshBody {
    refresh_token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangePasswordBody {
    current_password: String,
    new_password: String,
}

#[derive(Serialize)]
struct PairAnswer<'a> {
    status: &'static str,
    access_token: &'a str,
    refresh_token: &'a str,
    token_type: &'static str,
}

#[derive(Serialize)]
struct TicketAnswer<'a> {
    status: &'static str,
    token: &'a str,
}

#[derive(Serialize)]
struct PlainAnswer {
    status: &'static str,
}

#[derive(Serialize)]
struct HealthAnswer<'a> {
    status: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_update: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    cves: &'a [String],
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    status: &'static str,
    error: &'a str,
    code: &'static str,
}

impl Dialect for Status {
    fn endpoints(&self) -> &'static [Endpoint] {
        ENDPOINTS
    }

    fn decode(
        &self,
        operation: Operation,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Command, DecodeError> {
        match operation {
            Operation::Login => {
                let LoginBody { username, password } = json(content_type, body)?;
                Ok(Command::Login { name: username, password: Secret::new(password) })
            }
            Operation::Refresh => {
                let RefreshBody { refresh_token } = json(content_type, body)?;
                Ok(Command::Refresh { token: Secret::new(refresh_token) })
            }
            Operation::ChangePassword => {
                let ChangePasswordBody { current_password, new_password } =
                    json(content_type, body)?;
                Ok(Command::ChangePassword {
                    current: Secret::new(current_password),
                    new: Secret::new(new_password),
                })
            }
            // Whatever body comes with these has no meaning here and gets none.
            Operation::Logout => Ok(Command::Logout),
            Operation::IssueTicket => Ok(Command::IssueTicket),
            Operation::Health => Ok(Command::Health),
        }
    }

    fn encode(&self, outcome: Outcome) -> Answer {
        let success = "success";
        match outcome {
            Outcome::SignedIn(pair) => ok(&PairAnswer {
                status: success,
                access_token: pair.access.text.expose(),
                refresh_token: pair.refresh.expose(),
                token_type: "Bearer",
            }),
            Outcome::Ticket(ticket) => {
                ok(&TicketAnswer { status: success, token: ticket.expose() })
            }
            Outcome::LoggedOut | Outcome::PasswordChanged => ok(&PlainAnswer { status: success }),
            Outcome::Health(health) => encode_health(&health),
        }
    }

    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8> {
        to_json(&ErrorAnswer { status: "error", error: error.message, code: error.code })
    }

    fn issuance(&self) -> Issuance {
        Issuance { access_ttl: self.access_ttl, rotate: self.rotate, shows_role: false }
    }
}

fn encode_health(health: &Health) -> Answer {
    let (status, word) = match health.serving {
        Serving::Healthy => (StatusCode::OK, "healthy"),
        Serving::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    let body = to_json(&HealthAnswer {
        status: word,
        version: health.version,
        pending_update: health.pending_update.as_deref(),
        cves: &health.cves,
    });
    Answer { status, body }
}

fn ok(answer: &impl Serialize) -> Answer {
    Answer { status: StatusCode::OK, body: to_json(answer) }
}

fn to_json(answer: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).expect("answers of plain text serialize")
}

fn json<'a, T: Deserialize<'a>>(
    content_type: Option<&str>,
    body: &'a [u8],
) -> Result<T, DecodeError> {
    let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    if !media_type.is_some_and(|name| name.eq_ignore_ascii_case("application/json")) {
        return Err(DecodeError::MediaType);
    }
    if body.trim_ascii_start().starts_with(b"[") {
        // serde takes a list for an object's members in their order.
        return Err(DecodeError::Malformed(NOT_THE_OBJECT.to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| DecodeError::Malformed(describe(&error)))
}

const NOT_THE_OBJECT: &str =
    "The body must be a JSON object with exactly the documented members, as strings";

/// What is wrong with a body, without repeating any of it.
fn describe(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    match error.classify() {
        Category::Syntax | Category::Io => {
            format!("The body is not valid JSON (line {}, column {})", error.line(), error.column())
        }
        Category::Eof => "The body ends before its JSON does".to_owned(),
        Category::Data => NOT_THE_OBJECT.to_owned(),
    }
}
