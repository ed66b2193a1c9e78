//! The core with a set clock, counted hashing and a store of maps.

mod ends;
mod github;
mod keys;
mod link;
mod meanwhile;
mod registering;
mod renewing;
mod replica;
mod sessions;
mod tickets;
mod tokens;
mod words;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;

use super::account::{Account, AccountId, AccountState, HashedPassword, Username};
use super::api_key::NewKey;
use super::error::{Error, Refusal};
use super::link::LinkPolicy;
use super::login::{Issuance, TokenPair};
use super::password::PasswordRule;
use super::password::{Unacceptable, check_acceptable};
use super::ports::{Clock, FailureLimit, Mailer, Message, PasswordHasher, Priority};
use super::principal::{Principal, Proof};
use super::register::Registering;
use super::secret::Secret;
use super::session_client::SessionClient;
use super::source::Source;
use super::standing::Standing;
use super::time::{Seconds, Timestamp};
use super::work::Work;
use super::{Core, Policy, Ports};
use crate::crypto::entropy::SystemEntropy;
use crate::crypto::jwt::Hs256Signer;
use crate::store::in_memory::InMemoryStore;

pub(crate) struct SetClock(pub AtomicU64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// "Hashes" are the passwords themselves, and every operation is counted. With the
/// switch on, new ones are told from old ones.
#[derive(Default)]
pub(crate) struct Counting(AtomicU64, AtomicBool);

#[async_trait]
impl PasswordHasher for Counting {
    async fn verify(
        &self,
        hash: Option<HashedPassword>,
        password: Secret,
        _: Work,
        _: Priority,
    ) -> Result<bool, Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let password = password.expose();
        Ok(hash.is_some_and(|hash| hash.0.strip_prefix("strong ").unwrap_or(&hash.0) == password))
    }

    async fn hash(&self, password: Secret, _: Priority) -> Result<HashedPassword, Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let strong = if self.1.load(Ordering::SeqCst) { "strong " } else { "" };
        Ok(HashedPassword(format!("{strong}{}", password.expose())))
    }

    fn outdated(&self, hash: &HashedPassword) -> bool {
        hash.0.starts_with("weak")
    }
}

pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) clock: Arc<SetClock>,
    hasher: Arc<Counting>,
    mails: Arc<Mails>,
}

/// What was handed over to be sent.
#[derive(Default)]
struct Mails(std::sync::Mutex<Vec<Message>>);

impl Mailer for Mails {
    fn send(&self, message: Message) -> Result<(), Error> {
        self.0.lock().unwrap().push(message);
        Ok(())
    }
}

const ACCESS_TTL: Seconds = Seconds(28_800);
/// Where people of the tests are.
pub(crate) const HERE: Source = Source::V4(0xcb00_7107);
/// Who signs in from [`HERE`].
pub(crate) static CLIENT: SessionClient =
    SessionClient { address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)), user_agent: None };
pub(crate) const PASSWORD: &str = "correct horse";
const ROTATING: Issuance =
    Issuance { access_ttl: ACCESS_TTL, rotate: true, shows_role: false, life: None };

/// Over a store in memory.
pub(crate) fn core_over(
    hasher: Arc<dyn PasswordHasher>,
    clock: Arc<SetClock>,
    mailer: Option<Arc<dyn Mailer>>,
) -> Core {
    let (policy, ports) = parts_over(hasher, clock, mailer);
    Core::new(policy, ports)
}

