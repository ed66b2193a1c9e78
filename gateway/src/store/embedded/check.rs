//! Whether a store is whole: every record reads, and what one record says of
//! another is true.

use std::collections::HashSet;
use std::fmt::Display;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use uuid::Uuid;

use crate::auth::account::{Account, AccountId};
use crate::auth::api_key::ApiKey;
use crate::auth::error::StoreError;
use crate::auth::server::Server;
use crate::auth::session::Session;
use crate::auth::ticket::Ticket;
use crate::auth::workspace::Workspace;
use crate::store::record::{Record, check_member_role};

use super::schema::{
    ACCOUNT_SESSIONS, ACCOUNTS, CLEARING, ENDED, EXPIRIES, Expiring, Id, KEY_USES, KEYS, MEMBERS,
    NAMES, REVOKED, SERVERS, SESSIONS, TICKETS, WORKSPACES, named,
};

/// What a store holds, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Checked {
    pub accounts: u64,
    pub sessions: u64,
    pub keys: u64,
    pub tickets: u64,
    /// Tokens and sessions that are refused before their time.
    pub revocations: u64,
    /// A sentence each; empty for a store that is whole.
    pub faults: Vec<String>,
}

const SESSION: u8 = Expiring::Session as u8;
const REVOCATION: u8 = Expiring::Revocation as u8;
const ENDING: u8 = Expiring::Ending as u8;
const TICKET: u8 = Expiring::Ticket as u8;
const FORMER: u8 = Expiring::Former as u8;

/// Faults that are told; a store with more is beyond reading them.
const MAX_FAULTS: usize = 100;

pub(super) fn check(database: &Database) -> Result<Checked, StoreError> {
    let txn = database.begin_read()?;
    let mut checked = Checked {
        accounts: txn.open_table(ACCOUNTS)?.len()?,
        sessions: txn.open_table(SESSIONS)?.len()?,
        keys: txn.open_table(KEYS)?.len()?,
        tickets: txn.open_table(TICKETS)?.len()?,
        revocations: txn.open_table(REVOKED)?.len()? + txn.open_table(ENDED)?.len()?,
        faults: Vec::new(),
    };
    accounts(&txn, &mut checked)?;
    sessions(&txn, &mut checked)?;
    keys(&txn, &mut checked)?;
    things(&txn, &mut checked)?;
    expiries(&txn, &mut checked)?;
    Ok(checked)
}

impl Checked {
    fn require(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds && self.faults.len() < MAX_FAULTS {
            self.faults.push(fault());
        }
    }

    /// A record that reads and lies under its own id.
    fn read<R: Record>(
        &mut self,
        stored: &[u8],
        what: &str,
        in_place: impl Fn(&R) -> bool,
    ) -> Option<R> {
        match R::decode(stored, what) {
            Ok(record) => {
                self.require(in_place(&record), || format!("{what} lies under another id"));
                Some(record)
            }
            Err(error) => {
                self.require(false, || error.to_string());
                None
            }
        }
    }
}

fn accounts(txn: &ReadTransaction, checked: &mut Checked) -> Result<(), StoreError> {
    let (accounts, names) = (txn.open_table(ACCOUNTS)?, txn.open_table(NAMES)?);
    let mut belonging = HashSet::new();
    for entry in accounts.iter()? {
        let (id, stored) = entry?;
        let (id, what) = (id.value(), named("account", id.value()));
        let in_place = |account: &Account| account.id.0.as_bytes() == &id;
        let Some(account) = checked.read::<Account>(stored.value(), &what, in_place) else {
            continue;
        };
        for name in account.names() {
            let found = names.get(name.as_str())?.is_some_and(|owner| owner.value() == &id);
            checked.require(found, || format!("{what} is not found by its name {name:?}"));
            belonging.insert(name);
        }
    }
    for entry in names.iter()? {
        let name = entry?.0;
        let name = name.value();
        checked.require(belonging.contains(name), || format!("the name {name:?} is nobody's"));
    }
    Ok(())
}

fn sessions(txn: &ReadTransaction, checked: &mut Checked) -> Result<(), StoreError> {
    let (sessions, index) = (txn.open_table(SESSIONS)?, txn.open_table(ACCOUNT_SESSIONS)?);
    let (accounts, ended) = (txn.open_table(ACCOUNTS)?, txn.open_table(ENDED)?);
    // Absent where none has ended so.
    let clearing = txn.open_table(CLEARING).ok();
    for entry in sessions.iter()? {
        let (id, stored) = entry?;
        let (id, what) = (id.value(), named("session", id.value()));
        let in_place = |session: &Session| session.id.0.as_bytes() == &id;
        let Some(session) = checked.read::<Session>(stored.value(), &what, in_place) else {
            continue;
        };
        let owner = *session.account.0.as_bytes();
        let going = match &clearing {
            Some(clearing) => clearing.get(owner)?.is_some(),
            None => false,
        };
        let owned = accounts.get(owner)?.is_some();
        checked.require(owned || going, || format!("{what} is of no account"));
        let listed = index.get((owner, id))?.is_some();
        checked.require(listed, || format!("{what} would not end with its account's others"));
        let over = ended.get(id)?.is_some();
        checked.require(!over, || format!("{what} has ended and can be renewed"));
    }
    for entry in index.iter()? {
        let (account, id) = entry?.0.value();
        let there = sessions.get(id)?.is_some();
        checked.require(there, || {
            format!("{} lists {} in vain", named("account", account), named("session", id))
        });
    }
    Ok(())
}

