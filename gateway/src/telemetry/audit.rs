//! One line for everything that changes who may come in: sign-ins, passwords,
//! keys, users, lockouts. The members are an interface, like the access log's.
//!
//! Who tried is named only when there is such a user: what was typed into the
//! name field by mistake may be a password.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::auth::account::Account;
use crate::auth::text::is_hidden;
use crate::auth::time::Timestamp;

use super::access_log::{TEXT_COLUMNS, shorten};
use super::log::{Colors, Style, begin_text, escape, rfc3339};

/// What was done or tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Register,
    Login,
    Refresh,
    Logout,
    PasswordChange,
    WsToken,
    WorkspaceSwitch,
    /// A GitHub account signs in to one that was there before.
    GithubLink,
    /// The same, and what that one was opened with before has ended.
    GithubTakeover,
    /// An address failed too often and may not try for a while.
    Lockout,
    /// Too many attempts on one user failed; strangers' go slowly for a while.
    UserSlowdown,
    UserAdd,
    UserPassword,
    UserEnable,
    UserDisable,
    UserRoles,
    /// An administrator vouches for an address, or no longer.
    UserVerify,
    UserUnverify,
    UserDelete,
    /// An account was made for somebody who is to choose its password.
    UserInvite,
    /// A link was made that lets a new password be set.
    ResetLink,
    /// A link was followed.
    LinkFollow,
    /// One session, or all of an account or of all.
    SessionEnd,
    /// The oldest sign-in of an account, for a new one: there were as many as may be.
    SessionSuperseded,
    KeyCreate,
    KeyRotate,
    KeyRevoke,
    ServerAdd,
    ServerChange,
    ServerDelete,
    WorkspaceAdd,
    WorkspaceChange,
    WorkspaceDelete,
    MemberSet,
    MemberDelete,
    /// An address may try again.
    LockoutClear,
    /// Nobody registers, whatever configurations say; or that was taken back.
    RegistrationClose,
    RegistrationOpen,
    /// An account has as much open as it may.
    AccountBound,
    /// Every record was read out, hashes of secrets among them.
    StoreExport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Success,
    /// The caller's fault; nothing was changed.
    Refused,
    /// The gateway's; nothing was changed.
    Failed,
}

/// Who did it, and from where.
#[derive(Debug, Clone)]
pub enum Actor {
    Client {
        address: IpAddr,
        request_id: Arc<str>,
        /// What proved, or was to prove, who it is: a scheme, `password`, `refresh-token`.
        credential: Option<&'static str>,
        session: Option<uuid::Uuid>,
        /// Who administers; of everything else, clients do it to themselves.
        acting: Option<Arc<Account>>,
    },
    /// Somebody with access to the admin socket; the user id of the process.
    Operator { uid: Option<u32> },
}

#[derive(Debug)]
pub struct AuditRecord {
    pub at: Timestamp,
    pub event: Event,
    pub outcome: Outcome,
    /// A reason code; `ok` on success.
    pub reason: &'static str,
    /// Whose account it is about, if there is one.
    pub account: Option<Arc<Account>>,
    pub actor: Actor,
    /// Never a secret.
    pub detail: Option<String>,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    event: Event,
    outcome: Outcome,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    acting_user_id: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acting_user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl Actor {
    /// Somebody at this address, of whose session nothing is known.
    #[must_use]
    pub fn client(
        address: IpAddr,
        request_id: &Arc<str>,
        credential: Option<&'static str>,
    ) -> Self {
        let request_id = Arc::clone(request_id);
        Self::Client { address, request_id, credential, session: None, acting: None }
    }
}

impl AuditRecord {
    /// Appends the line; runs on the log's own thread.
    pub fn write(&self, style: Style, out: &mut Vec<u8>) {
        let line = self.line();
        match style {
            // Plain text and numbers always serialize.
            Style::Json => drop(serde_json::to_writer(&mut *out, &line)),
            Style::Text(colors) => line.write_text(colors, self.at, out),
            Style::Combined => line.write_text(Colors::Off, self.at, out),
        }
        out.push(b'\n');
    }