/// As above, not put together yet.
pub(crate) fn parts_over(
    hasher: Arc<dyn PasswordHasher>,
    clock: Arc<SetClock>,
    mailer: Option<Arc<dyn Mailer>>,
) -> (Policy, Ports) {
    let standing = Arc::new(Standing::default());
    let week = Seconds(604_800);
    let store = InMemoryStore::new(Arc::clone(&standing), week);
    let policy = Policy {
        issuer: "portcullis".to_owned(),
        audience: "portcullis".to_owned(),
        refresh_ttl: week,
        refresh_grace: Seconds(60),
        renewed_access_ttl: Seconds(900),
        ticket_ttl: Seconds(120),
        clock_skew: Seconds(0),
        registration: Registering::Open,
        registrations: FailureLimit { attempts: 101, user_attempts: 1_000, window: Seconds(3_600) },
        local_accounts: true,
        failure_window: Seconds(300),
        links: Some(LinkPolicy { base: "https://gate.example/".to_owned(), ttl: Seconds(86_400) }),
    };
    let secret = Secret::from("0123456789abcdef0123456789abcdef");
    let ports = Ports {
        store: Arc::new(store),
        standing,
        hasher,
        signer: Arc::new(Hs256Signer::new(&secret, None).unwrap()),
        clock,
        entropy: Arc::new(SystemEntropy::default()),
        github: None,
        mailer,
    };
    (policy, ports)
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(SetClock(AtomicU64::new(1_800_000_000_000)));
        let hasher = Arc::new(Counting::default());
        let mails = Arc::new(Mails::default());
        let core = core_over(
            Arc::clone(&hasher) as Arc<dyn PasswordHasher>,
            Arc::clone(&clock),
            Some(Arc::clone(&mails) as Arc<dyn Mailer>),
        );
        let bench = Self { core, clock, hasher, mails };
        bench.add("ann", PASSWORD).await;
        bench
    }

    pub(crate) async fn add(&self, name: &str, password: &str) -> AccountId {
        self.add_under(name, &format!("{name}@example.com"), password).await
    }

    async fn add_under(&self, name: &str, email: &str, password: &str) -> AccountId {
        let account = Account {
            email: Some(email.to_owned()),
            password: Some(HashedPassword(password.to_owned())),
            ..Account::new(
                AccountId(self.core.new_uuid()),
                Username::parse(name).unwrap(),
                self.clock.now(),
            )
        };
        let id = account.id;
        self.core.store().create_account(account).await.unwrap();
        id
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    async fn login(&self) -> TokenPair {
        self.core.login("ann", &PASSWORD.into(), &CLIENT, ROTATING).await.unwrap().1
    }

    fn judge(&self, token: &Secret) -> Result<(), Refusal> {
        self.core.verify_access(token.expose()).map(|_| ())
    }

    async fn change_password(&self, token: &Secret, current: &str, new: &str) -> Result<(), Error> {
        let principal = self.core.verify_access(token.expose())?;
        self.core
            .change_password(&principal, current.into(), new.into(), PasswordRule::default(), HERE)
            .await
    }

    fn hashes(&self) -> u64 {
        self.hasher.0.load(Ordering::SeqCst)
    }
}

fn refusal<T>(outcome: Result<T, Error>) -> Option<Refusal> {
    match outcome {
        Err(Error::Refused(refusal)) => Some(refusal),
        _ => None,
    }
}

#[tokio::test]
async fn an_access_token_lives_its_time_to_the_second() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    assert_eq!(bench.judge(&pair.access.text), Ok(()));
    bench.pass(28_799);
    assert_eq!(bench.judge(&pair.access.text), Ok(()));
    bench.pass(1);
    assert_eq!(bench.judge(&pair.access.text), Err(Refusal::TokenExpired));
    // Also when it was never seen before.
    let pair = bench.login().await;
    bench.pass(28_800);
    assert_eq!(bench.judge(&pair.access.text), Err(Refusal::TokenExpired));
}

#[tokio::test]
async fn a_token_is_not_good_before_it_was_issued() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    bench.clock.0.fetch_sub(1000, Ordering::SeqCst);
    assert_eq!(bench.judge(&pair.access.text), Err(Refusal::TokenNotYetValid));
}

/// The clocks of gateways that share a store differ.
#[tokio::test]
async fn the_clock_that_dated_a_token_may_be_ahead_by_the_skew_and_no_more() {
    let mut bench = Bench::new().await;
    bench.core.policy.clock_skew = Seconds(5);
    let pair = bench.login().await;
    bench.clock.0.fetch_sub(5_000, Ordering::SeqCst);
    assert_eq!(bench.judge(&pair.access.text), Ok(()));
    bench.clock.0.fetch_sub(1_000, Ordering::SeqCst);
    assert_eq!(bench.judge(&pair.access.text), Err(Refusal::TokenNotYetValid));
    // It ends when it says, for the skew as well.
    bench.pass(6 + 28_800);
    assert_eq!(bench.judge(&pair.access.text), Err(Refusal::TokenExpired));
}

