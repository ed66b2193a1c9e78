//! What one replica tells the others: entries of the stream, in the stored forms.
//!
//! Replicas of two versions may share a database: a kind that this version does not
//! know is passed over, and members that it does not know are ignored.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::account::{Account, AccountId};
use crate::auth::api_key::{ApiKey, KeyId};
use crate::auth::error::StoreError;
use crate::auth::guessed::Guessed;
use crate::auth::register::Registering;
use crate::auth::server::{Server, ServerId};
use crate::auth::source::Source;
use crate::auth::standing::Standing;
use crate::auth::time::Timestamp;
use crate::auth::token::{SessionId, TokenId};
use crate::auth::workspace::{Workspace, WorkspaceId};
use crate::store::record::{
    Record, StoredAccount, StoredKey, StoredServer, StoredWorkspace, check_member_role, decode_as,
};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Account(StoredAccount),
    AccountGone(Uuid),
    /// A token and when it would have expired.
    Revoked(Uuid, u64),
    /// Sessions, and until when their ends are remembered.
    Ended(Vec<(Uuid, u64)>),
    /// The ends that the same entry tells are those of this account that its record
    /// tells: only who does not read them there needs to remember each.
    EndedAtOnce(Uuid),
    Key(StoredKey),
    /// A key by its digest.
    KeyGone([u8; 32]),
    /// Keys and when they were used.
    Used(Vec<(Uuid, u64)>),
    Server(StoredServer),
    ServerGone(Uuid),
    Workspace(StoredWorkspace),
    WorkspaceGone(Uuid),
    /// Workspace, account, and the role if it has one.
    Member(Uuid, Uuid, Option<String>),
    /// An address, and until when it may not try.
    LockedOut(String, u64),
    Forgiven(String),
    /// A user who is guessed at, and until when strangers do so slowly.
    Slowed(Uuid, u64),
    /// Whether registration is closed whatever configurations say.
    RegistrationClosed(bool),
}

/// What a change is about: of two about the same, the later one counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Account(Uuid),
    Key([u8; 32]),
    Server(Uuid),
    Workspace(Uuid),
    Member(Uuid, Uuid),
    Address(String),
    Registration,
}

impl Change {
    pub(crate) fn account(account: &Account) -> Self {
        Change::Account(account.to_stored())
    }

    pub(crate) fn key(key: &ApiKey) -> Self {
        Change::Key(key.to_stored())
    }

    pub(crate) fn server(server: &Server) -> Self {
        Change::Server(server.to_stored())
    }

    pub(crate) fn workspace(workspace: &Workspace) -> Self {
        Change::Workspace(workspace.to_stored())
    }

    /// `None` for what only ever adds up: its order does not matter.
    pub(crate) fn subject(&self) -> Option<Subject> {
        match self {
            Change::Account(account) => Some(Subject::Account(account.id)),
            Change::AccountGone(id) => Some(Subject::Account(*id)),
            Change::Key(key) => Some(Subject::Key(key.digest)),
            Change::KeyGone(digest) => Some(Subject::Key(*digest)),
            Change::Server(server) => Some(Subject::Server(server.id)),
            Change::ServerGone(id) => Some(Subject::Server(*id)),
            Change::Workspace(workspace) => Some(Subject::Workspace(workspace.id)),
            Change::WorkspaceGone(id) => Some(Subject::Workspace(*id)),
            Change::Member(workspace, account, _) => Some(Subject::Member(*workspace, *account)),
            Change::LockedOut(source, _) | Change::Forgiven(source) => {
                Some(Subject::Address(source.clone()))
            }
            Change::RegistrationClosed(_) => Some(Subject::Registration),
            Change::Revoked(..)
            | Change::Ended(_)
            | Change::EndedAtOnce(_)
            | Change::Used(_)
            | Change::Slowed(..) => None,
        }
    }

    /// Brings it to memory.
    ///
    /// # Errors
    /// When a value is out of its range.
    pub(crate) fn publish(self, standing: &Standing) -> Result<(), StoreError> {
        let instant = Timestamp;
        match self {
            Change::Account(stored) => standing.put_account(decode_as(stored, "account")?),
            Change::AccountGone(id) => standing.remove_account(AccountId(id)),
            Change::Revoked(token, at) => standing.revoke_token(TokenId(token), instant(at)),
            Change::Ended(sessions) => {
                let ended: Vec<_> =
                    sessions.into_iter().map(|(id, at)| (SessionId(id), instant(at))).collect();
                standing.end_sessions(&ended);
            }
            Change::EndedAtOnce(_) => {}
            Change::Key(stored) => standing.put_key(decode_as(stored, "key")?),
            Change::KeyGone(digest) => standing.remove_key(&digest),
            Change::Used(uses) => {
                let uses = uses.into_iter().map(|(key, at)| (KeyId(key), instant(at)));
                standing.hear_uses(&uses.collect());
            }
            Change::Server(stored) => standing.put_server(decode_as(stored, "server")?),
            Change::ServerGone(id) => standing.remove_server(ServerId(id)),
            Change::Workspace(stored) => standing.put_workspace(decode_as(stored, "workspace")?),
            Change::WorkspaceGone(id) => standing.remove_workspace(WorkspaceId(id)),
            Change::Member(workspace, account, role) => {
                role.as_deref().map_or(Ok(()), check_member_role)?;
                standing.put_member(WorkspaceId(workspace), AccountId(account), role.as_deref());
            }
            Change::LockedOut(source, until) => {
                standing.lock_out(parse_source(&source)?, instant(until));
            }
            Change::Slowed(user, until) => standing.slow_down(Guessed(user), instant(until)),
            Change::Forgiven(source) => standing.unlock(parse_source(&source)?),
            Change::RegistrationClosed(closed) => {
                standing.set_registration(if closed {
                    Registering::Closed
                } else {
                    Registering::Open
                });
            }
        }
        Ok(())
    }
}

