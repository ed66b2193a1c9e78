//! The admin API below `/api/admin`: every operation of [`crate::admin`] but imports,
//! as a table of methods and paths.

use std::net::IpAddr;
use std::str::FromStr;

use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::admin::record::{Record, Registering, State};
use crate::admin::{Hidden, Invitation, NewKey, NewUser, Owner, Page, Reply, Request, Span, Who};
use crate::auth::api_key::{DEFAULT_OVERLAP, MAX_OVERLAP};
use crate::auth::time::Timestamp;

use super::body::{coded_refusal, json, none};
use super::notation::{parse_id, parse_time};
use super::{
    Admission, Answer, Attempt, ClientError, Command, Contract, DecodeError, Dialect, Endpoint,
    Input, Operation, Outcome, Verb,
};

const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 200;

type Decoded = Result<Request, DecodeError>;
type Decode = fn(&Input<'_>) -> Decoded;

/// Every endpoint, and how a request to it is read.
const TABLE: &[(Verb, &str, Decode)] = &[
    (Verb::Get, "/users", |input| {
        let (page, []) = list(input, [])?;
        Ok(Request::ListUsers { page })
    }),
    (Verb::Post, "/users", |input| {
        let NewUserBody { username, email, password, roles, full_name, first_name, last_name } =
            object(input)?;
        Ok(Request::AddUser(NewUser {
            name: username,
            email,
            password: Hidden(password),
            roles: roles.unwrap_or_default(),
            full_name,
            first_name,
            last_name,
        }))
    }),
    (Verb::Get, "/users/{id}", |input| bare(input, Request::ShowUser { user: user(input, 0) })),
    (Verb::Patch, "/users/{id}", |input| {
        let UserChangeBody { roles, state, email_verified } = object(input)?;
        Ok(Request::ChangeUser { user: user(input, 0), roles, state, email_verified })
    }),
    (Verb::Delete, "/users/{id}", |input| {
        bare(input, Request::RemoveUser { user: user(input, 0) })
    }),
    (Verb::Put, "/users/{id}/password", |input| {
        let PasswordBody { password } = object(input)?;
        Ok(Request::SetPassword { user: user(input, 0), password: Hidden(password) })
    }),
    (Verb::Get, "/users/{id}/sessions", |input| {
        let (page, []) = list(input, [])?;
        Ok(Request::ListSessions { user: Some(user(input, 0)), page })
    }),
    (Verb::Delete, "/users/{id}/sessions", |input| {
        bare(input, Request::EndSessions { user: user(input, 0) })
    }),
    (Verb::Post, "/users/{id}/reset-link", |input| {
        let mail = if none(input.body).is_ok() { false } else { object::<MailBody>(input)?.mail };
        Ok(Request::MakeResetLink { user: user(input, 0), mail })
    }),
    (Verb::Post, "/invitations", |input| {
        let InvitationBody { email, username, roles, mail } = object(input)?;
        let roles = roles.unwrap_or_default();
        Ok(Request::InviteUser(Invitation { email, name: username, roles, mail }))
    }),
    (Verb::Get, "/sessions", |input| {
        let (page, [user]) = list(input, ["user"])?;
        Ok(Request::ListSessions { user: user.as_deref().map(who), page })
    }),
    (Verb::Delete, "/sessions", |input| {
        // Else the id of one that a caller has forgotten would end all.
        match only(input, "all")?.as_str() {
            "true" => Ok(Request::EndAllSessions { after: None, limit: None }),
            _ => Err(DecodeError::Malformed("The query's all must be true".to_owned())),
        }
    }),
    (Verb::Delete, "/sessions/{id}", |input| bare(input, Request::EndSession { id: id(input, 0) })),
    (Verb::Get, "/keys", |input| {
        let (page, [owner, server]) = list(input, ["owner", "server"])?;
        let (owner, server) = (owner.as_deref().map(who), server.as_deref().map(any_id));
        Ok(Request::ListKeys { owner, server, page })
    }),
    (Verb::Post, "/keys", |input| {
        let NewKeyBody { owner, name, server, scopes, expires } = object(input)?;
        let expires = expires.map(|text| time(&text)).transpose()?.map(|at| at.0);
        Ok(Request::CreateKey(NewKey {
            owner: who(&owner),
            name: name.unwrap_or_default(),
            server: server.as_deref().map(any_id),
            scopes: scopes.unwrap_or_default(),
            expires,
        }))
    }),
    (Verb::Delete, "/keys", |input| Ok(Request::RevokeKeys { owner: who(&only(input, "owner")?) })),
    (Verb::Get, "/keys/{id}", |input| bare(input, Request::ShowKey { id: id(input, 0) })),
    (Verb::Delete, "/keys/{id}", |input| bare(input, Request::RevokeKey { id: id(input, 0) })),
    (Verb::Post, "/keys/{id}/rotate", |input| {
        Ok(Request::RotateKey { id: id(input, 0), overlap: overlap(input)? })
    }),
    (Verb::Get, "/servers", |input| {
        let (page, []) = list(input, [])?;
        Ok(Request::ListServers { page })
    }),
    (Verb::Post, "/servers", |input| {
        let NewServerBody { name, owner } = object(input)?;
        Ok(Request::AddServer { name, owner: owner.as_deref().map(who) })
    }),
    (Verb::Get, "/servers/{id}", |input| bare(input, Request::ShowServer { id: id(input, 0) })),
    (Verb::Patch, "/servers/{id}", |input| {
        let ServerChangeBody { name, owner } = object(input)?;
        Ok(Request::ChangeServer { id: id(input, 0), name, owner })
    }),
    (Verb::Delete, "/servers/{id}", |input| {
        bare(input, Request::RemoveServer { id: id(input, 0) })
    }),
    (Verb::Get, "/workspaces", |input| {
        let (page, []) = list(input, [])?;
        Ok(Request::ListWorkspaces { page })
    }),
    (Verb::Post, "/workspaces", |input| {
        let NameBody { name } = object(input)?;
        Ok(Request::AddWorkspace { name })
    }),
    (Verb::Get, "/workspaces/{id}", |input| {
        bare(input, Request::ShowWorkspace { id: id(input, 0) })
    }),
    (Verb::Patch, "/workspaces/{id}", |input| {
        let NameBody { name } = object(input)?;
        Ok(Request::RenameWorkspace { id: id(input, 0), name })
    }),
    (Verb::Delete, "/workspaces/{id}", |input| {
        bare(input, Request::RemoveWorkspace { id: id(input, 0) })
    }),
    (Verb::Get, "/workspaces/{id}/members", |input| {
        let (page, []) = list(input, [])?;
        Ok(Request::ListMembers { workspace: id(input, 0), page })
    }),
    (Verb::Put, "/workspaces/{id}/members/{user}", |input| {
        let MemberBody { role } = object(input)?;
        Ok(Request::SetMember { workspace: id(input, 0), user: user(input, 1), role })
    }),
    (Verb::Delete, "/workspaces/{id}/members/{user}", |input| {
        bare(input, Request::RemoveMember { workspace: id(input, 0), user: user(input, 1) })
    }),
    (Verb::Get, "/lockouts", |input| {
        let (page, []) = list(input, [])?;
        Ok(Request::ListLockouts { page })
    }),
    (Verb::Delete, "/lockouts/{address}", |input| {
        let address: IpAddr = parameter(input, 0)
            .parse()
            .map_err(|_| DecodeError::Malformed("The path must end with an address".to_owned()))?;
        bare(input, Request::ClearLockout { address })
    }),
    (Verb::Get, "/registration", |input| bare(input, Request::ShowRegistration)),
    (Verb::Put, "/registration", |input| {
        let RegistrationBody { state } = object(input)?;
        Ok(Request::SetRegistration { state })
    }),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUserBody {
    username: String,
    #[serde(default)]
    email: Option<String>,
    password: String,
    #[serde(default)]
    roles: Option<Vec<String>>,
    #[serde(default)]
    full_name: Option<String>,
    #[serde(default)]
    first_name: Option<String>,
    #[serde(default)]
    last_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserChangeBody {
    #[serde(default)]
    roles: Option<Vec<String>>,
    #[serde(default)]
    state: Option<State>,
    #[serde(default)]
    email_verified: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailBody {
    #[serde(default)]
    mail: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InvitationBody {
    email: String,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    roles: Option<Vec<String>>,
    #[serde(default)]
    mail: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKeyBody {
    owner: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    server: Option<String>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    expires: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    #[serde(default)]
    overlap_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewServerBody {
    name: String,
    #[serde(default)]
    owner: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerChangeBody {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, deserialize_with = "new_owner")]
    owner: Owner,
}

/// `null` is a word of its own here: nobody.
fn new_owner<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Owner, D::Error> {
    let owner = Option::<String>::deserialize(deserializer)?;
    Ok(owner.map_or(Owner::Nobody, |owner| Owner::User(who(&owner))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameBody {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberBody {
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistrationBody {
    state: Registering,
}

fn object<'a, T: Deserialize<'a>>(input: &Input<'a>) -> Result<T, DecodeError> {
    json(input.content_type, input.body)
}

/// What takes no body.
fn bare(input: &Input<'_>, request: Request) -> Decoded {
    none(input.body).map(|()| request)
}

fn overlap(input: &Input<'_>) -> Result<u64, DecodeError> {
    if none(input.body).is_ok() {
        return Ok(DEFAULT_OVERLAP.0);
    }
    let RotateBody { overlap_seconds } = object(input)?;
    match overlap_seconds.unwrap_or(DEFAULT_OVERLAP.0) {
        length if length <= MAX_OVERLAP.0 => Ok(length),
        _ => Err(DecodeError::Malformed(format!(
            "overlap_seconds must be at most {}",
            MAX_OVERLAP.0
        ))),
    }
}

fn time(text: &str) -> Result<Timestamp, DecodeError> {
    let not_a_time = || DecodeError::Malformed("expires must be a time of RFC 3339".to_owned());
    parse_time(text).ok_or_else(not_a_time)
}

fn parameter<'a>(input: &Input<'a>, index: usize) -> &'a str {
    input.parameters.get(index).map_or("", String::as_str)
}

fn id(input: &Input<'_>, index: usize) -> Uuid {
    any_id(parameter(input, index))
}

fn user(input: &Input<'_>, index: usize) -> Who {
    who(parameter(input, index))
}

fn who(text: &str) -> Who {
    Who::Id(any_id(text))
}

/// An id in any form; what is none of them is the id that nothing has.
fn any_id(text: &str) -> Uuid {
    parse_id(text).unwrap_or_default()
}

/// The one parameter of the query, where there is no body.
fn only(input: &Input<'_>, name: &str) -> Result<String, DecodeError> {
    none(input.body)?;
    let mut pairs = form_urlencoded::parse(input.query.unwrap_or_default().as_bytes());
    match (pairs.next(), pairs.next()) {
        (Some((found, value)), None) if found == name => Ok(value.into_owned()),
        _ => Err(DecodeError::Malformed(format!("The query must be {name} alone"))),
    }
}

/// The part of a list that is asked for, and what the list is narrowed to.
fn list<T: FromStr, const N: usize>(
    input: &Input<'_>,
    filters: [&str; N],
) -> Result<(Span<T>, [Option<String>; N]), DecodeError> {
    none(input.body)?;
    let wrong = |name: &str| DecodeError::Malformed(format!("The query's {name} is not valid"));
    let (mut after, mut limit, mut found) = (None, None, [const { None }; N]);
    for (name, value) in form_urlencoded::parse(input.query.unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "cursor" if after.is_none() => {
                after = Some(value.parse().map_err(|_| wrong("cursor"))?);
            }
            "limit" if limit.is_none() => {
                let number = value.parse().ok().filter(|number| (1..=MAX_PAGE).contains(number));
                limit = Some(number.ok_or_else(|| wrong("limit"))?);
            }
            name => match filters.iter().position(|filter| *filter == name) {
                Some(index) if found[index].is_none() => found[index] = Some(value.into_owned()),
                _ => return Err(wrong("set of parameters")),
            },
        }
    }
    Ok((Span { after, limit: limit.unwrap_or(DEFAULT_PAGE) }, found))
}

#[derive(Serialize)]
struct LinkAnswer {
    user: Uuid,
    link: String,
    expires: String,
    mailed: bool,
}

#[derive(Serialize)]
struct PageAnswer {
    items: Vec<Value>,
    next: Option<String>,
}

pub struct Admin {
    prefix: String,
    endpoints: Vec<Endpoint>,
}

impl Admin {
    #[must_use]
    pub fn new(prefix: String) -> Self {
        let endpoint = |(row, (method, path, _)): (usize, &(Verb, &'static str, Decode))| {
            let operation = Operation::Administer(row);
            let (admission, attempt) = (Admission::Administrator, Attempt::None);
            Endpoint { method: *method, path, fixed: false, operation, admission, attempt }
        };
        Self { prefix, endpoints: TABLE.iter().enumerate().map(endpoint).collect() }
    }
}

impl Dialect for Admin {
    fn contract(&self) -> Contract {
        Contract::Admin
    }

    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn decode(&self, operation: Operation, input: &Input<'_>) -> Result<Command, DecodeError> {
        let Operation::Administer(row) = operation else {
            return Err(DecodeError::not_of_this_contract());
        };
        let (_, _, decode) = TABLE.get(row).ok_or_else(DecodeError::not_of_this_contract)?;
        decode(input).map(Command::Administer)
    }

    fn encode(&self, outcome: Outcome, _now: Timestamp) -> Answer {
        let Outcome::Administered(reply) = outcome else {
            return Answer::nothing();
        };
        match reply {
            Reply::Made(record) => Answer::json(StatusCode::CREATED, &record.members()),
            Reply::Found(record) | Reply::Changed { user: record, .. } => {
                Answer::ok(&record.members())
            }
            Reply::Page(Page { items, next, .. }) => {
                let items = items.iter().map(Record::members).collect();
                Answer::ok(&PageAnswer { items, next })
            }
            Reply::NewKey { key, text } => {
                let mut members = Record::Key(key).members();
                members["api_key"] = text.0.into();
                Answer::json(StatusCode::CREATED, &members)
            }
            Reply::SessionsEnded { users, .. } => {
                Answer::ok(&serde_json::json!({ "users": users }))
            }
            Reply::KeysRevoked { keys } => Answer::ok(&serde_json::json!({ "keys": keys })),
            Reply::NewLink { user, url, expires, mailed } => {
                let user = user.id;
                let link = LinkAnswer { user, link: url.0, expires, mailed };
                Answer::json(StatusCode::CREATED, &link)
            }
            Reply::Done | Reply::Imported { .. } | Reply::Verified { .. } => {
                Answer { status: StatusCode::NO_CONTENT, ..Answer::nothing() }
            }
        }
    }

    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8> {
        coded_refusal(error)
    }
}

#[cfg(test)]
mod tests;