#[tokio::test]
async fn the_two_kinds_of_token_are_not_exchangeable() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    assert_eq!(bench.judge(&pair.refresh), Err(Refusal::TokenKind));
    let refreshed = bench.core.refresh(pair.access.text.expose(), ROTATING).await;
    assert_eq!(refusal(refreshed), Some(Refusal::TokenKind));
}

#[tokio::test]
async fn a_refresh_token_lives_seven_days() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    bench.pass(604_799);
    let (_, renewed) = bench.core.refresh(pair.refresh.expose(), ROTATING).await.unwrap();
    bench.pass(604_800);
    let late = bench.core.refresh(renewed.refresh.expose(), ROTATING).await;
    assert_eq!(refusal(late), Some(Refusal::TokenExpired));
}

#[tokio::test]
async fn a_repeated_refresh_gets_the_same_pair_and_later_ends_the_family() {
    let bench = Bench::new().await;
    let first = bench.login().await;
    let refresh = |pair: &TokenPair| {
        let token = pair.refresh.clone();
        let core = &bench.core;
        async move { core.refresh(token.expose(), ROTATING).await.map(|(_, pair)| pair) }
    };
    let second = refresh(&first).await.unwrap();
    assert_ne!(first.refresh.expose(), second.refresh.expose());
    bench.pass(59);
    let again = refresh(&first).await.unwrap();
    assert_eq!(again.refresh.expose(), second.refresh.expose());
    assert_eq!(again.access.text.expose(), second.access.text.expose());
    assert_eq!(bench.judge(&second.access.text), Ok(()));
    bench.pass(1);
    assert_eq!(refusal(refresh(&first).await), Some(Refusal::RefreshReused));
    for token in [&first.access.text, &second.access.text] {
        assert_eq!(bench.judge(token), Err(Refusal::SessionEnded));
    }
    assert_eq!(refusal(refresh(&second).await), Some(Refusal::SessionEnded));
}

#[tokio::test]
async fn without_rotation_the_refresh_token_goes_on_and_is_not_prolonged() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    let keeping =
        Issuance { access_ttl: Seconds(1800), rotate: false, shows_role: false, life: None };
    for _ in 0..3 {
        let (_, renewed) = bench.core.refresh(pair.refresh.expose(), keeping).await.unwrap();
        assert_eq!(renewed.refresh.expose(), pair.refresh.expose());
        assert_eq!(bench.judge(&renewed.access.text), Ok(()));
        bench.pass(100_000);
    }
    bench.pass(304_800);
    let late = bench.core.refresh(pair.refresh.expose(), keeping).await;
    assert_eq!(refusal(late), Some(Refusal::TokenExpired));
}

#[tokio::test]
async fn logout_ends_the_presented_token_and_no_other() {
    let bench = Bench::new().await;
    let (one, two) = (bench.login().await, bench.login().await);
    let principal = bench.core.verify_access(one.access.text.expose()).unwrap();
    bench.core.logout(&principal).await.unwrap();
    assert_eq!(bench.judge(&one.access.text), Err(Refusal::TokenRevoked));
    assert_eq!(bench.judge(&two.access.text), Ok(()));
    assert!(bench.core.refresh(one.refresh.expose(), ROTATING).await.is_ok());
}

#[tokio::test]
async fn a_password_change_ends_every_other_session() {
    let bench = Bench::new().await;
    let (mine, other) = (bench.login().await, bench.login().await);
    bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    bench.change_password(&mine.access.text, PASSWORD, "new password").await.unwrap();
    assert_eq!(bench.judge(&mine.access.text), Ok(()));
    assert_eq!(bench.judge(&other.access.text), Err(Refusal::SessionEnded));
    assert!(bench.core.cached_basic("ann", PASSWORD).is_none());
    let old = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await;
    assert_eq!(refusal(old), Some(Refusal::PasswordFormer));
    let old = bench.core.login("ann", &PASSWORD.into(), &CLIENT, ROTATING).await;
    assert_eq!(refusal(old), Some(Refusal::PasswordWrong));
    bench.core.verify_basic("ann", &"new password".into(), HERE).await.unwrap();
    assert!(bench.core.refresh(mine.refresh.expose(), ROTATING).await.is_ok());
    let other = bench.core.refresh(other.refresh.expose(), ROTATING).await;
    assert_eq!(refusal(other), Some(Refusal::SessionEnded));
}

