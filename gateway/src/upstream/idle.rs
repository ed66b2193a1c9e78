//! HTTP/1.1 connections of a pool that nobody uses now.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Http1Connection;
use super::tls::Need;

/// An HTTP/1.1 connection nobody uses now.
pub(super) struct Idle {
    pub(super) connection: Http1Connection,
    pub(super) since: Instant,
}

/// Those of one pool. The most recently used goes first.
pub(super) struct IdleConnections {
    lists: Mutex<Lists>,
    /// One that is idle for longer carries nothing more.
    timeout: Duration,
}

/// Those that were opened for a switch of protocols carry nothing else: where ALPN would have
/// settled on HTTP/2, a call of gRPC has no use for them.
#[derive(Default)]
struct Lists {
    any: Vec<Idle>,
    http1: Vec<Idle>,
}

impl IdleConnections {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { lists: Mutex::default(), timeout }
    }

    pub(super) fn put(&self, connection: Http1Connection) {
        let idle = Idle { connection, since: Instant::now() };
        self.lock().of(idle.connection.opened_for).push(idle);
    }

    /// One that can be used as far as is known. Those that cannot are closed.
    pub(super) fn pop(&self, need: Need) -> Option<Idle> {
        let mut lists = self.lock();
        while let Some(one) = lists.pop(need) {
            if !one.connection.sender.is_closed() && one.since.elapsed() < self.timeout {
                return Some(one);
            }
        }
        None
    }

    /// Closes what has been idle too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut lists = self.lock();
        for need in [Need::Any, Need::Http1] {
            lists
                .of(need)
                .retain(|one| !one.connection.sender.is_closed() && now - one.since < self.timeout);
        }
    }

    /// Closes those that have been idle for longest, until no more than so many are left.
    pub(super) fn keep_at_most(&self, most: usize) {
        let mut lists = self.lock();
        while lists.len() > most {
            // Each list begins with the oldest of its own.
            let since = |list: &[Idle]| list.first().map(|idle| idle.since);
            let older = match (since(&lists.any), since(&lists.http1)) {
                (Some(any), Some(http1)) if http1 < any => Need::Http1,
                (Some(_), _) => Need::Any,
                (None, _) => Need::Http1,
            };
            lists.of(older).remove(0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    fn of(&mut self, need: Need) -> &mut Vec<Idle> {
        match need {
            Need::Any => &mut self.any,
            Need::Http1 => &mut self.http1,
        }
    }

    fn pop(&mut self, need: Need) -> Option<Idle> {
        let own = self.of(need).pop();
        if need == Need::Http1 { own.or_else(|| self.any.pop()) } else { own }
    }

    fn len(&self) -> usize {
        self.any.len() + self.http1.len()
    }
}