pub(crate) fn parse_source(text: &str) -> Result<Source, StoreError> {
    let address = text
        .parse()
        .map_err(|_| StoreError::Damaged(format!("an address that is none: {text:?}")))?;
    Ok(Source::of(address))
}

/// Without what is told to gateways of earlier versions only.
pub(crate) fn ours(mut changes: Vec<Change>) -> Vec<Change> {
    if changes.iter().any(|change| matches!(change, Change::EndedAtOnce(_))) {
        changes.retain(|change| !matches!(change, Change::Ended(_) | Change::EndedAtOnce(_)));
    }
    changes
}

/// The changes of one entry; those of later versions are left out.
///
/// # Errors
/// When it is no list of changes.
pub(crate) fn parse(entry: &[u8]) -> Result<Vec<Change>, StoreError> {
    let damaged = |error: serde_json::Error| {
        StoreError::Damaged(format!("an entry of the stream of changes: {error}"))
    };
    let listed: Vec<serde_json::Value> = serde_json::from_slice(entry).map_err(damaged)?;
    let mut changes = Vec::with_capacity(listed.len());
    for value in listed {
        let kind = value.as_object().and_then(|object| object.keys().next().cloned());
        match serde_json::from_value(value) {
            Ok(change) => changes.push(change),
            Err(error) if is_unknown_kind(kind.as_deref()) => {
                tracing::debug!(%error, "skipping change of unknown kind");
            }
            Err(error) => return Err(damaged(error)),
        }
    }
    Ok(changes)
}

fn is_unknown_kind(kind: Option<&str>) -> bool {
    const KINDS: [&str; 17] = [
        "account",
        "account_gone",
        "revoked",
        "ended",
        "ended_at_once",
        "key",
        "key_gone",
        "used",
        "server",
        "server_gone",
        "workspace",
        "workspace_gone",
        "member",
        "locked_out",
        "forgiven",
        "slowed",
        "registration_closed",
    ];
    kind.is_some_and(|kind| !KINDS.contains(&kind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_comes_back_as_it_was_told() {
        let (id, digest) = (Uuid::from_u128(1), [7u8; 32]);
        let told = json!([
            {"account": {"id": id, "username": "ann", "roles": ["user"], "disabled": false,
                "created": 1, "version": 2}},
            {"account_gone": id},
            {"revoked": [id, 5]},
            {"ended": [[id, 5]]},
            {"ended_at_once": id},
            {"key": {"id": id, "owner": id, "name": "ci", "shown": "sk", "digest": digest,
                "scopes": [], "created": 1}},
            {"key_gone": digest},
            {"used": [[id, 5]]},
            {"server": {"id": id, "name": "s", "created": 1}},
            {"server_gone": id},
            {"workspace": {"id": id, "name": "w", "created": 1}},
            {"workspace_gone": id},
            {"member": [id, id, "admin"]},
            {"locked_out": ["192.0.2.1", 5]},
            {"forgiven": "192.0.2.1"},
            {"slowed": [id, 5]},
            {"registration_closed": true},
        ]);
        let changes = parse(told.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&changes).unwrap(), told);
        let standing = Standing::default();
        for change in changes {
            change.publish(&standing).unwrap();
        }
    }

    #[test]
    fn what_a_later_version_tells_is_passed_over_and_nonsense_is_not() {
        assert_eq!(parse(br#"[{"later": [1]}, {"forgiven": "192.0.2.1"}]"#).unwrap().len(), 1);
        for nonsense in ["", "{}", "[1]", "[{}]", r#"[{"revoked": 1}]"#, r#"[{"account": {}}]"#] {
            assert!(parse(nonsense.as_bytes()).is_err(), "{nonsense}");
        }
        let odd = parse(br#"[{"locked_out": ["nowhere", 1]}]"#).unwrap();
        assert!(odd.into_iter().all(|change| change.publish(&Standing::default()).is_err()));
    }

    proptest! {
        #[test]
        fn no_entry_is_a_surprise(
            kind in "(account|account_gone|revoked|ended|key|key_gone|used|member|forgiven|[a-z]{1,5})",
            value in r#"(null|[0-9]{1,20}|"[ -~]{0,12}"|\[[0-9",\[\]]{0,12}\]|\{"id":"[0-9a-f-]{36}"\})"#,
        ) {
            let entry = format!("[{{\"{kind}\":{value}}}]");
            if let Ok(changes) = parse(entry.as_bytes()) {
                for change in changes {
                    let _ = change.publish(&Standing::default());
                }
            }
        }
    }
}
