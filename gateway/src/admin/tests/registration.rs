//! Whether anybody may make an account.

use super::*;
use crate::auth::account::PersonName;
use crate::auth::password::PasswordRule;
use crate::auth::register::{Registering as Policy, Registration as Wanted};

/// State, what the configuration says, what is stored.
fn seen(reply: Result<Reply, Error>) -> [Registering; 3] {
    match reply {
        Ok(Reply::Found(Record::Registration(it))) => [it.state, it.configured, it.stored],
        other => panic!("{other:?}"),
    }
}

async fn register(bench: &Bench, name: &str) -> Result<(), Error> {
    let email = format!("{name}@example.com");
    let name = PersonName::default();
    let wanted = Wanted { email, username: None, name, password: PASSWORD.into() };
    bench.core.register(wanted, &CLIENT, PasswordRule::default(), ISSUANCE).await.map(drop)
}

#[tokio::test]
async fn what_is_closed_is_closed_at_once_and_opened_again_by_the_same() {
    use Registering::{Closed, Open};
    let bench = Bench::new();
    assert_eq!(seen(bench.ask(Request::ShowRegistration).await), [Open; 3]);
    register(&bench, "ann").await.unwrap();
    for _ in 0..2 {
        let closed = bench.ask(Request::SetRegistration { state: Closed }).await;
        assert_eq!(seen(closed), [Closed, Open, Closed]);
    }
    assert_eq!(seen(bench.ask(Request::ShowRegistration).await), [Closed, Open, Closed]);
    assert_error!(register(&bench, "ben").await, Error::RegistrationClosed);
    // Administrators are asked by nobody.
    bench.add("cat").await;
    for _ in 0..2 {
        let opened = bench.ask(Request::SetRegistration { state: Open }).await;
        assert_eq!(seen(opened), [Open; 3]);
    }
    register(&bench, "ben").await.unwrap();
}

#[tokio::test]
async fn what_the_configuration_closes_is_not_opened_by_anybody() {
    use Registering::{Closed, Open};
    let mut bench = Bench::new();
    bench.core.policy.registration = Policy::Closed;
    let opened = bench.ask(Request::SetRegistration { state: Open }).await;
    assert_eq!(seen(opened), [Closed, Closed, Open]);
    assert_error!(register(&bench, "ann").await, Error::RegistrationClosed);
    let closed = bench.ask(Request::SetRegistration { state: Closed }).await;
    assert_eq!(seen(closed), [Closed; 3]);
}
