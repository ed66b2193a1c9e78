//! Dialect `status`: `/api/auth`, a `status` member in every answer, token
//! pairs, Basic beside bearer, WebSocket tickets (S1-01 to S1-35).

use http::StatusCode;
use serde::Serialize;

use crate::auth::login::{Issuance, TokenPair};
use crate::auth::password::PasswordRule;
use crate::auth::secret::Secret;

use super::body::{Members, read_login, read_refresh, to_json};
use super::delivery::{Delivery, DeliveryRule};
use super::notation::StoreShown;
use super::row::{self, NotEncoded, Row};
use super::{
    Answer, Attempt, ClientError, Command, Context, Contract, DecodeError, Dialect, Endpoint,
    EndpointAccess, Health, Input, Operation, Outcome, Serving, Settings, Verb,
};

static ROWS: [Row<Status>; 7] = [
    Row::new(
        Endpoint::new(Verb::Post, "/auth/login", Operation::Login).trying(Attempt::Password),
        |_, input| read_login(input, "username"),
        |status, outcome, context| match outcome {
            Outcome::SignedIn(_, pair) => Some(status.pair(&pair, context.delivery)),
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/auth/refresh", Operation::Refresh)
            .trying(Attempt::RefreshToken),
        |_, input| read_refresh(input, "refresh_token"),
        |status, outcome, context| match outcome {
            Outcome::Refreshed(_, pair) => Some(status.pair(&pair, context.delivery)),
            _ => None,
        },
    ),
    // Whatever body comes with this has no meaning here and gets none; nor with a ticket's.
    Row::new(
        Endpoint::new(Verb::Post, "/logout", Operation::Logout)
            .accessible_to(EndpointAccess::Authenticated),
        |_, _| Ok(Command::Logout),
        |_, outcome, context| match outcome {
            Outcome::LoggedOut => Some(done().with(context.delivery.forget())),
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/change-password", Operation::ChangePassword)
            .accessible_to(EndpointAccess::Authenticated)
            .trying(Attempt::Password),
        |_, input| read_password_change(input),
        |_, outcome, _| match outcome {
            Outcome::PasswordChanged => Some(done()),
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Get, "/ws-token", Operation::IssueTicket)
            .accessible_to(EndpointAccess::Authenticated),
        |_, _| Ok(Command::IssueTicket),
        |_, outcome, _| match outcome {
            Outcome::Ticket(ticket) => {
                Some(Answer::ok(&TicketAnswer { status: SUCCESS, token: ticket.expose() }))
            }
            _ => None,
        },
    ),
    HEALTH,
    Row { endpoint: HEALTH.endpoint.fixed(), ..HEALTH },
];
static ENDPOINTS: [Endpoint; 7] = row::endpoints(&ROWS);

const HEALTH: Row<Status> = Row::new(
    Endpoint::new(Verb::Probe, "/health", Operation::Health),
    |_, _| Ok(Command::Health),
    |_, outcome, _| match outcome {
        Outcome::Health(health) => Some(encode_health(&health)),
        _ => None,
    },
);

/// In every answer but a refusal and that of health.
const SUCCESS: &str = "success";

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
        &ENDPOINTS
    }

    fn decode(&self, operation: Operation, input: &Input<'_>) -> Result<Command, DecodeError> {
        row::decode(&ROWS, self, operation, input)
    }

    fn encode(&self, outcome: Outcome, context: Context<'_>) -> Result<Answer, NotEncoded> {
        row::encode(&ROWS, self, outcome, context)
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

impl Status {
    fn pair(&self, pair: &TokenPair, delivery: Delivery) -> Answer {
        Answer::ok(&PairAnswer {
            status: SUCCESS,
            access_token: delivery.shown(&pair.access.text),
            refresh_token: delivery.shown(&pair.refresh),
            token_type: "Bearer",
        })
        .with(delivery.of_pair(pair, self.settings.refresh_ttl))
    }
}

fn read_password_change(input: &Input<'_>) -> Result<Command, DecodeError> {
    let mut body = Members::read(input.content_type, input.body)?;
    Ok(Command::ChangePassword {
        current: Secret::new(body.text("current_password")?),
        new: Secret::new(body.text("new_password")?),
    })
}

fn done() -> Answer {
    Answer::ok(&PlainAnswer { status: SUCCESS })
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
