use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use http::Method;
use uuid::Uuid;

use super::*;
use crate::auth::account::{Account, AccountId};
use crate::auth::principal::Proof;
use crate::auth::tests::{Bench, HERE, PASSWORD};
use crate::auth::time::Seconds;
use crate::auth::token::{SessionId, TokenId};
use crate::config::file::{Sources, load};
use crate::pipeline::destination::of_nowhere;
use crate::pipeline::route::Routes;

/// Somebody who came with a password to a route for users, and somebody else.
struct Open {
    core: Arc<Core>,
    principal: Arc<Principal>,
    route: Arc<Route>,
    other: AccountId,
}

impl Open {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let other = bench.add("ben", PASSWORD).await;
        let principal = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
        let text = "[[route]]\nupstream = \"echo\"\nroles = [\"user\"]\n".to_owned();
        let file = Some(("test".to_owned(), text));
        let config = load(Sources { file, ..Sources::default() });
        let routes =
            Routes::new(&config.unwrap_or_else(|problems| panic!("{problems}")).routes, of_nowhere);
        let route = Arc::clone(routes.find("localhost", "/", &Method::GET).unwrap());
        Self { core: Arc::new(bench.core), principal: Arc::new(principal), route, other }
    }

    fn watch(&self) -> RevocationWatch {
        RevocationWatch::new(&self.core, &self.principal, &self.route, None)
    }

    async fn reset(&self, account: AccountId) {
        self.core.reset_password(account, "set by an administrator".into()).await.unwrap();
    }

    fn give_roles(&self, roles: &[&str]) {
        let account = self.core.standing().account(self.principal.account_id()).unwrap();
        let roles = roles.iter().map(|&role| role.to_owned()).collect();
        self.core.standing().put_account(Account { roles, ..(*account).clone() });
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_credential_has_ended_and_not_before() {
    let open = Open::new().await;
    let mut watch = open.watch();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(!watch.has_ended(&mut cx));
    open.reset(open.other).await;
    assert!(!watch.has_ended(&mut cx), "another account is nothing to it");
    open.reset(open.principal.account_id()).await;
    assert!(watch.has_ended(&mut cx));
}

#[tokio::test]
async fn a_tunnel_waits_for_what_ends_it_and_says_what_that_was() {
    let open = Open::new().await;
    let mut watch = open.watch();
    let ended = tokio::spawn(async move { watch.ended().await.reason.code() });
    for _ in 0..2 {
        open.reset(open.other).await;
        open.give_roles(&["ops", "user"]);
        tokio::task::yield_now().await;
        assert!(!ended.is_finished());
    }
    open.reset(open.principal.account_id()).await;
    assert_eq!(ended.await.unwrap(), "password_wrong");

    let open = Open::new().await;
    let mut watch = open.watch();
    open.give_roles(&["ops"]);
    assert_eq!(watch.ended().await.reason.code(), "role_missing");
}

/// How often streams were woken to judge again.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn since_last(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Open {
    /// Somebody with a token of the session of this number.
    fn signed_in(&self, account: AccountId, number: u128) -> Arc<Principal> {
        let account = self.core.standing().account(account).unwrap();
        let (token, session) = (Uuid::from_u128(number), Uuid::from_u128(number / 10));
        let expires = self.core.clock().now().plus(Seconds(600));
        let proof =
            Proof::AccessToken { token: TokenId(token), session: SessionId(session), expires };
        Arc::new(Principal::new(account, proof))
    }
}

/// By the count of wakes: what 10,000 tunnels would cost if each looked at every change.
#[tokio::test]
async fn of_ten_thousand_streams_a_change_wakes_those_it_concerns() {
    let open = Open::new().await;
    let (ann, ben) = (open.principal.account_id(), open.other);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);
    let principals: Vec<_> = (0..10_000).map(|number| open.signed_in(ann, number)).collect();
    let watch = |principal| RevocationWatch::new(&open.core, principal, &open.route, None);
    let mut watches: Vec<_> = principals.iter().map(watch).collect();
    assert!(watches.iter_mut().all(|watch| !watch.has_ended(&mut cx)));

    for number in 20_000..20_100 {
        open.core.logout(&open.signed_in(ben, number)).await.unwrap();
    }
    open.reset(ben).await;
    assert_eq!(wakes.since_last(), 0, "of another account's changes none hears");
    open.core.logout(&principals[7]).await.unwrap();
    assert_eq!(wakes.since_last(), 1, "its own token's end");
    let session = principals[55].session().unwrap();
    open.core.standing().end_sessions(&[(session, Timestamp(u64::MAX))]);
    assert_eq!(wakes.since_last(), 10, "every token of the session");
    let ended = watches.iter_mut().filter_map(|watch| watch.has_ended(&mut cx).then_some(()));
    assert_eq!(ended.count(), 11);
    watches.drain(50..60);
    watches.remove(7);
    open.give_roles(&["ops", "user"]);
    assert_eq!(wakes.since_last(), 10_000 - 11, "all there are of the account");
}

/// Between a look and the wait for the next change nothing is lost.
#[tokio::test]
async fn a_change_while_a_stream_is_judged_is_heard() {
    let open = Open::new().await;
    let subscription = open.core.standing().subscribe(&open.principal);
    let changed = subscription.changed();
    open.reset(open.principal.account_id()).await;
    changed.await;
}