/// Tabs that are open go on sending it.
#[tokio::test]
async fn the_former_password_is_known_without_a_hash_and_for_one_window() {
    let bench = Bench::new().await;
    let ben = bench.add("ben", "another horse").await;
    let pair = bench.login().await;
    bench.change_password(&pair.access.text, PASSWORD, "new password").await.unwrap();
    let before = bench.hashes();
    let is_former = |name, password| bench.core.is_former_basic(name, password);
    assert!(is_former("ann", PASSWORD) && is_former("ANN@example.com", PASSWORD));
    for (name, password) in [
        ("ann", "new password"),
        ("ann", "correct hors"),
        ("ann", ""),
        ("ben", PASSWORD),
        ("ben", "another horse"),
        ("nobody", PASSWORD),
    ] {
        assert!(!is_former(name, password), "{name} {password}");
    }
    // It is the account's own: in another's record it says nothing.
    let ann = bench.core.standing().account_by_name("ann").unwrap();
    let mut other = (*bench.core.standing().account(ben).unwrap()).clone();
    (other.former, other.version) = (ann.former.clone(), ann.version);
    bench.core.standing().put_account(other);
    assert!(!is_former("ben", PASSWORD));
    bench.pass(299);
    assert!(is_former("ann", PASSWORD));
    assert_eq!(bench.hashes(), before);
    bench.pass(1);
    assert!(!is_former("ann", PASSWORD));
    let old = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await;
    assert_eq!(refusal(old), Some(Refusal::PasswordWrong));
}

#[tokio::test]
async fn what_is_the_password_now_is_never_the_former_one() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    let change = |from, to| bench.change_password(&pair.access.text, from, to);
    let is_former = |password| bench.core.is_former_basic("ann", password);
    change(PASSWORD, PASSWORD).await.unwrap();
    assert!(!is_former(PASSWORD));
    change(PASSWORD, "new password").await.unwrap();
    change("new password", PASSWORD).await.unwrap();
    assert!(is_former("new password") && !is_former(PASSWORD));
    bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    // A reset does not know what was before, and may set it.
    let ann = bench.core.standing().account_by_name("ann").unwrap().id;
    bench.core.reset_password(ann, "new password".into()).await.unwrap();
    assert!(!is_former("new password") && !is_former(PASSWORD));
    bench.core.verify_basic("ann", &"new password".into(), HERE).await.unwrap();
}

#[tokio::test]
async fn a_disabled_account_has_no_former_password() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    bench.change_password(&pair.access.text, PASSWORD, "new password").await.unwrap();
    assert!(bench.core.is_former_basic("ann", PASSWORD));
    let ann = bench.core.standing().account_by_name("ann").unwrap().id;
    bench.core.store().set_state(ann, AccountState::Disabled, bench.clock.now()).await.unwrap();
    assert!(!bench.core.is_former_basic("ann", PASSWORD));
}

#[tokio::test]
async fn a_wrong_current_password_changes_nothing() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    let wrong = bench.change_password(&pair.access.text, "wrong", "new password").await;
    assert_eq!(refusal(wrong), Some(Refusal::PasswordWrong));
    bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
}

#[tokio::test]
async fn passwords_have_a_floor_and_a_ceiling() {
    assert_eq!(check_acceptable("1234567"), Err(Unacceptable::TooShort));
    assert_eq!(check_acceptable("12345678"), Ok(()));
    // Characters at the floor, bytes at the ceiling.
    assert_eq!(check_acceptable("éééé"), Err(Unacceptable::TooShort));
    assert_eq!(check_acceptable(&"é".repeat(36)), Ok(()));
    assert_eq!(check_acceptable(&"é".repeat(37)), Err(Unacceptable::TooLong));
    assert_eq!(check_acceptable("1234567\0"), Err(Unacceptable::HoldsNul));
}

/// bcrypt takes what begins again after a NUL for the same password, and reads 72 bytes.
#[tokio::test]
async fn what_could_not_have_been_set_is_no_password_whatever_the_hash_says() {
    let bench = Bench::new().await;
    for (number, (password, good)) in [
        ("a".repeat(72), true),
        ("a".repeat(73), false),
        ("correct\0correct".to_owned(), false),
        (format!("{}\0", "a".repeat(72)), false),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("ann{number}");
        let id = bench.add(&name, &password).await;
        let login = bench.core.login(&name, &password.as_str().into(), &CLIENT, ROTATING).await;
        assert_eq!(login.is_ok(), good, "{password:?}");
        let basic = bench.core.verify_basic(&name, &password.as_str().into(), HERE).await;
        assert_eq!(basic.is_ok(), good, "{password:?}");
        let caller = Principal::new(bench.core.standing.account(id).unwrap(), Proof::Password);
        let rule = PasswordRule::default();
        let changed = bench
            .core
            .change_password(&caller, password.as_str().into(), "another one".into(), rule, HERE)
            .await;
        assert_eq!(changed.is_ok(), good, "{password:?}");
    }
}

