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

use super::body::{Members, read_login, to_json};
use super::delivery::{Delivery, DeliveryRule};
use super::flow;
use super::notation::{envelope_user, millis, parse_id};
use super::row::{self, NotEncoded, Row};
use super::{
    Answer, Attempt, ClientError, Command, Context, Contract, DecodeError, Dialect, Endpoint,
    EndpointAccess, ErrorKind, Input, Operation, Outcome, Providers, Settings, Verb,
};

/// Where GitHub sends browsers back to, below the prefix.
pub const CALLBACK: &str = "/auth/github/callback";

static ROWS: [Row<Envelope>; 9] = [
    Row::new(
        Endpoint::new(Verb::Get, "/auth/providers", Operation::Providers),
        |_, _| Ok(Command::Providers),
        |_, outcome, context| match outcome {
            Outcome::Providers(providers) => Some(encode_providers(&providers, context.now)),
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/auth/register", Operation::Register),
        |_, input| read_registration(input),
        |_, outcome, context| match outcome {
            Outcome::Registered(account, pair) => {
                let answer = signed_in(&account, &pair.access, context);
                Some(Answer { status: StatusCode::CREATED, ..answer })
            }
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/auth/login", Operation::Login).trying(Attempt::Password),
        |_, input| read_login(input, "email"),
        encode_sign_in,
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/auth/github", Operation::Github).trying(Attempt::Code),
        |_, input| {
            let code = Members::read(input.content_type, input.body)?.text("code")?;
            Ok(Command::Github { code: Secret::new(code) })
        },
        encode_sign_in,
    ),
    Row::new(
        Endpoint::new(Verb::Get, "/auth/github/start", Operation::BeginGithub),
        Envelope::read_departure,
        |_, outcome, _| match outcome {
            Outcome::SentToGithub(url, kept) => {
                Some(redirect(StatusCode::FOUND, &url).with(vec![flow::remember(&kept)]))
            }
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Get, CALLBACK, Operation::FinishGithub).trying(Attempt::Code),
        Envelope::read_return,
        encode_return,
    ),
    Row::new(
        Endpoint::new(Verb::Get, "/auth/me", Operation::Me)
            .accessible_to(EndpointAccess::Authenticated),
        |_, _| Ok(Command::Me),
        |_, outcome, context| match outcome {
            Outcome::Me(account) => Some(encode_me(&account, context.now)),
            _ => None,
        },
    ),
    // Whatever body comes with this has no meaning here and gets none.
    Row::new(
        Endpoint::new(Verb::Post, "/auth/refresh", Operation::Reissue)
            .accessible_to(EndpointAccess::Bearer),
        |_, _| Ok(Command::Reissue),
        encode_reissue,
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/auth/switch-workspace", Operation::SwitchWorkspace)
            .accessible_to(EndpointAccess::Bearer),
        |_, input| {
            let id = Members::read(input.content_type, input.body)?.text("workspaceId")?;
            // What is no id is the id of no workspace.
            let workspace = parse_id(&id).map(WorkspaceId);
            Ok(Command::SwitchWorkspace { workspace })
        },
        encode_reissue,
    ),
];
static ENDPOINTS: [Endpoint; 9] = row::endpoints(&ROWS);

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
        &ENDPOINTS
    }

    fn decode(&self, operation: Operation, input: &Input<'_>) -> Result<Command, DecodeError> {
        row::decode(&ROWS, self, operation, input)
    }

    fn encode(&self, outcome: Outcome, context: Context<'_>) -> Result<Answer, NotEncoded> {
        row::encode(&ROWS, self, outcome, context)
    }

    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8> {
        // This contract has one word for every way in which one cannot register (S2-13).
        let code = match error.kind {
            ErrorKind::RegistrationClosed => "LOCAL_AUTH_DISABLED",
            ErrorKind::TokenRefused | ErrorKind::UnknownUser | ErrorKind::Other => error.code,
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

impl Envelope {
    fn read_departure(&self, input: &Input<'_>) -> Result<Command, DecodeError> {
        let return_to = flow::destination(input.query)?;
        let callback = self.callback.clone();
        Ok(Command::BeginGithub { callback, return_to, by: flow::Beginner::Contract })
    }

    fn read_return(&self, input: &Input<'_>) -> Result<Command, DecodeError> {
        Ok(Command::FinishGithub {
            callback: self.callback.clone(),
            kept: input.flow_cookie.and_then(flow::parse_cookie),
            returned: flow::returned(input.query)?,
        })
    }
}

fn read_registration(input: &Input<'_>) -> Result<Command, DecodeError> {
    let mut body = Members::read(input.content_type, input.body)?;
    let (first, last) = (body.text("firstName")?, body.text("lastName")?);
    Ok(Command::Register(Registration {
        email: body.text("email")?,
        username: None,
        name: PersonName::in_parts(&first, &last),
        password: Secret::new(body.text("password")?),
    }))
}

fn encode_providers(providers: &Providers, now: Timestamp) -> Answer {
    let github_client_id = providers.github_client_id.as_deref();
    let data = ProvidersData {
        local: providers.registration,
        login: providers.passwords,
        github: github_client_id.is_some(),
        github_client_id,
    };
    success(StatusCode::OK, data, now)
}

fn encode_sign_in(_: &Envelope, outcome: Outcome, context: Context<'_>) -> Option<Answer> {
    let Outcome::SignedIn(account, pair) = outcome else { return None };
    Some(signed_in(&account, &pair.access, context))
}

fn encode_return(_: &Envelope, outcome: Outcome, context: Context<'_>) -> Option<Answer> {
    let Outcome::BackFromGithub(account, pair, return_to) = outcome else { return None };
    Some(match context.delivery {
        Delivery::Body => signed_in(&account, &pair.access, context),
        Delivery::Cookie => redirect(StatusCode::SEE_OTHER, &return_to)
            .with(Delivery::Cookie.of_access(&pair.access)),
    })
}

fn encode_reissue(_: &Envelope, outcome: Outcome, context: Context<'_>) -> Option<Answer> {
    let Outcome::Reissued(account, access) = outcome else { return None };
    Some(signed_in(&account, &access, context))
}

fn encode_me(account: &Account, now: Timestamp) -> Answer {
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