    fn line(&self) -> JsonLine<'_> {
        let account = self.account.as_deref();
        let mut line = JsonLine {
            kind: "audit",
            time: rfc3339(self.at),
            event: self.event,
            outcome: self.outcome,
            reason: self.reason,
            user_id: account.map(|account| account.id.0),
            user: account.map(|account| account.username.as_str()),
            by: "operator",
            acting_user_id: None,
            acting_user: None,
            client: None,
            credential: None,
            session_id: None,
            request_id: None,
            uid: None,
            detail: self.detail.as_deref(),
        };
        match &self.actor {
            Actor::Client { address, request_id, credential, session, acting } => {
                line.by = "client";
                line.acting_user_id = acting.as_ref().map(|account| account.id.0);
                line.acting_user = acting.as_ref().map(|account| account.username.as_str());
                line.client = Some(*address);
                line.credential = *credential;
                line.session_id = *session;
                line.request_id = Some(request_id);
            }
            Actor::Operator { uid } => line.uid = *uid,
        }
        line
    }
}

impl JsonLine<'_> {
    /// What happened, to whom, why, and by whom, in so many columns; the ids of accounts and
    /// sessions are in the JSON alone.
    fn write_text(&self, colors: Colors, at: Timestamp, out: &mut Vec<u8>) {
        let (level, outcome) = match self.outcome {
            Outcome::Success => ("info", None),
            Outcome::Refused => ("warn", Some("refused")),
            Outcome::Failed => ("warn", Some("failed")),
        };
        let reason = outcome.map(|_| self.reason);
        let mut line = format!("audit {}", word(self.event));
        for word in outcome.into_iter().chain(reason) {
            line.extend([" ", word]);
        }
        let id = self.request_id.map(|id| format!(" id={id}")).unwrap_or_default();
        let by = Some(self.acting_user.unwrap_or(self.by)).filter(|by| *by != "client");
        let (uid, address) =
            (self.uid.map(|uid| uid.to_string()), self.client.map(|address| address.to_string()));
        // The first are worth most; what finds no room is in the JSON.
        for (name, value, least) in [
            ("user", self.user, LEAST_NAME),
            ("by", by, LEAST_NAME),
            ("uid", uid.as_deref(), usize::MAX),
            ("client", address.as_deref(), usize::MAX),
            ("credential", self.credential, usize::MAX),
            ("detail", self.detail, LEAST_NAME),
        ] {
            let Some(value) = value else { continue };
            let taken = BEGINNING_COLUMNS + columns(&line) + columns(&id) + name.len() + 2;
            let room = TEXT_COLUMNS.saturating_sub(taken);
            let whole = quoted(value);
            if columns(&whole) <= room {
                line.extend([" ", name, "=", &whole]);
            } else if least <= room {
                // Room for its quotation marks.
                let value = quoted(&shorten(value, room.min(MOST_OF_A_NAME) - 2));
                line.extend([" ", name, "=", &value]);
            }
        }
        out.extend_from_slice(begin_text(colors, at, level).as_bytes());
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(id.as_bytes());
    }
}

/// Time and level, and the blanks behind them.
const BEGINNING_COLUMNS: usize = 24 + 1 + 5 + 1;
/// Columns with which a name or a detail still says something.
const LEAST_NAME: usize = 12;
const MOST_OF_A_NAME: usize = 60;

fn columns(text: &str) -> usize {
    text.chars().count()
}

fn word(event: Event) -> String {
    let word = serde_json::to_value(event).ok();
    word.as_ref().and_then(|word| word.as_str()).unwrap_or_default().to_owned()
}

/// With quotation marks where it has blanks, so that it ends where it ends.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c != ' ' && c != '"' && c != '\\' && !is_hidden(c);
    if value.chars().all(is_plain) {
        return value.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if is_hidden(character) => quoted.push_str(&escape(&character.to_string())),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
