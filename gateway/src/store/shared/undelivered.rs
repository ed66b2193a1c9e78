//! What ended here while the server could not be told. It holds here at once; the
//! others hear of it when the server is back.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::auth::account::AccountId;
use crate::auth::api_key::KeyId;
use crate::auth::time::Timestamp;
use crate::auth::token::{SessionId, TokenId};

/// Beyond this the oldest is dropped: its caller has heard that nothing was promised.
const MAX_UNDELIVERED: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Token(TokenId, Timestamp),
    Session(SessionId, Timestamp),
    /// Every session of an account.
    Sessions(AccountId, Timestamp),
    Key(KeyId, Option<AccountId>, [u8; 32]),
}

#[derive(Default)]
pub(super) struct Undelivered(Mutex<VecDeque<Ending>>);

impl Undelivered {
    fn endings(&self) -> std::sync::MutexGuard<'_, VecDeque<Ending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was dropped for it.
    pub(super) fn push(&self, ending: Ending) -> Option<Ending> {
        let mut endings = self.endings();
        if endings.contains(&ending) {
            return None;
        }
        let dropped = if endings.len() >= MAX_UNDELIVERED { endings.pop_front() } else { None };
        endings.push_back(ending);
        dropped
    }

    pub(super) fn first(&self) -> Option<Ending> {
        self.endings().front().copied()
    }

    pub(super) fn remove(&self, ending: Ending) {
        self.endings().retain(|known| *known != ending);
    }

    pub(super) fn len(&self) -> usize {
        self.endings().len()
    }
}
