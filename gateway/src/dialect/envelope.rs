//! Dialect `envelope`: `/api/auth`, every answer in an envelope with its time, one
//! token, GitHub, workspaces (S2-01 to S2-25).

use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use serde::Serialize;

use crate::auth::account::{Account, PersonName};
use crate::auth::login::{AccessToken, Issuance};
use crate::auth::password::PasswordRule;
use crate::auth::register::Registration;
use crate::auth::secret::Secret;
use crate::auth::time::Timestamp;
use crate::auth::workspace::WorkspaceId;

use super::body::{Members, to_json};
use super::delivery::{Delivery, DeliveryRule};
use super::flow;
use super::notation::{envelope_user, millis, parse_id};
use super::{
    Admission, Answer, Attempt, ClientError, Command, Context, Contract, DecodeError, Dialect,
    Endpoint, Input, Operation, Outcome, Settings, Verb,
};

/// Where GitHub sends browsers back to, below the prefix.
pub const CALLBACK: &str = "/auth/github/callback";

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Verb::Get, "/auth/providers", Operation::Providers),
    Endpoint::new(Verb::Post, "/auth/register", Operation::Register),
    Endpoint::new(Verb::Post, "/auth/login", Operation::Login).trying(Attempt::Password),
    Endpoint::new(Verb::Post, "/auth/github", Operation::Github).trying(Attempt::Code),
    Endpoint::new(Verb::Get, "/auth/github/start", Operation::BeginGithub),
    Endpoint::new(Verb::Get, CALLBACK, Operation::FinishGithub).trying(Attempt::Code),
    Endpoint::new(Verb::Get, "/auth/me", Operation::Me).admitting(Admission::Authenticated),
    Endpoint::new(Verb::Post, "/auth/refresh", Operation::Reissue).admitting(Admission::Bearer),
    Endpoint::new(Verb::Post, "/auth/switch-workspace", Operation::SwitchWorkspace)
        .admitting(Admission::Bearer),
];

pub struct Envelope {
    pub settings: Settings,
    /// Where GitHub sends browsers back to; `None`: no flow begins here.
    pub callback: Option<String>,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
struct Success<T> {
    success: bool,
    data: T,
    timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProvidersData<'a> {
    local: bool,
    /// Beyond the contract's three.
    login: bool,
    github: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    github_client_id: Option<&'a str>,
}

#[derive(Serialize)]
struct SignedInData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    user: User<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct User<'a> {
    id: String,
    email: Option<&'a str>,
    first_name: String,
    last_name: String,
    role: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Me<'a> {
    id: String,
    email: Option<&'a str>,
    first_name: String,
    last_name: String,
    role: &'a str,
    avatar_url: Option<&'a str>,
    created_at: String,
    /// Beyond the contract's seven.
    email_verified: bool,
}

#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    error: FailureDetail<'a>,
    timestamp: String,
}

#[derive(Serialize)]
struct FailureDetail<'a> {
    code: &'a str,
    message: &'a str,
}

