//! The names of all keys. They share one hash tag, so that a script can touch any of
//! them at once, in Cluster too.

use uuid::Uuid;

use crate::auth::source::Source;

/// `{prefix}:`
#[derive(Debug, Clone)]
pub(super) struct Names(String);

macro_rules! single {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        $($(#[$doc])* pub(super) fn $name(&self) -> String { self.with($text) })*
    };
}

macro_rules! of {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        $($(#[$doc])* pub(super) fn $name(&self, id: Uuid) -> String {
            format!(concat!("{}", $text, ":{}"), self.0, id)
        })*
    };
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self(format!("{{{prefix}}}:"))
    }

    /// Whether a word of a command is one of these names: no id or value begins like one.
    pub(super) fn is_key(&self, word: &[u8]) -> bool {
        word.starts_with(self.0.as_bytes())
    }

    fn with(&self, rest: &str) -> String {
        format!("{}{rest}", self.0)
    }

    single! {
        /// Hash: whose database this is and which schema it has.
        meta = "meta",
        /// Stream: every change, as replicas follow it.
        changes = "changes",
        /// Sorted sets of ids, all of score 0: pages in order of creation.
        accounts = "accounts",
        sessions = "sessions",
        keys = "keys",
        servers = "servers",
        workspaces = "workspaces",
        /// Sorted sets by end (ms): what a sweep looks at.
        session_ends = "session-ends",
        former_ends = "former-ends",
        revoked = "revoked-tokens",
        ended = "ended-sessions",
        failures = "failures",
        lockouts = "lockouts",
        slowed = "slowed-users",
        guessed_ends = "guessed-ends",
        /// Hash: users and how often they were guessed at.
        guessed = "guessed",
        probe = "probe",
        /// Set: accounts whose sessions have ended at once and are not all removed yet.
        clearing = "clearing-sessions",
        /// String: there while registration is closed whatever configurations say.
        registration = "registration",
        /// Hash: key and when it was last used.
        key_uses = "key-uses",
        /// Hash: account and when it last signed in.
        sign_ins = "sign-ins",
        /// Sorted set: replicas alive, by when they were last heard of (s).
        replicas = "replicas",
    }

    of! {
        account = "account",
        session = "session",
        /// String: when a session was last used. It goes with the session's time, whoever
        /// removes that.
        session_use = "session-use",
        key = "key",
        server = "server",
        workspace = "workspace",
        /// Sets of what hangs on an account.
        sessions_of = "sessions-of",
        tickets_of = "tickets-of",
        keys_of = "keys-of",
        servers_of = "servers-of",
        workspaces_of = "workspaces-of",
        /// Set: keys bound to a server.
        keys_on = "keys-on",
        /// Hash: members and their roles.
        members = "members",
        /// A new random value with everything that comes to hang on an account or a
        /// server: who ends all of it looks whether more has come.
        guard = "guard",
    }

    pub(super) fn name(&self, canonical: &str) -> String {
        format!("{}name:{canonical}", self.0)
    }

    /// String: a notice was given.
    pub(super) fn notice(&self, notice: &str) -> String {
        format!("{}notice:{notice}", self.0)
    }

    pub(super) fn ticket(&self, digest: &[u8; 32]) -> String {
        format!("{}ticket:{}", self.0, data_encoding::HEXLOWER.encode(digest))
    }

    pub(super) fn key_digest(&self, digest: &[u8; 32]) -> String {
        format!("{}key-digest:{}", self.0, data_encoding::HEXLOWER.encode(digest))
    }

    /// String: what all replicas know of an address's token bucket.
    pub(super) fn bucket(&self, source: Source) -> String {
        format!("{}bucket:{}", self.0, source.address())
    }

    /// Hash: registrations of an address in its present window.
    pub(super) fn registrations_of(&self, source: Source) -> String {
        format!("{}registrations:{}", self.0, source.address())
    }

    pub(super) fn failure(&self, source: Source) -> String {
        format!("{}failure:{}", self.0, source.address())
    }
}
