//! What ends while nothing can be written: it holds at once, and is in the file as soon
//! as that takes changes again.

use std::time::Duration;

use uuid::Uuid;

use super::super::revocations::revoke_in;
use super::*;
use crate::auth::api_key::KeyId;
use crate::auth::error::StoreError;
use crate::auth::ports::{
    Accounts as _, Keys as _, SessionOpening, Sessions as _, Store as _, StoreState,
};
use crate::auth::session::Session;
use crate::auth::token::{SessionId, TokenId};
use crate::store::archive::Snapshots as _;
use crate::store::conformance::{NOW, key, later, session};
use crate::store::pending_revocations::{Delivery, Revocation};

struct Frozen {
    directory: tempfile::TempDir,
    store: Arc<EmbeddedStore>,
    engine: Engine,
}

impl Frozen {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let standing = Arc::new(Standing::default());
        let location = Location::in_directory(directory.path());
        let store = EmbeddedStore::open(&location, Arc::clone(&standing), TOKEN_TTL).unwrap();
        let store = Arc::new(store);
        let engine = Engine { store: Arc::clone(&store) as _, standing };
        Self { directory, store, engine }
    }

    async fn freeze(&self) {
        self.store.snapshot(Some(Duration::from_secs(600))).await.unwrap();
    }

    async fn is_caught_up(&self) {
        self.store.thaw().await.unwrap();
        let begun = std::time::Instant::now();
        while self.store.health().is_some_and(|health| health.undelivered > 0) {
            assert!(begun.elapsed() < Duration::from_secs(30), "never caught up");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the file says, without this memory.
    fn reopened(self) -> (Engine, tempfile::TempDir) {
        let Self { directory, store, engine } = self;
        drop((store, engine));
        (open(&Location::in_directory(directory.path())).unwrap(), directory)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_while_nothing_can_be_written_holds_and_is_written_later() {
    let frozen = Frozen::start();
    let account = frozen.engine.with_account(1).await;
    let session = frozen.engine.with_session(11, &account).await;
    let (kept, deleted) = (key(1, &account), key(2, &account));
    for key in [&kept, &deleted] {
        frozen.store.create_key(key.clone()).await.unwrap();
    }
    frozen.freeze().await;
    let token = TokenId(Uuid::from_u128(77));
    let held = |answer: Result<(), StoreError>| {
        assert!(matches!(answer, Err(StoreError::Held)), "{answer:?}");
    };
    held(frozen.store.revoke_token(token, later(1_000)).await);
    held(frozen.store.end_session(session.id, NOW).await.map(drop));
    held(frozen.store.delete_key(deleted.id, Some(account.id)).await.map(drop));
    let somebody = crate::auth::account::AccountId(Uuid::from_u128(9));
    let foreign = frozen.store.delete_key(kept.id, Some(somebody)).await;
    assert!(matches!(foreign, Err(StoreError::Unavailable(_))), "{foreign:?}");
    // Of which this memory knows nothing.
    held(frozen.store.delete_key(KeyId(Uuid::from_u128(99)), None).await.map(drop));
    let standing = &frozen.engine.standing;
    let none = SessionId(Uuid::nil());
    assert!(standing.check_token(token, none).is_err());
    assert!(standing.check_token(session.current.access, session.id).is_err());
    assert!(standing.key(&deleted.digest).is_none());
    assert!(standing.key(&kept.digest).is_some(), "of another owner");
    assert_eq!(frozen.store.health().unwrap().undelivered, 4);
    frozen.is_caught_up().await;
    let (engine, _directory) = frozen.reopened();
    assert!(engine.standing.check_token(token, none).is_err());
    assert!(engine.standing.check_token(session.current.access, session.id).is_err());
    assert!(engine.standing.key(&deleted.digest).is_none());
    assert!(engine.standing.key(&kept.digest).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_is_written_however_busy_the_store_is() {
    let frozen = Frozen::start();
    frozen.freeze().await;
    let ended = frozen.store.revoke_token(TokenId(Uuid::from_u128(77)), later(1_000)).await;
    assert!(matches!(ended, Err(StoreError::Held)), "{ended:?}");
    let store = Arc::clone(&frozen.store);
    // Never a pause as long as the one in which the writer looks about when idle.
    let busy = tokio::spawn(async move {
        loop {
            let _ = store.ping().await;
            let _ = store.find_account("nobody").await;
            let _ = store.end_session(SessionId(Uuid::nil()), NOW).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    frozen.is_caught_up().await;
    busy.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_ones_own_tells_how_it_is() {
    let frozen = Frozen::start();
    let health = frozen.store.health().unwrap();
    assert_eq!((health.state, health.staleness), (StoreState::Live, None));
    assert!(frozen.store.is_loaded());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_in_before_an_earlier_ending_of_all_is_written_stays_signed_in() {
    for delivery in [Delivery::Late, Delivery::AtOnce] {
        let frozen = Frozen::start();
        let account = frozen.engine.with_account(1).await;
        let before = frozen.engine.with_session(11, &account).await;
        let with_id =
            |id: u128| Session { id: SessionId(Uuid::from_u128(id)), ..session(12, &account) };
        let last = SessionId::last_of(NOW).0.as_u128();
        let since = with_id(last + 1);
        frozen.store.open_session(since.clone(), account.version).await.unwrap();
        let revocation = Revocation::Sessions(account.id, NOW);
        let end =
            move |txn: &redb::WriteTransaction| revoke_in(txn, revocation, delivery, TOKEN_TTL);
        assert!(frozen.store.writer.submit(end).await.unwrap());
        let (engine, _directory) = frozen.reopened();
        let ended = [&before, &since].map(|session| {
            engine.standing.holder(account.id, session.current.access, session.id).is_err()
        });
        assert_eq!(ended, [true, delivery == Delivery::AtOnce], "{delivery:?}");
        let listed = engine.store.list_sessions(Some(account.id), None, 9).await.unwrap();
        assert_eq!(listed.len(), usize::from(delivery == Delivery::Late));
        // As memory says of it: no session comes between.
        let opened = engine.store.open_session(with_id(last), account.version).await.unwrap();
        assert!(matches!(opened, SessionOpening::Behind(_)), "{opened:?}");
    }
}
