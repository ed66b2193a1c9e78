//! What a session remembers of its client, and when it was last used.

use super::super::account::PersonName;
use super::super::ports::Store;
use super::super::register::Registration;
use super::super::session::Session;
use super::super::session_client::{SessionClient, UserAgent};
use super::*;

impl Bench {
    /// The only session of an account.
    async fn session_of(&self, name: &str) -> Session {
        let account = self.core.standing().account_by_name(name).unwrap().id;
        let listed = self.core.store().list_sessions(Some(account), None, 9).await.unwrap();
        let [session] = listed.try_into().unwrap();
        session
    }
}

fn phone() -> SessionClient {
    let address = IpAddr::from([0x2001, 0xdb8, 0, 1, 2, 3, 4, 5]);
    SessionClient { address, user_agent: UserAgent::read(b"Phone/1") }
}

#[tokio::test]
async fn a_session_remembers_who_opened_it_and_not_who_refreshes_it() {
    let bench = Bench::new().await;
    let (_, pair) = bench.core.login("ann", &PASSWORD.into(), &phone(), ROTATING).await.unwrap();
    assert_eq!(bench.session_of("ann").await.client, Some(phone()), "the address, not its /64");
    bench.core.refresh(pair.refresh.expose(), ROTATING).await.unwrap();
    assert_eq!(bench.session_of("ann").await.client, Some(phone()));
}

#[tokio::test]
async fn the_first_session_of_a_registration_remembers_its_client() {
    let bench = Bench::new().await;
    let new = Registration {
        email: "bea@example.com".to_owned(),
        username: Some("bea".to_owned()),
        name: PersonName::default(),
        password: PASSWORD.into(),
    };
    bench.core.register(new, &phone(), PasswordRule::default(), ROTATING).await.unwrap();
    assert_eq!(bench.session_of("bea").await.client, Some(phone()));
}

/// What the store has been told of its last use.
async fn saved(bench: &Bench) -> Option<Timestamp> {
    bench.core.save_session_uses().await.unwrap();
    bench.session_of("ann").await.last_used
}

#[tokio::test]
async fn a_session_is_used_by_its_access_tokens_and_not_by_what_is_refused() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    let token = pair.access.text;
    assert_eq!(saved(&bench).await, None);
    for (what, seconds) in [("for the first time", 5), ("again", 5), ("much later", 3_600)] {
        bench.pass(seconds);
        bench.core.verify_access(token.expose()).unwrap();
        assert_eq!(saved(&bench).await, Some(bench.clock.now()), "{what}");
    }
    let last = bench.clock.now();
    bench.pass(28_800);
    assert_eq!(bench.judge(&token), Err(Refusal::TokenExpired));
    bench.core.verify_access(pair.refresh.expose()).unwrap_err();
    assert_eq!(saved(&bench).await, Some(last));
}

#[tokio::test]
async fn a_session_is_used_by_its_refresh_token_rotated_or_not() {
    for issuance in [ROTATING, Issuance { rotate: false, ..ROTATING }] {
        let bench = Bench::new().await;
        let pair = bench.login().await;
        bench.pass(60);
        bench.core.refresh(pair.refresh.expose(), issuance).await.unwrap();
        assert_eq!(saved(&bench).await, Some(bench.clock.now()), "{issuance:?}");
    }
}

#[tokio::test]
async fn a_session_is_used_by_the_ticket_that_it_asked_for() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    let principal = bench.core.verify_access(pair.access.text.expose()).unwrap();
    let ticket = bench.core.issue_ticket(&principal).await.unwrap();
    bench.pass(60);
    bench.core.redeem_ticket(ticket.expose()).await.unwrap();
    assert_eq!(saved(&bench).await, Some(bench.clock.now()));
}

#[tokio::test]
async fn a_use_that_the_store_does_not_take_is_saved_with_the_next() {
    let mut bench = Bench::new().await;
    let (standing, week) = (Arc::<Standing>::default(), Seconds(604_800));
    let store = Arc::new(InMemoryStore::new(Arc::clone(&standing), week));
    bench.core.store = Arc::clone(&store) as Arc<dyn Store>;
    bench.core.standing = standing;
    bench.add("ann", PASSWORD).await;
    let pair = bench.login().await;
    bench.pass(5);
    bench.core.verify_access(pair.access.text.expose()).unwrap();
    let used = bench.clock.now();
    store.refuse_changes(true);
    assert!(bench.core.save_session_uses().await.is_err());
    store.refuse_changes(false);
    bench.pass(5);
    assert_eq!(saved(&bench).await, Some(used));
}