#[tokio::test]
async fn disabling_an_account_ends_everything_of_it_at_once() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    let account = bench.core.standing().account_by_name("ann").unwrap().id;
    let new = NewKey {
        owner: account,
        name: String::new(),
        server: None,
        scopes: Vec::new(),
        expires: None,
    };
    let (_, key) = bench.core.create_key(new).await.unwrap();
    assert!(bench.core.verify_key(key.expose()).is_ok());
    bench.core.store().set_state(account, AccountState::Disabled, bench.clock.now()).await.unwrap();
    assert!(bench.judge(&pair.access.text).is_err());
    assert_eq!(bench.core.verify_key(key.expose()).err(), Some(Refusal::AccountDisabled));
    let basic = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await;
    assert_eq!(refusal(basic), Some(Refusal::AccountDisabled));
    let refreshed = bench.core.refresh(pair.refresh.expose(), ROTATING).await;
    assert_eq!(refusal(refreshed), Some(Refusal::AccountDisabled));
}

/// Time is what hashing takes, so its count is what an observer could learn.
#[tokio::test]
async fn every_wrong_sign_in_costs_the_same_hashing_whoever_it_is_for() {
    let bench = Bench::new().await;
    bench.add("bob", "weak password").await;
    let carol = bench.add("carol", PASSWORD).await;
    bench.core.store().set_state(carol, AccountState::Disabled, bench.clock.now()).await.unwrap();
    let long = "a".repeat(73);
    for (name, password, expected) in [
        ("ann", "wrong password", 1),
        ("ANN@example.com", "wrong password", 1),
        ("bob", "wrong password", 1),
        ("carol", "wrong password", 1),
        ("carol", PASSWORD, 1),
        ("nobody", "wrong password", 1),
        ("", "", 1),
        // Nobody's password is longer than 72 bytes or holds a NUL, whoever it is.
        ("ann", &long, 1),
        ("nobody", &long, 1),
        ("ann", "correct\0horse", 1),
        ("nobody", "correct\0horse", 1),
    ] {
        let before = bench.hashes();
        assert!(bench.core.verify_basic(name, &password.into(), HERE).await.is_err());
        assert_eq!(bench.hashes() - before, expected, "{name} by Basic");
        assert!(bench.core.login(name, &password.into(), &CLIENT, ROTATING).await.is_err());
        assert_eq!(bench.hashes() - before, 2 * expected, "{name} by login");
    }
}

#[tokio::test]
async fn a_verified_basic_credential_is_not_hashed_again() {
    let bench = Bench::new().await;
    bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    let before = bench.hashes();
    bench.core.verify_basic("ANN", &PASSWORD.into(), HERE).await.unwrap();
    bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    assert_eq!(bench.hashes(), before);
    assert!(bench.core.verify_basic("ann", &"other".into(), HERE).await.is_err());
    assert!(bench.core.verify_basic("ann", &"other".into(), HERE).await.is_err());
    assert_eq!(bench.hashes(), before + 2, "failures are never remembered");
}

#[tokio::test]
async fn a_weak_hash_is_upgraded_at_login_and_nothing_ends() {
    let bench = Bench::new().await;
    let id = bench.add("bob", "weak password").await;
    let before = bench.core.standing().account(id).unwrap();
    let (_, pair) =
        bench.core.login("bob", &"weak password".into(), &CLIENT, ROTATING).await.unwrap();
    assert_eq!(bench.judge(&pair.access.text), Ok(()));
    assert_eq!(bench.core.standing().account(id).unwrap().version, before.version);
}

