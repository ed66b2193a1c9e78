//! What a session remembers of its client.

use super::super::account::PersonName;
use super::super::register::Registration;
use super::super::session_client::{SessionClient, UserAgent};
use super::super::token::Session;
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
