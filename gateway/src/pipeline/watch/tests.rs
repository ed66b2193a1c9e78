use std::task::Waker;

use http::Method;

use super::*;
use crate::auth::account::{Account, AccountId};
use crate::auth::tests::{Bench, PASSWORD};
use crate::config::file::{Sources, load};
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
        let principal = bench.core.verify_basic("ann", &PASSWORD.into()).await.unwrap();
        let text = "[[route]]\nupstream = \"echo\"\nroles = [\"user\"]\n".to_owned();
        let file = Some(("test".to_owned(), text));
        let config = load(Sources { file, ..Sources::default() });
        let routes = Routes::new(&config.unwrap_or_else(|problems| panic!("{problems}")).routes);
        let route = Arc::clone(routes.find("localhost", "/", &Method::GET).unwrap());
        Self { core: Arc::new(bench.core), principal: Arc::new(principal), route, other }
    }

    fn watch(&self) -> PrincipalWatch {
        PrincipalWatch::new(&self.core, &self.principal, &self.route)
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
