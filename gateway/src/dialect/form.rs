//! Dialect `form`: `/api/v1/auth`, sign-in by a form, `detail` in refusals
//! (S0-01 to S0-12).

use http::StatusCode;
use serde::Serialize;

use crate::auth::account::{Account, PersonName};
use crate::auth::login::{Issuance, TokenPair};
use crate::auth::password::PasswordRule;
use crate::auth::register::Registration;
use crate::auth::secret::Secret;

use super::body::{Members, form, to_json};
use super::delivery::{Delivery, DeliveryRule};
use super::{
    Answer, Attempt, ClientError, Command, Context, Contract, DecodeError, Dialect, Endpoint,
    Input, Operation, Outcome, Settings, Verb,
};

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Verb::Post, "/auth/register", Operation::Register),
    Endpoint::new(Verb::Post, "/auth/login", Operation::Login).trying(Attempt::Password),
    Endpoint::new(Verb::Post, "/auth/refresh", Operation::Refresh).trying(Attempt::RefreshToken),
];

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
        ENDPOINTS
    }

    fn decode(&self, operation: Operation, input: &Input<'_>) -> Result<Command, DecodeError> {
        let Input { content_type, body, .. } = *input;
        match operation {
            Operation::Register => {
                let mut body = Members::read(content_type, body)?;
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
            Operation::Login => {
                let [name, password] = form(content_type, body, ["username", "password"])?;
                Ok(Command::Login { name, password: Secret::new(password) })
            }
            Operation::Refresh => {
                if let Some(token) = input.refresh_cookie {
                    return Ok(Command::Refresh { token: token.into() });
                }
                let token = Members::read(content_type, body)?.text("refresh_token")?;
                Ok(Command::Refresh { token: Secret::new(token) })
            }
            _ => Err(DecodeError::not_of_this_contract()),
        }
    }

    fn encode(&self, outcome: Outcome, context: Context<'_>) -> Answer {
        match outcome {
            Outcome::Registered(account, pair) => {
                let answer = self.tokens(&pair, Some(&account), true, context.delivery);
                Answer { status: StatusCode::CREATED, ..answer }
            }
            Outcome::SignedIn(_, pair) => self.tokens(&pair, None, true, context.delivery),
            Outcome::Refreshed(_, pair) => self.tokens(&pair, None, false, context.delivery),
            _ => Answer::nothing(),
        }
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