impl Dialect for Envelope {
    fn contract(&self) -> Contract {
        Contract::Envelope
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
            Operation::Providers => Ok(Command::Providers),
            Operation::Register => {
                let mut body = Members::read(content_type, body)?;
                let (first, last) = (body.text("firstName")?, body.text("lastName")?);
                Ok(Command::Register(Registration {
                    email: body.text("email")?,
                    username: None,
                    name: PersonName::in_parts(&first, &last),
                    password: Secret::new(body.text("password")?),
                }))
            }
            Operation::Login => {
                let mut body = Members::read(content_type, body)?;
                let (name, password) = (body.text("email")?, body.text("password")?);
                Ok(Command::Login { name, password: Secret::new(password) })
            }
            Operation::Github => {
                let code = Members::read(content_type, body)?.text("code")?;
                Ok(Command::Github { code: Secret::new(code) })
            }
            Operation::BeginGithub => {
                let return_to = flow::destination(input.query)?;
                Ok(Command::BeginGithub {
                    callback: self.callback.clone(),
                    return_to,
                    by: flow::Beginner::Contract,
                })
            }
            Operation::FinishGithub => Ok(Command::FinishGithub {
                callback: self.callback.clone(),
                kept: input.flow_cookie.and_then(flow::recall),
                returned: flow::returned(input.query)?,
            }),
            Operation::Me => Ok(Command::Me),
            // Whatever body comes with this has no meaning here and gets none.
            Operation::Reissue => Ok(Command::Reissue),
            Operation::SwitchWorkspace => {
                let id = Members::read(content_type, body)?.text("workspaceId")?;
                // What is no id is the id of no workspace.
                let workspace = parse_id(&id).map(WorkspaceId);
                Ok(Command::SwitchWorkspace { workspace })
            }
            _ => Err(DecodeError::not_of_this_contract()),
        }
    }

    fn encode(&self, outcome: Outcome, context: Context<'_>) -> Answer {
        let Context { now, delivery, .. } = context;
        match outcome {
            Outcome::Providers(providers) => {
                let github_client_id = providers.github_client_id.as_deref();
                let github = github_client_id.is_some();
                let data = ProvidersData {
                    local: providers.registration,
                    login: providers.passwords,
                    github,
                    github_client_id,
                };
                success(StatusCode::OK, data, now)
            }
            Outcome::Registered(account, pair) => {
                let answer = signed_in(&account, &pair.access, context);
                Answer { status: StatusCode::CREATED, ..answer }
            }
            Outcome::SignedIn(account, pair) => signed_in(&account, &pair.access, context),
            Outcome::SentToGithub(url, kept) => {
                redirect(StatusCode::FOUND, &url).with(vec![flow::remember(&kept)])
            }
            Outcome::BackFromGithub(account, pair, return_to) => match delivery {
                Delivery::Body => signed_in(&account, &pair.access, context),
                Delivery::Cookie => redirect(StatusCode::SEE_OTHER, &return_to)
                    .with(Delivery::Cookie.of_access(&pair.access)),
            },
            Outcome::Reissued(account, access) => signed_in(&account, &access, context),
            Outcome::Me(account) => {
                let (first_name, last_name) = account.name.parts();
                let data = Me {
                    id: envelope_user(account.id),
                    email: account.email.as_deref(),
                    first_name,
                    last_name,
                    role: account.main_role(),
                    avatar_url: account.avatar.as_deref(),
                    created_at: millis(account.created),
                    email_verified: account.email_verified,
                };
                success(StatusCode::OK, data, now)
            }
            _ => Answer::nothing(),
        }
    }

    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8> {
        // This contract has one word for every way in which one cannot register (S2-13).
        let code = match error.code {
            "REGISTRATION_CLOSED" => "LOCAL_AUTH_DISABLED",
            code => code,
        };
        let detail = FailureDetail { code, message: error.message };
        to_json(&Failure { success: false, error: detail, timestamp: millis(error.at) })
    }

    fn issuance(&self) -> Issuance {
        Issuance {
            access_ttl: self.settings.access_ttl,
            rotate: false,
            shows_role: true,
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

fn signed_in(account: &Account, access: &AccessToken, context: Context<'_>) -> Answer {
    let Context { now, delivery, .. } = context;
    let (first_name, last_name) = account.name.parts();
    let user = User {
        id: envelope_user(account.id),
        email: account.email.as_deref(),
        first_name,
        last_name,
        role: account.main_role(),
        avatar_url: account.avatar.as_deref(),
    };
    let data = SignedInData { token: delivery.shown(&access.text), user };
    success(StatusCode::OK, data, now).with(delivery.of_access(access))
}

fn redirect(status: StatusCode, to: &str) -> Answer {
    let to = HeaderValue::from_str(to).expect("our own URLs and checked paths are visible ASCII");
    Answer { status, body: Vec::new(), fields: vec![(LOCATION, to)] }
}

fn success(status: StatusCode, data: impl Serialize, now: Timestamp) -> Answer {
    Answer::json(status, &Success { success: true, data, timestamp: millis(now) })
}