#[tokio::test]
async fn a_weak_hash_is_upgraded_by_basic_once_and_nothing_ends() {
    let bench = Bench::new().await;
    let id = bench.add("bob", "weak password").await;
    bench.hasher.1.store(true, Ordering::SeqCst);
    let opened = bench.core.verify_basic("bob", &"weak password".into(), HERE).await.unwrap();
    let upgraded = bench.core.standing().account(id).unwrap();
    assert_eq!(upgraded.password, Some(HashedPassword("strong weak password".to_owned())));
    assert!(bench.core.standing().still_good(&opened, bench.clock.now()).is_ok());
    let before = bench.hashes();
    for _ in 0..3 {
        bench.core.verify_basic("bob", &"weak password".into(), HERE).await.unwrap();
        assert!(bench.core.cached_basic("bob", "weak password").is_some());
    }
    assert_eq!(bench.hashes(), before, "it is remembered under its new hash");
    assert!(bench.core.standing().still_good(&opened, bench.clock.now()).is_ok());
}

#[tokio::test]
async fn a_ticket_works_once_and_for_two_minutes() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    let principal = bench.core.verify_access(pair.access.text.expose()).unwrap();
    let ticket = bench.core.issue_ticket(&principal).await.unwrap();
    bench.pass(119);
    let redeemed = bench.core.redeem_ticket(ticket.expose()).await.unwrap();
    assert_eq!(redeemed.account_id(), principal.account_id());
    let again = bench.core.redeem_ticket(ticket.expose()).await;
    assert_eq!(refusal(again), Some(Refusal::TicketUnknown));
    let late = bench.core.issue_ticket(&principal).await.unwrap();
    bench.pass(120);
    let late = bench.core.redeem_ticket(late.expose()).await;
    assert_eq!(refusal(late), Some(Refusal::TicketUnknown));
}

#[tokio::test]
async fn a_ticket_ends_with_the_token_it_was_asked_with() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    let principal = bench.core.verify_access(pair.access.text.expose()).unwrap();
    let ticket = bench.core.issue_ticket(&principal).await.unwrap();
    bench.core.logout(&principal).await.unwrap();
    let redeemed = bench.core.redeem_ticket(ticket.expose()).await;
    assert_eq!(refusal(redeemed), Some(Refusal::TokenRevoked));
}

#[tokio::test]
async fn a_mistyped_key_is_told_from_an_unknown_one() {
    let bench = Bench::new().await;
    let owner = bench.core.standing().account_by_name("ann").unwrap().id;
    let expires = Some(bench.clock.now().plus(Seconds(10)));
    let new = NewKey { owner, name: "ci".to_owned(), server: None, scopes: Vec::new(), expires };
    let (key, text) = bench.core.create_key(new).await.unwrap();
    assert!(text.expose().starts_with(&key.shown) && text.expose().len() == 57);
    let mut mistyped = text.expose().to_owned();
    let last = if mistyped.ends_with('A') { "B" } else { "A" };
    mistyped.replace_range(56..57, last);
    assert_eq!(bench.core.verify_key(&mistyped).err(), Some(Refusal::KeyMalformed));
    for text in ["", "sk_live_", "sk_live_é", &"a".repeat(57)] {
        assert_eq!(bench.core.verify_key(text).err(), Some(Refusal::KeyMalformed));
    }
    assert!(bench.core.verify_key(text.expose()).is_ok());
    bench.pass(10);
    assert_eq!(bench.core.verify_key(text.expose()).err(), Some(Refusal::KeyExpired));
    bench.core.store().delete_key(key.id, None).await.unwrap();
    assert_eq!(bench.core.verify_key(text.expose()).err(), Some(Refusal::KeyUnknown));
}

#[tokio::test]
async fn the_role_is_the_present_one_however_old_the_token() {
    let bench = Bench::new().await;
    let pair = bench.login().await;
    let principal = bench.core.verify_access(pair.access.text.expose()).unwrap();
    assert_eq!(principal.account.roles, ["user"]);
    let mut promoted = (*principal.account).clone();
    promoted.roles = vec!["admin".to_owned()];
    bench.core.standing().put_account(promoted);
    let principal = bench.core.verify_access(pair.access.text.expose()).unwrap();
    assert_eq!(principal.account.roles, ["admin"]);
}

#[test]
fn secrets_do_not_show_themselves() {
    let secret = Secret::from("hunter42");
    let shown = format!("{secret:?} {:?}", HashedPassword("hunter42".to_owned()));
    assert!(!shown.contains("hunter42"), "{shown}");
}
