//! The admin API below `/api/admin`: every operation of [`crate::admin`] but imports,
//! as a table of methods and paths.

use std::net::IpAddr;
use std::str::FromStr;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::admin::record::Record;
use crate::admin::{Hidden, Invitation, NewKey, NewUser, Owner, Page, Reply, Request, Span, Who};
use crate::auth::api_key::{DEFAULT_OVERLAP, MAX_OVERLAP};
use crate::auth::time::Timestamp;

use super::body::{Given, Members, coded_refusal, none};
use super::notation::{parse_id, parse_time};
use super::row::NotEncoded;
use super::{
    Answer, Attempt, ClientError, Command, Context, Contract, DecodeError, Dialect, Endpoint,
    EndpointAccess, Input, Operation, Outcome, Verb,
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
        let read = |body: &mut Members<'_>| {
            Ok(NewUser {
                name: body.text("username")?,
                email: body.optional_text("email")?,
                password: Hidden(body.text("password")?),
                roles: body.texts("roles")?.unwrap_or_default(),
                full_name: body.optional_text("full_name")?,
                first_name: body.optional_text("first_name")?,
                last_name: body.optional_text("last_name")?,
            })
        };
        object(input, read).map(Request::AddUser)
    }),
    (Verb::Get, "/users/{id}", |input| bare(input, Request::ShowUser { user: user(input, 0) })),
    (Verb::Patch, "/users/{id}", |input| {
        object(input, |body| {
            Ok(Request::ChangeUser {
                user: user(input, 0),
                roles: body.texts("roles")?,
                state: body.optional("state", "\"enabled\" or \"disabled\"")?,
                email_verified: body.optional("email_verified", "true or false")?,
            })
        })
    }),
    (Verb::Delete, "/users/{id}", |input| {
        bare(input, Request::RemoveUser { user: user(input, 0) })
    }),
    (Verb::Put, "/users/{id}/password", |input| {
        let password = object(input, |body| body.text("password"))?;
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
        let mail = none(input.body).is_err() && object(input, |body| body.flag("mail"))?;
        Ok(Request::MakeResetLink { user: user(input, 0), mail })
    }),
    (Verb::Post, "/invitations", |input| {
        let read = |body: &mut Members<'_>| {
            Ok(Invitation {
                email: body.text("email")?,
                name: body.optional_text("username")?,
                roles: body.texts("roles")?.unwrap_or_default(),
                mail: body.flag("mail")?,
            })
        };
        object(input, read).map(Request::InviteUser)
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
        let read = |body: &mut Members<'_>| {
            let expires = body.optional_text("expires")?;
            Ok(NewKey {
                owner: who(&body.text("owner")?),
                name: body.optional_text("name")?.unwrap_or_default(),
                server: body.optional_text("server")?.as_deref().map(any_id),
                scopes: body.texts("scopes")?.unwrap_or_default(),
                expires: expires.map(|text| time(&text)).transpose()?.map(|at| at.0),
            })
        };
        object(input, read).map(Request::CreateKey)
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
        object(input, |body| {
            let owner = body.optional_text("owner")?;
            Ok(Request::AddServer { name: body.text("name")?, owner: owner.as_deref().map(who) })
        })
    }),
    (Verb::Get, "/servers/{id}", |input| bare(input, Request::ShowServer { id: id(input, 0) })),
    (Verb::Patch, "/servers/{id}", |input| {
        object(input, |body| {
            let (name, owner) = (body.optional_text("name")?, new_owner(body)?);
            Ok(Request::ChangeServer { id: id(input, 0), name, owner })
        })
    }),
    (Verb::Delete, "/servers/{id}", |input| {
        bare(input, Request::RemoveServer { id: id(input, 0) })
    }),
    (Verb::Get, "/workspaces", |input| {
        let (page, []) = list(input, [])?;
        Ok(Request::ListWorkspaces { page })
    }),
    (Verb::Post, "/workspaces", |input| {
        Ok(Request::AddWorkspace { name: object(input, |body| body.text("name"))? })
    }),
    (Verb::Get, "/workspaces/{id}", |input| {
        bare(input, Request::ShowWorkspace { id: id(input, 0) })
    }),
    (Verb::Patch, "/workspaces/{id}", |input| {
        let name = object(input, |body| body.text("name"))?;
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
        let role = object(input, |body| body.text("role"))?;
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
        let kind = "\"open\" or \"closed\"";
        let state = object(input, |body| body.required("state", kind))?;
        Ok(Request::SetRegistration { state })
    }),
];

/// Reads all members of a body. One that this request does not take is refused: an
/// operator means something by it.
fn object<T>(
    input: &Input<'_>,
    read: impl FnOnce(&mut Members<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut body = Members::read(input.content_type, input.body)?;
    let found = read(&mut body)?;
    body.finish().map(|()| found)
}

/// `null` is a word of its own here: nobody.
fn new_owner(body: &mut Members<'_>) -> Result<Owner, DecodeError> {
    Ok(match body.nullable::<String>("owner", "the id of a user, or null")? {
        Given::Absent => Owner::Same,
        Given::Null => Owner::Nobody,
        Given::Value(owner) => Owner::User(who(&owner)),
    })
}

/// What takes no body.
fn bare(input: &Input<'_>, request: Request) -> Decoded {
    none(input.body).map(|()| request)
}

fn overlap(input: &Input<'_>) -> Result<u64, DecodeError> {
    if none(input.body).is_ok() {
        return Ok(DEFAULT_OVERLAP.0);
    }
    let wanted = object(input, |body| body.number("overlap_seconds"))?;
    match wanted.unwrap_or(DEFAULT_OVERLAP.0) {
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
            let (access, attempt) = (EndpointAccess::Administrator, Attempt::None);
            Endpoint { method: *method, path, fixed: false, operation, access, attempt }
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

    fn encode(&self, outcome: Outcome, context: Context<'_>) -> Result<Answer, NotEncoded> {
        let Outcome::Administered(reply) = outcome else {
            let operation = context.operation;
            return Err(NotEncoded { contract: self.contract(), operation });
        };
        Ok(match reply {
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
                Answer::empty(StatusCode::NO_CONTENT)
            }
        })
    }

    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8> {
        coded_refusal(error)
    }
}

#[cfg(test)]
mod tests;
