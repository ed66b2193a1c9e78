//! Another database answers where the one was that memory was read from: nothing is
//! believed of it, nothing is written to it, and the right one is followed again.

use super::*;
use crate::auth::ports::{Failure, Usage};
use crate::store::conformance::session;

struct Exchanged {
    server: Server,
    one: Suite,
    account: Account,
}

impl Exchanged {
    async fn start() -> Self {
        let server = Server::start();
        let one = server.replica("p").await;
        let account = one.with_account(1).await;
        one.store.create_key(key(1, &account)).await.unwrap();
        Self { server, one, account }
    }

    /// Number 1, where nothing lies at first, comes in place of the gateway's, or back.
    async fn exchange(&self) {
        let mut exchange = redis::cmd("SWAPDB");
        exchange.arg(0).arg(1);
        let mut beside = self.server.connect().await;
        let _: Value = exchange.query_async(&mut beside).await.unwrap();
    }

    async fn is(&self, state: StoreState) {
        eventually(state.word(), || self.state() == state).await;
    }

    fn state(&self) -> StoreState {
        self.one.store.health().expect("it is shared").state
    }

    async fn keys(&self) -> Vec<String> {
        let mut beside = self.server.connect().await;
        redis::cmd("KEYS").arg("*").query_async(&mut beside).await.unwrap()
    }
}

/// One of each kind of question and change, in the moment before anything is noticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_database_answers_nothing_and_is_written_nothing() {
    let digest = [9; 32];
    let limit = FailureLimit { attempts: 9, user_attempts: 9, window: Seconds(300) };
    let failure = Failure { source: Source::V4(7), user: None };
    let bucket = BucketLimit { per_second: 1, burst: 1 };
    let spent = Usage { source: Source::V4(7), tokens: 1, age: Duration::ZERO, counted_in: 0 };
    for number in 0..16 {
        let found = Exchanged::start().await;
        let (store, account) = (&found.one.store, &found.account);
        let buckets = store.buckets().unwrap();
        found.exchange().await;
        let failed = match number {
            0 => store.find_account("user1").await.is_err(),
            1 => store.find_account("nobody").await.is_err(),
            2 => store.load_missing(Missing::Key(digest)).await.is_err(),
            3 => store.load_missing(Missing::Account(AccountId(Uuid::nil()))).await.is_err(),
            4 => store.list_accounts(None, 9).await.is_err(),
            5 => store.find_session(SessionId(Uuid::nil()), NOW).await.is_err(),
            6 => store.take_ticket(digest, NOW).await.is_err(),
            7 => store.open_session(session(11, account), account.version).await.is_err(),
            8 => store.list_failures(NOW).await.is_err(),
            // It counts here.
            9 => store.count_failure(failure, limit, NOW).await.is_ok(),
            10 => store.forgive(Source::V4(7)).await.is_err(),
            11 => buckets.report(bucket, &[spent]).await.is_err(),
            12 => store.sweep(NOW, NOW).await.is_err(),
            13 => store.delete_account(account.id, Administration::MayEnd, NOW).await.is_err(),
            14 => store.create_account(crate::store::conformance::account(2)).await.is_err(),
            _ => store.ping().await.is_err(),
        };
        assert!(failed, "question {number} was answered");
        assert_eq!(found.keys().await, Vec::<String>::new(), "written by {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchanged_database_is_noticed_without_a_question_and_known_again_on_its_return() {
    let found = Exchanged::start().await;
    found.exchange().await;
    found.is(StoreState::Foreign).await;
    assert!(found.one.standing.account(found.account.id).is_some(), "what is known goes on");
    assert!(found.one.standing.key(&[1; 32]).is_some());
    assert!(found.one.store.find_account("user1").await.is_err());
    assert_eq!(found.keys().await, Vec::<String>::new(), "nothing is written into it");
    found.exchange().await;
    found.is(StoreState::Live).await;
    assert!(found.one.store.find_account("user1").await.unwrap().is_some());
}

/// Whoever starts on an emptied database begins a new installation there, which those
/// that know another do not take for theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_installation_is_not_followed_by_those_of_the_old_one() {
    let found = Exchanged::start().await;
    found.exchange().await;
    let new = found.server.replica("p").await;
    let other = new.with_account(2).await;
    found.is(StoreState::Foreign).await;
    assert!(found.one.standing.account(found.account.id).is_some());
    assert!(found.one.standing.account(other.id).is_none());
    assert!(new.standing.account(found.account.id).is_none());
    found.exchange().await;
    found.is(StoreState::Live).await;
    assert!(found.one.standing.account(other.id).is_none());
}

/// Changes in the stream of another database are not applied, however they wake.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_another_database_are_not_believed() {
    let found = Exchanged::start().await;
    let mut told = redis::cmd("XADD");
    let gone = format!("[{{\"account_gone\":\"{}\"}}]", found.account.id.0);
    told.arg(Names::new("p").changes()).arg("*").arg("changes").arg(gone);
    found.exchange().await;
    let mut beside = found.server.connect().await;
    let _: Value = told.query_async(&mut beside).await.unwrap();
    found.is(StoreState::Foreign).await;
    assert!(found.one.standing.account(found.account.id).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_never_read_its_store_has_not_loaded_it() {
    let mut server = Server::start();
    let found = server.replica("p").await;
    assert!(found.store.is_loaded());
    let nobody = server.settings("p");
    drop(server.process.stdin.take());
    eventually("the loss", || {
        found.store.health().is_some_and(|health| health.state == StoreState::Unreachable)
    })
    .await;
    let entropy = Arc::new(SystemEntropy::default());
    let store = SharedStore::open(nobody, Arc::default(), entropy).await.unwrap();
    assert!(!store.is_loaded());
    assert_eq!(store.health().unwrap().staleness, None);
    assert!(found.store.is_loaded(), "what was read stays so");
}
