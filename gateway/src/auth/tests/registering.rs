//! Registering: who may, under which names, and what a refusal costs.

use super::super::account::PersonName;
use super::super::error::Name;
use super::super::register::Registration;
use super::super::source::Source;
use super::*;

fn registration(email: &str, username: Option<&str>) -> Registration {
    Registration {
        email: email.to_owned(),
        username: username.map(str::to_owned),
        name: PersonName::default(),
        password: PASSWORD.into(),
    }
}

fn client_at(source: Source) -> SessionClient {
    SessionClient { address: source.address(), user_agent: None }
}

impl Bench {
    async fn register(&self, new: Registration) -> Result<(Arc<Account>, TokenPair), Error> {
        self.register_from(Source::V4(1), new).await
    }

    async fn register_from(
        &self,
        source: Source,
        new: Registration,
    ) -> Result<(Arc<Account>, TokenPair), Error> {
        self.core.register(new, &client_at(source), PasswordRule::default(), ROTATING).await
    }

    /// Which name breaks its rule.
    fn broken(
        &self,
        username: Option<&str>,
        email: Option<&str>,
        name: PersonName,
    ) -> Option<Name> {
        match self.core.unfinished_account(username, email.map(str::to_owned), name) {
            Ok(_) => None,
            Err(Error::Name(name)) => Some(name),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn who_registers_is_signed_in_and_can_sign_in_again_by_either_name() {
    let bench = Bench::new().await;
    let new = registration("Bea@example.com", Some("bea"));
    let (account, pair) = bench.register(new).await.unwrap();
    assert_eq!(bench.judge(&pair.access.text), Ok(()));
    assert!(!account.email_verified);
    for name in ["bea", "bea@example.com"] {
        let (known, _) = bench.core.login(name, &PASSWORD.into(), &CLIENT, ROTATING).await.unwrap();
        assert_eq!(known.id, account.id);
    }
}

#[tokio::test]
async fn nobody_registers_where_it_is_closed_or_passwords_do_not_sign_in() {
    let mut bench = Bench::new().await;
    bench.register(registration("one@example.com", None)).await.unwrap();
    bench.core.store.set_registration(Registering::Closed).await.unwrap();
    let closed = bench.register(registration("two@example.com", None)).await;
    assert!(matches!(closed, Err(Error::RegistrationClosed)), "{closed:?}");
    bench.core.store.set_registration(Registering::Open).await.unwrap();
    bench.register(registration("two@example.com", None)).await.unwrap();
    bench.core.policy.registration = Registering::Closed;
    let closed = bench.register(registration("three@example.com", None)).await;
    assert!(matches!(closed, Err(Error::RegistrationClosed)), "{closed:?}");
    bench.core.policy.registration = Registering::Open;
    bench.core.policy.local_accounts = false;
    let disabled = bench.register(registration("three@example.com", None)).await;
    assert!(matches!(disabled, Err(Error::LocalAccountsDisabled)), "{disabled:?}");
    assert!(bench.core.standing.account_by_name("three@example.com").is_none());
}

#[tokio::test]
async fn a_name_that_is_taken_costs_no_hash() {
    let bench = Bench::new().await;
    let before = bench.hashes();
    bench.register(registration("bea@example.com", Some("bea"))).await.unwrap();
    let cost = bench.hashes() - before;
    assert_eq!(cost, 1);
    // An address is nobody else's user name either, and case tells no names apart.
    bench.add_under("mona@example.org", "mona@example.com", PASSWORD).await;
    let before = bench.hashes();
    for (email, username, taken) in [
        ("ann@example.com", Some("other"), Name::Email),
        ("ANN@example.com", None, Name::Email),
        ("mona@example.org", Some("other"), Name::Email),
        ("other@example.com", Some("ann"), Name::User),
        ("other@example.com", Some("BEA"), Name::User),
    ] {
        let outcome = bench.register(registration(email, username)).await;
        match outcome {
            Err(Error::Taken(name)) => assert_eq!(name, taken, "{email} {username:?}"),
            other => panic!("{email} {username:?}: {other:?}"),
        }
    }
    assert_eq!(bench.hashes(), before);
}

const HERE: Source = Source::V4(7);

/// What a registration from `HERE` leaves whose answer was lost.
async fn unanswered() -> (Bench, Account) {
    let bench = Bench::new().await;
    let (core, email) = (&bench.core, Some("bea@example.com".to_owned()));
    let made = core.unfinished_account(Some("bea"), email, PersonName::default()).unwrap();
    let address = HERE.address().to_string();
    let parts = [&made.id.0.as_bytes()[..], address.as_bytes()];
    let made = Account {
        password: Some(HashedPassword(PASSWORD.to_owned())),
        registered_from: Some(Box::new(core.signer.seal("registered from", &parts))),
        ..made
    };
    let (session, _) = core.first_session(&made, &client_at(HERE), ROTATING);
    core.store.register(made.clone(), session).await.unwrap();
    (bench, made)
}

fn bea(password: &str) -> Registration {
    Registration { password: password.into(), ..registration("Bea@example.com", Some("Bea")) }
}

#[tokio::test]
async fn who_had_no_answer_says_the_same_again_and_has_the_account() {
    let (bench, made) = unanswered().await;
    bench.clock.0.fetch_add(59_000, Ordering::SeqCst);
    let (account, pair) = bench.register_from(HERE, bea(PASSWORD)).await.unwrap();
    assert_eq!(account.id, made.id);
    assert_eq!(bench.judge(&pair.access.text), Ok(()));
    // Which is an answer.
    let again = bench.register_from(HERE, bea(PASSWORD)).await;
    assert!(matches!(again, Err(Error::Taken(Name::Email))), "{again:?}");
}

#[tokio::test]
async fn who_had_an_answer_cannot_register_the_same_again() {
    let bench = Bench::new().await;
    bench.register_from(HERE, bea(PASSWORD)).await.unwrap();
    let again = bench.register_from(HERE, bea(PASSWORD)).await;
    assert!(matches!(again, Err(Error::Taken(Name::Email))), "{again:?}");
    let account = bench.core.standing.account_by_name("bea").unwrap();
    assert_eq!(account.registered_from, None, "where from is kept no longer than needed");
}

#[tokio::test]
async fn nobody_else_has_the_account_and_no_other_password_or_name() {
    let (bench, made) = unanswered().await;
    let before = bench.hashes();
    let elsewhere = bench.register_from(Source::V4(8), bea(PASSWORD)).await;
    assert!(matches!(elsewhere, Err(Error::Taken(_))), "{elsewhere:?}");
    for (email, username) in
        [("bea@example.com", Some("other")), ("other@example.com", Some("bea"))]
    {
        let other = bench.register_from(HERE, registration(email, username)).await;
        assert!(matches!(other, Err(Error::Taken(_))), "{other:?}");
    }
    assert_eq!(bench.hashes(), before, "nothing of these tries a password");
    let guess = bench.register_from(HERE, bea("another password")).await;
    assert!(matches!(guess, Err(Error::TakenAndGuessed(Name::Email))), "{guess:?}");
    bench.clock.0.fetch_add(60_000, Ordering::SeqCst);
    let late = bench.register_from(HERE, bea(PASSWORD)).await;
    assert!(matches!(late, Err(Error::Taken(_))), "{late:?}");
    assert!(bench.core.login("bea", &PASSWORD.into(), &CLIENT, ROTATING).await.is_ok());
    assert_eq!(bench.core.standing.account_by_name("bea").map(|bea| bea.id), Some(made.id));
}

/// Memory may not have heard of the other account yet.
#[tokio::test]
async fn the_store_decides_which_name_is_taken() {
    let bench = Bench::new().await;
    let account = |username: &str, email: &str| {
        let (email, name) = (Some(email.to_owned()), PersonName::default());
        bench.core.unfinished_account(Some(username), email, name).unwrap()
    };
    bench.core.store_account(account("bea", "bea@example.com")).await.unwrap();
    let taken = bench.core.store_account(account("ann", "other@example.com")).await;
    assert!(matches!(taken, Err(Error::Taken(Name::User))), "{taken:?}");
    let taken = bench.core.store_account(account("other", "ann@example.com")).await;
    assert!(matches!(taken, Err(Error::Taken(Name::Email))), "{taken:?}");
    assert!(bench.core.standing.account_by_name("other").is_none());
}

#[tokio::test]
async fn an_address_that_cannot_be_one_is_refused() {
    let bench = Bench::new().await;
    let nameless = PersonName::default;
    for email in [None, Some("bea@example.com"), Some("b.e.a+1@mail.example.com")] {
        assert_eq!(bench.broken(Some("bea"), email, nameless()), None, "{email:?}");
    }
    for email in ["", "bea", "bea@", "@example.com", "bea@localhost", "bea@example.com "] {
        let broken = bench.broken(Some("bea"), Some(email), nameless());
        assert_eq!(broken, Some(Name::Email), "{email:?}");
    }
}

/// Else one account could be waiting under the address of somebody else.
#[tokio::test]
async fn a_user_name_reads_like_an_address_only_if_it_is_the_accounts_own() {
    let bench = Bench::new().await;
    for (username, email, broken) in [
        (None, Some("bea@example.com"), None),
        (Some("bea@example.com"), Some("bea@example.com"), None),
        (Some("BEA@example.com"), Some("bea@Example.com"), None),
        (Some("bea"), Some("bea@example.com"), None),
        (Some("bea"), None, None),
        (Some("ann@example.com"), Some("bea@example.com"), Some(Name::User)),
        (Some("ann@example.com"), None, Some(Name::User)),
        (Some("@"), Some("bea@example.com"), Some(Name::User)),
        (Some("b:a"), Some("bea@example.com"), Some(Name::User)),
        (Some(""), Some("bea@example.com"), Some(Name::User)),
        (None, None, Some(Name::User)),
    ] {
        let found = bench.broken(username, email, PersonName::default());
        assert_eq!(found, broken, "{username:?} {email:?}");
    }
}

#[tokio::test]
async fn each_part_of_a_persons_name_is_held_to_the_rule() {
    let bench = Bench::new().await;
    let broken = |name| bench.broken(Some("bea"), None, name);
    for name in [
        PersonName::default(),
        PersonName::whole("Béa de la Croix"),
        PersonName::in_parts("Béa", "de la Croix"),
    ] {
        assert_eq!(broken(name.clone()), None, "{name:?}");
    }
    for bad in ["", "  ", "a\u{202e}b", "a\nb", &"x".repeat(201)] {
        for name in [
            PersonName::whole(bad),
            PersonName::in_parts(bad, "Croix"),
            PersonName::in_parts("Béa", bad),
        ] {
            assert_eq!(broken(name.clone()), Some(Name::Person), "{name:?}");
        }
    }
}
