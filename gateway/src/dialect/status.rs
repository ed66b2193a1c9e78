//! Dialect `status`: `/api/auth`, a `status` member in every answer, token
//! pairs, Basic beside bearer, WebSocket tickets (S1-01 to S1-35).

use http::StatusCode;
use serde::Serialize;

use crate::auth::login::Issuance;
use crate::auth::password::PasswordRule;
use crate::auth::secret::Secret;

use super::body::{Members, to_json};
use super::delivery::DeliveryRule;
use super::notation::StoreShown;
use super::{
    Admission, Answer, Attempt, ClientError, Command, Context, Contract, DecodeError, Dialect,
    Endpoint, Health, Input, Operation, Outcome, Serving, Settings, Verb,
};

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Verb::Post, "/auth/login", Operation::Login).trying(Attempt::Password),
    Endpoint::new(Verb::Post, "/auth/refresh", Operation::Refresh).trying(Attempt::RefreshToken),
    Endpoint::new(Verb::Post, "/logout", Operation::Logout).admitting(Admission::Authenticated),
    Endpoint::new(Verb::Post, "/change-password", Operation::ChangePassword)
        .admitting(Admission::Authenticated)
        .trying(Attempt::Password),
    Endpoint::new(Verb::Get, "/ws-token", Operation::IssueTicket)
        .admitting(Admission::Authenticated),
    Endpoint::new(Verb::Probe, "/health", Operation::Health),
    Endpoint::new(Verb::Probe, "/health", Operation::Health).fixed(),
];

pub struct Status {
    pub settings: Settings,
    pub rotate: bool,
}

#[derive(Serialize)]
struct PairAnswer<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<StoreShown>,
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    status: &'static str,
    error: &'a str,
    code: &'static str,
}

impl Dialect for Status {
    fn contract(&self) -> Contract {
        Contract::Status
    }

    fn prefix(&self) -> &str {
        &self.settings.prefix
    }

    fn endpoints(&self) -> &[Endpoint] {
        ENDPOINTS
    }

    fn decode(&self, operation: Operation, input: &Input<'_>) -> Result<Command, DecodeError> {
        let Input { content_type, body, .. } = *input;
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
                let token = Members::read(content_type, body)?.text("refresh_token")?;
                Ok(Command::Refresh { token: Secret::new(token) })
            }
            Operation::ChangePassword => {
                let mut body = Members::read(content_type, body)?;
                Ok(Command::ChangePassword {
                    current: Secret::new(body.text("current_password")?),
                    new: Secret::new(body.text("new_password")?),
                })
            }
            // Whatever body comes with these has no meaning here and gets none.
            Operation::Logout => Ok(Command::Logout),
            Operation::IssueTicket => Ok(Command::IssueTicket),
            Operation::Health => Ok(Command::Health),
            _ => Err(DecodeError::not_of_this_contract()),
        }
    }

    fn encode(&self, outcome: Outcome, context: Context<'_>) -> Answer {
        let success = "success";
        let delivery = context.delivery;
        match outcome {
            Outcome::SignedIn(_, pair) | Outcome::Refreshed(_, pair) => Answer::ok(&PairAnswer {
                status: success,
                access_token: delivery.shown(&pair.access.text),
                refresh_token: delivery.shown(&pair.refresh),
                token_type: "Bearer",
            })
            .with(delivery.of_pair(&pair, self.settings.refresh_ttl)),
            Outcome::Ticket(ticket) => {
                Answer::ok(&TicketAnswer { status: success, token: ticket.expose() })
            }
            Outcome::LoggedOut => {
                Answer::ok(&PlainAnswer { status: success }).with(delivery.forget())
            }
            Outcome::PasswordChanged => Answer::ok(&PlainAnswer { status: success }),
            Outcome::Health(health) => encode_health(&health),
            _ => Answer::nothing(),
        }
    }

    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8> {
        to_json(&ErrorAnswer { status: "error", error: error.message, code: error.code })
    }

    fn issuance(&self) -> Issuance {
        let access_ttl = self.settings.access_ttl;
        Issuance { access_ttl, rotate: self.rotate, shows_role: false, life: None }
    }

    fn password_rule(&self) -> PasswordRule {
        self.settings.password
    }

    fn delivery(&self) -> DeliveryRule {
        self.settings.delivery
    }
}

fn encode_health(health: &Health) -> Answer {
    let status = match health.serving {
        Serving::Healthy => StatusCode::OK,
        Serving::WithoutStore | Serving::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    let answer = HealthAnswer {
        status: health.serving.word(),
        version: health.version,
        pending_update: health.pending_update.as_deref(),
        cves: &health.cves,
        store: health.store.map(StoreShown::from),
    };
    Answer::json(status, &answer)
}
