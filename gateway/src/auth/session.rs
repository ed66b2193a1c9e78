//! Sign-ins: what redeeming a refresh token makes of one, and which of an account's give way
//! to a new one.

use super::account::AccountId;
use super::account::limits::AccountLimits;
use super::session_client::SessionClient;
use super::time::{SWEEP_SLACK, Seconds, Timestamp};
use super::token::{Minted, SessionId, TokenId};

/// Sign-ins that end for one that is new: more than one where the limit was higher, or
/// none, when they were opened.
pub const SUPERSEDED_AT_ONCE: usize = 100;

/// The oldest sign-ins of an account with too many, of which those that have expired go
/// first: as many as can be looked at while nobody else writes.
pub const LOOKED_AT_ONCE: usize = 2_000;

/// Records of ended sessions that go in one transaction, so that no account can hold up
/// all others. The rest has ended all the same, and is removed after.
pub const CLEARED_AT_ONCE: usize = 100;

/// A sign-in as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub account: AccountId,
    pub created: Timestamp,
    /// No token of this family outlives this moment.
    pub expires: Timestamp,
    /// The refresh token that may be redeemed now.
    pub current: Minted,
    /// The refresh token that `current` replaced, and when.
    pub replaced: Option<(TokenId, Timestamp)>,
    /// `None` for a session that an earlier version opened: it did not record this.
    pub client: Option<SessionClient>,
    /// The last use that is stored. Set only where sessions are listed or exported: engines
    /// keep it beside the record, as it changes all the time.
    pub last_used: Option<Timestamp>,
}

/// Redeem a refresh token.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    pub session: SessionId,
    pub presented: TokenId,
    pub successor: Minted,
    pub now: Timestamp,
    pub mode: RotationMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationMode {
    /// The successor replaces the token; the same successor is handed out again
    /// within the grace, and a later repeat ends the family (C6).
    Rotate { grace: Seconds },
    /// The token stays good until the session ends.
    Keep,
}

/// What a refresh token is to the session that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshUse {
    /// The one that may be redeemed.
    Current,
    /// The one before it, within the grace: a client that missed the response asks again.
    Repeated,
    /// Replaced longer ago, or never issued: somebody else may have it.
    Reused,
}

/// What redeeming a refresh token has made of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redeemed {
    /// The session has another current token and has to be saved before the pair is handed
    /// out.
    Replaced(Minted),
    /// The pair of the redemption before, handed out again; the session is as it was.
    Repeated(Minted),
    /// The token stays good; the session is as it was.
    Kept(Minted),
    /// The whole family has to be ended.
    Reused,
    /// The session has expired.
    Expired,
}

impl Session {
    /// The time of its last use, as far as the store knows. Opening and refreshing count.
    #[must_use]
    pub fn last_use(&self) -> Timestamp {
        self.created.max(self.current.issued_at).max(self.last_used.unwrap_or_default())
    }

    /// Whether it has not expired.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires > now
    }

    /// What is left of it. No token outlives its session: the token's end could not be
    /// recorded.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Seconds {
        Seconds(self.expires.since(now) / 1000)
    }

    /// Until when its end is remembered: as long as a token may name it.
    #[must_use]
    pub fn end_counts_until(&self, now: Timestamp, token_ttl: Seconds) -> Timestamp {
        self.expires.max(now.plus(token_ttl))
    }

    /// Until when a sweep leaves its record alone.
    #[must_use]
    pub fn kept_until(&self) -> Timestamp {
        self.expires.plus(SWEEP_SLACK)
    }

    /// What a refresh token that names this session is to it (C6).
    #[must_use]
    pub fn recognize(&self, token: TokenId, grace: Seconds, now: Timestamp) -> RefreshUse {
        let repeats = |(replaced, at): (TokenId, Timestamp)| {
            replaced == token && now.since(at) < grace.millis()
        };
        if self.replaced.is_some_and(repeats) {
            RefreshUse::Repeated
        } else if self.current.refresh == token {
            RefreshUse::Current
        } else {
            RefreshUse::Reused
        }
    }

    /// Redeems a refresh token. `token_ttl` is the longest lifetime of a token: the session
    /// lives on for as long as its new one may.
    #[must_use]
    pub fn redeem(&mut self, rotation: &Rotation, token_ttl: Seconds) -> Redeemed {
        let Rotation { presented, successor, now, mode, .. } = *rotation;
        if !self.is_live(now) {
            return Redeemed::Expired;
        }
        // What is never replaced is never asked for again.
        let grace = match mode {
            RotationMode::Rotate { grace } => grace,
            RotationMode::Keep => Seconds(0),
        };
        match (self.recognize(presented, grace, now), mode) {
            (RefreshUse::Reused, _) => Redeemed::Reused,
            (RefreshUse::Repeated, _) => Redeemed::Repeated(self.current),
            (RefreshUse::Current, RotationMode::Keep) => {
                let access_ttl = successor.access_ttl.min(self.left(now).0);
                Redeemed::Kept(Minted { access_ttl, ..successor })
            }
            (RefreshUse::Current, RotationMode::Rotate { .. }) => {
                self.replaced = Some((self.current.refresh, now));
                self.current = successor;
                self.expires = self.end_counts_until(now, token_ttl);
                Redeemed::Replaced(successor)
            }
        }
    }
}

/// Sign-ins of an account that give way to a new one, in order of age.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Surplus {
    /// They count no longer.
    pub expired: Vec<SessionId>,
    /// They end for it.
    pub superseded: Vec<SessionId>,
}

impl Surplus {
    /// Of `count` sign-ins beside the new one. `oldest` are as many of them as were looked
    /// at, in order of age, each with whether it has expired.
    #[must_use]
    pub fn of(
        count: usize,
        oldest: impl IntoIterator<Item = (SessionId, bool)>,
        limits: AccountLimits,
    ) -> Self {
        if limits.has_room_for_session(count) {
            return Self::default();
        }
        let (mut expired, mut superseded) = (Vec::new(), Vec::new());
        for (session, has_expired) in oldest {
            if has_expired { expired.push(session) } else { superseded.push(session) }
        }
        let live_with_new = (count + 1).saturating_sub(expired.len());
        let beyond = live_with_new.saturating_sub(limits.sessions);
        expired.truncate(CLEARED_AT_ONCE);
        superseded.truncate(beyond.min(SUPERSEDED_AT_ONCE));
        Self { expired, superseded }
    }
}

#[cfg(test)]
mod tests;
