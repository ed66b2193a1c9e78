//! What pages show that is not the core's, and rows of their tables.

use std::net::IpAddr;

use crate::admin::browser;
use crate::admin::record::{Key, Record, Server, Session};
use crate::admin::{Page as Listed, Reply};
use crate::auth::Core;
use crate::auth::account::AccountId;
use crate::auth::api_key::KeyId;
use crate::auth::server::ServerId;
use crate::auth::time::Timestamp;
use crate::auth::token::SessionId;
use crate::dialect::notation::seconds;

/// What a gateway knows beside its core.
pub trait Observed: Send + Sync {
    /// The agents of a server that are connected here, the longest first.
    fn agents(&self, server: ServerId) -> Vec<ConnectedAgent>;

    /// Requests that were refused lately, the newest first.
    fn refusals(&self, most: usize) -> Vec<RefusedRequest>;
}

/// An agent's open connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedAgent {
    pub address: IpAddr,
    pub key: KeyId,
    pub since: Timestamp,
}

/// A refused request as its access line tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusedRequest {
    pub at: String,
    pub status: String,
    pub reason: String,
    pub cause: String,
    pub remedy: String,
    pub detail: String,
    pub method: String,
    pub path: String,
    pub route: String,
    pub user: String,
    pub client: String,
    pub request_id: String,
}

pub(super) struct SessionRow {
    pub record: Session,
    /// In a few words; what it says of itself stands in the record.
    pub browser: Option<String>,
    pub user: String,
    pub current: bool,
}

pub(super) struct KeyRow {
    pub record: Key,
    pub server: String,
    pub owner: String,
    /// Whether who looks may rotate and revoke it.
    pub manageable: bool,
}

pub(super) struct ServerRow {
    pub record: Server,
    pub owner: String,
    pub agents: usize,
}

pub(super) struct AgentRow {
    pub address: IpAddr,
    pub key: String,
    pub since: String,
}

pub(super) fn session_rows(listed: Listed, current: Option<SessionId>) -> Vec<SessionRow> {
    let names = listed.names;
    let rows = listed.items.into_iter().filter_map(|record| match record {
        Record::Session(record) => Some(SessionRow {
            browser: record.user_agent.as_deref().map(browser::read),
            user: names.get(&record.user_id).cloned().unwrap_or_default(),
            current: current.is_some_and(|current| current.0 == record.id),
            record,
        }),
        _ => None,
    });
    rows.collect()
}

pub(super) fn key_row(core: &Core, record: Key, looking: Option<AccountId>) -> KeyRow {
    let standing = core.standing();
    let server = record.server.and_then(|id| standing.server(ServerId(id)));
    let owner = standing.account(AccountId(record.owner));
    KeyRow {
        server: server.map_or_else(String::new, |server| server.name.clone()),
        owner: owner.map_or_else(String::new, |owner| owner.username.as_str().to_owned()),
        manageable: looking.is_none_or(|looking| looking.0 == record.owner),
        record,
    }
}

pub(super) fn agent_rows(core: &Core, agents: Vec<ConnectedAgent>) -> Vec<AgentRow> {
    let row = |agent: ConnectedAgent| {
        let known = core.standing().key_by_id(agent.key);
        let shown = known.map(|key| match key.name.as_str() {
            "" => key.shown.clone(),
            name => format!("{name} ({})", key.shown),
        });
        AgentRow {
            address: agent.address,
            key: shown.unwrap_or_else(|| agent.key.0.to_string()),
            since: seconds(agent.since),
        }
    };
    agents.into_iter().map(row).collect()
}

/// The id of what was made.
pub(super) fn made_id(reply: &Reply) -> String {
    match reply {
        Reply::Made(Record::Server(server)) => server.id.to_string(),
        _ => String::new(),
    }
}
