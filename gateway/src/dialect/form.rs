//! Dialect `form`: `/api/v1/auth`, sign-in by a form, `detail` in refusals
//! (S0-01 to S0-12).

use http::StatusCode;
use serde::Serialize;

use crate::auth::account::{Account, PersonName};
use crate::auth::login::{Issuance, TokenPair};
use crate::auth::password::PasswordRule;
use crate::auth::register::Registration;
use crate::auth::secret::Secret;

use super::body::{Members, form, read_refresh, to_json};
use super::delivery::{Delivery, DeliveryRule};
use super::row::{self, NotEncoded, Row};
use super::{
    Answer, Attempt, ClientError, Command, Context, Contract, DecodeError, Dialect, Endpoint,
    Input, Operation, Outcome, Settings, Verb,
};

static ROWS: [Row<Form>; 3] = [
    Row::new(
        Endpoint::new(Verb::Post, "/auth/register", Operation::Register),
        |_, input| read_registration(input),
        |form, outcome, context| match outcome {
            Outcome::Registered(account, pair) => {
                let answer = form.tokens(&pair, Some(&account), true, context.delivery);
                Some(Answer { status: StatusCode::CREATED, ..answer })
            }
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/auth/login", Operation::Login).trying(Attempt::Password),
        |_, input| {
            let [name, password] = form(input.content_type, input.body, ["username", "password"])?;
            Ok(Command::Login { name, password: Secret::new(password) })
        },
        |form, outcome, context| match outcome {
            Outcome::SignedIn(_, pair) => Some(form.tokens(&pair, None, true, context.delivery)),
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/auth/refresh", Operation::Refresh)
            .trying(Attempt::RefreshToken),
        |_, input| read_refresh(input, "refresh_token"),
        |form, outcome, context| match outcome {
            Outcome::Refreshed(_, pair) => Some(form.tokens(&pair, None, false, context.delivery)),
            _ => None,
        },
    ),
];
static ENDPOINTS: [Endpoint; 3] = row::endpoints(&ROWS);

pub struct Form(pub Settings);

#[derive(Serialize)]
struct User<'a> {
    id: String,
    email: Option<&'a str>,
    username: &'a str,
    full_name: String,
}

/// Without a user for a sign-in (S0-08), without a refresh token for a refresh (S0-11).
#[derive(Serialize)]
struct TokensAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    token_type: &'static str,
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    detail: &'a str,
}

impl Dialect for Form {
    fn contract(&self) -> Contract {
        Contract::Form
    }

    fn prefix(&self) -> &str {
        &self.0.prefix
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
        to_json(&ErrorAnswer { detail: error.message })
    }

    fn issuance(&self) -> Issuance {
        // A refresh answers no new refresh token, so the old one stays (S0-11, C6).
        Issuance { access_ttl: self.0.access_ttl, rotate: false, shows_role: false, life: None }
    }

    fn password_rule(&self) -> PasswordRule {
        self.0.password
    }

    fn delivery(&self) -> DeliveryRule {
        self.0.delivery
    }
}

impl Form {
    fn tokens(
        &self,
        pair: &TokenPair,
        account: Option<&Account>,
        with_refresh: bool,
        delivery: Delivery,
    ) -> Answer {
        let user = account.map(|account| User {
            id: account.id.0.to_string(),
            email: account.email.as_deref(),
            username: account.username.as_str(),
            full_name: account.name.full(),
        });
        let fields = if with_refresh {
            delivery.of_pair(pair, self.0.refresh_ttl)
        } else {
            delivery.of_access(&pair.access)
        };
        Answer::ok(&TokensAnswer {
            user,
            access_token: delivery.shown(&pair.access.text),
            refresh_token: delivery.shown(&pair.refresh).filter(|_| with_refresh),
            token_type: "bearer",
        })
        .with(fields)
    }
}

fn read_registration(input: &Input<'_>) -> Result<Command, DecodeError> {
    let mut body = Members::read(input.content_type, input.body)?;
    let password = body.text("password")?;
    if password != body.text("password_confirm")? {
        return Err(DecodeError::Malformed("The two passwords differ".to_owned()));
    }
    Ok(Command::Register(Registration {
        email: body.text("email")?,
        username: Some(body.text("username")?),
        name: PersonName::whole(&body.text("full_name")?),
        password: Secret::new(password),
    }))
}
