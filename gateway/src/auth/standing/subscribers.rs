//! Which open stream hears of which change: only of those that concern its principal,
//! so that ten thousand tunnels make another user's logout no dearer.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::{AccountId, KeyId, Principal, Proof, SessionId, TokenId};

/// What a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Account(AccountId),
    Session(SessionId),
    Token(TokenId),
    Key(KeyId),
}

impl Subject {
    /// A principal's account, and what its credential can end with.
    fn of(principal: &Principal) -> [Option<Self>; 3] {
        let account = Some(Subject::Account(principal.account_id()));
        match &principal.proof {
            Proof::AccessToken { token, session, .. }
            | Proof::Ticket { token: Some((token, session, _)) } => {
                [account, Some(Subject::Session(*session)), Some(Subject::Token(*token))]
            }
            Proof::Key(key) => [account, Some(Subject::Key(key.id)), None],
            Proof::Password | Proof::Ticket { token: None } => [account, None, None],
        }
    }
}

type Listeners = Arc<DashMap<Subject, Arc<Notify>>>;

/// Bounded by the open streams: who leaves takes its entries along.
#[derive(Default)]
pub(super) struct Subscribers(Listeners);

impl Subscribers {
    pub(super) fn subscribe(&self, principal: &Principal) -> Subscription {
        let listen = |subject| {
            // Under the map's lock: an entry that is joined is not removed.
            let listener = Arc::clone(&self.0.entry(subject).or_default());
            Some((subject, listener))
        };
        let heard = Subject::of(principal).map(|subject| subject.and_then(listen));
        Subscription { listeners: Arc::clone(&self.0), heard }
    }

    pub(super) fn wake(&self, subject: Subject) {
        if let Some(listener) = self.0.get(&subject) {
            listener.notify_waiters();
        }
    }

    pub(super) fn wake_all(&self) {
        self.0.iter().for_each(|listener| listener.notify_waiters());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A place among those who hear of changes that concern one principal.
pub struct Subscription {
    listeners: Listeners,
    heard: [Option<(Subject, Arc<Notify>)>; 3],
}

impl Subscription {
    /// Resolves with the next change after this call, polled or not: who calls this, then
    /// judges, then waits has missed nothing.
    pub fn changed(&self) -> impl Future<Output = ()> {
        let [account, session, token] =
            self.heard.each_ref().map(|heard| heard.as_ref().map(|(_, on)| on.notified()));
        async move {
            tokio::select! {
                () = heard(account) => {}
                () = heard(session) => {}
                () = heard(token) => {}
            }
        }
    }
}

async fn heard(notified: Option<Notified<'_>>) {
    match notified {
        Some(notified) => notified.await,
        None => std::future::pending().await,
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        for (subject, listener) in self.heard.iter_mut().filter_map(Option::take) {
            drop(listener);
            self.listeners.remove_if(&subject, |_, listener| Arc::strong_count(listener) == 1);
        }
    }
}