fn keys(txn: &ReadTransaction, checked: &mut Checked) -> Result<(), StoreError> {
    let accounts = txn.open_table(ACCOUNTS)?;
    let (keys, servers) = (txn.open_table(KEYS)?, txn.open_table(SERVERS)?);
    let mut digests = HashSet::new();
    for entry in keys.iter()? {
        let (id, stored) = entry?;
        let (id, what) = (id.value(), named("key", id.value()));
        let in_place = |key: &ApiKey| key.id.0.as_bytes() == &id;
        let Some(key) = checked.read::<ApiKey>(stored.value(), &what, in_place) else { continue };
        let owned = accounts.get(*key.owner.0.as_bytes())?.is_some();
        checked.require(owned, || format!("{what} is of no account"));
        checked.require(digests.insert(key.digest), || format!("{what} is the same as another"));
        if let Some(server) = key.server {
            let bound = servers.get(*server.0.as_bytes())?.is_some();
            checked.require(bound, || format!("{what} is of no server"));
        }
    }
    for entry in txn.open_table(KEY_USES)?.iter()? {
        let id = entry?.0.value();
        let there = keys.get(id)?.is_some();
        checked.require(there, || format!("{} was used and does not exist", named("key", id)));
    }
    Ok(())
}

fn things(txn: &ReadTransaction, checked: &mut Checked) -> Result<(), StoreError> {
    let (accounts, workspaces) = (txn.open_table(ACCOUNTS)?, txn.open_table(WORKSPACES)?);
    let is_account = |id: AccountId| Ok::<_, StoreError>(accounts.get(*id.0.as_bytes())?.is_some());
    for entry in txn.open_table(SERVERS)?.iter()? {
        let (id, stored) = entry?;
        let (id, what) = (id.value(), named("server", id.value()));
        let in_place = |server: &Server| server.id.0.as_bytes() == &id;
        let server = checked.read::<Server>(stored.value(), &what, in_place);
        if let Some(owner) = server.and_then(|server| server.owner) {
            let owned = is_account(owner)?;
            checked.require(owned, || format!("{what} is of no account"));
        }
    }
    for entry in workspaces.iter()? {
        let (id, stored) = entry?;
        let (id, what) = (id.value(), named("workspace", id.value()));
        let in_place = |workspace: &Workspace| workspace.id.0.as_bytes() == &id;
        checked.read::<Workspace>(stored.value(), &what, in_place);
    }
    for entry in txn.open_table(MEMBERS)?.iter()? {
        let (key, role) = entry?;
        let (workspace, account) = key.value();
        checked.require(check_member_role(role.value()).is_ok(), || {
            format!("{} has a role that is none", named("the member account", account))
        });
        let whole = workspaces.get(workspace)?.is_some() && accounts.get(account)?.is_some();
        checked.require(whole, || {
            format!("{} is in no workspace", named("the member account", account))
        });
    }
    Ok(())
}

/// Everything that ends has a note of when, and is not removed before.
fn expiries(txn: &ReadTransaction, checked: &mut Checked) -> Result<(), StoreError> {
    let (revoked, ended) = (txn.open_table(REVOKED)?, txn.open_table(ENDED)?);
    let (sessions, tickets) = (txn.open_table(SESSIONS)?, txn.open_table(TICKETS)?);
    let notes = txn.open_table(EXPIRIES)?;
    let mut noted: HashSet<(u8, Id)> = HashSet::new();
    for entry in notes.iter()? {
        let key = entry?.0;
        let (at, kind, id) = key.value();
        if let Ok(id) = Id::try_from(id) {
            noted.insert((kind, id));
        }
        // Of records that have gone before their time, notes remain.
        let until = match (kind, Id::try_from(id)) {
            (REVOCATION, Ok(token)) => revoked.get(token)?,
            (ENDING, Ok(session)) => ended.get(session)?,
            _ => None,
        };
        let until = until.map(|until| until.value());
        checked.require(until.is_none_or(|until| until <= at), || {
            format!("a revocation would be forgotten at {at}, before its time")
        });
    }
    let mut require_note = |noted: bool, what: &dyn Display| {
        checked.require(noted, || format!("{what} would never be removed"));
    };
    for entry in revoked.iter()? {
        let id = entry?.0.value();
        let what = format!("revocation of token {}", Uuid::from_bytes(id));
        require_note(noted.contains(&(REVOCATION, id)), &what);
    }
    for entry in ended.iter()? {
        let id = entry?.0.value();
        let what = format!("end of session {}", Uuid::from_bytes(id));
        require_note(noted.contains(&(ENDING, id)), &what);
    }
    let accounts = txn.open_table(ACCOUNTS)?;
    for entry in accounts.iter()? {
        let (id, stored) = entry?;
        // One that does not read is known as damaged already.
        let account = Account::decode(stored.value(), "account").ok();
        if let Some(former) = account.and_then(|account| account.former) {
            let what = format!("the former password of {}", named("account", id.value()));
            let note = (former.ends.0, FORMER, &id.value()[..]);
            require_note(notes.get(note)?.is_some(), &what);
        }
    }
    for entry in tickets.iter()? {
        let (digest, stored) = entry?;
        let Some(ticket) = checked.read::<Ticket>(stored.value(), "ticket", |_| true) else {
            continue;
        };
        let owned = accounts.get(*ticket.account.0.as_bytes())?.is_some();
        checked.require(owned, || "a ticket is of no account".to_owned());
        let found = notes.get((ticket.expires.0, TICKET, digest.value().as_slice()))?;
        checked.require(found.is_some(), || "a ticket would never be removed".to_owned());
    }
    for entry in sessions.iter()? {
        let id = entry?.0.value();
        checked.require(noted.contains(&(SESSION, id)), || {
            format!("{} would never be removed", named("session", id))
        });
    }
    Ok(())
}
