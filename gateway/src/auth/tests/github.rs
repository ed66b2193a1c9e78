//! Signing in with GitHub: whose account it is, and what becomes of it.

use super::super::error::Name;
use super::super::federation::{
    FederatedIdentity, FederationError, Grant, IdentityProvider, Joined, Joining,
};
use super::super::ports::{AccountChange, Administration};
use super::*;

/// Somebody whom GitHub vouches for, whatever the code.
struct Vouched {
    identity: FederatedIdentity,
    restricted: bool,
}

#[async_trait]
impl IdentityProvider for Vouched {
    fn client_id(&self) -> &'static str {
        "Iv1.0123456789abcdef"
    }

    fn is_restricted(&self) -> bool {
        self.restricted
    }

    fn authorize_url(&self, state: &str, challenge: &str, redirect: &str) -> String {
        format!("https://github.example/?{state}&{challenge}&{redirect}")
    }

    async fn exchange(&self, _: Grant) -> Result<FederatedIdentity, FederationError> {
        Ok(self.identity.clone())
    }
}

const NUMBER: u64 = 583_231;

fn identity(email: &str) -> FederatedIdentity {
    FederatedIdentity {
        subject: NUMBER,
        login: "octocat".to_owned(),
        email: Some(email.to_owned()),
        name: Some("Mona Lisa".to_owned()),
        avatar: Some("https://github.example/mona.png".to_owned()),
    }
}

/// What a sign-in has come to, and what it has changed on the way.
type SignedIn = (Result<(Arc<Account>, TokenPair), Error>, Option<Joined>);

impl Bench {
    fn vouch_for(&mut self, email: &str) {
        let vouched = Vouched { identity: identity(email), restricted: false };
        self.core.github = Some(Arc::new(vouched));
    }

    async fn come_from_github(&self) -> SignedIn {
        let grant = Grant { code: "code".into(), verifier: None, redirect: None };
        let mut joined = None;
        let outcome = self.core.sign_in_with_github(grant, &CLIENT, ROTATING, &mut joined).await;
        (outcome, joined)
    }

    fn ann(&self) -> Arc<Account> {
        self.core.standing.account_by_name("ann").unwrap()
    }

    async fn verify_address_of_ann(&self) {
        let now = self.core.clock.now();
        let change = AccountChange::of(self.ann().id, Administration::MayEnd, now);
        let change = AccountChange { email_verified: Some(true), ..change };
        self.core.store.change_account(change).await.unwrap();
    }
}

fn how(joined: Option<&Joined>) -> Option<Joining> {
    joined.map(|joined| joined.joining)
}

#[tokio::test]
async fn github_is_offered_when_it_is_configured() {
    let mut bench = Bench::new().await;
    assert!(bench.core.github().is_none());
    bench.vouch_for("mona@example.com");
    let offered = bench.core.github().map(|provider| provider.client_id().to_owned());
    assert_eq!(offered.as_deref(), Some("Iv1.0123456789abcdef"));
}

#[tokio::test]
async fn somebody_new_gets_an_account_and_signs_in_to_it_from_then_on() {
    let mut bench = Bench::new().await;
    bench.vouch_for("Mona@example.com");
    let (outcome, joined) = bench.come_from_github().await;
    let (account, pair) = outcome.unwrap();
    let joined = joined.unwrap();
    assert_eq!((joined.account, joined.subject), (account.id, NUMBER));
    assert_eq!(joined.joining, Joining::Made);
    assert_eq!(account.github, Some(NUMBER));
    assert_eq!(account.verified_email(), Some("Mona@example.com"));
    assert_eq!(account.name.full(), "Mona Lisa");
    assert_eq!(account.avatar.as_deref(), Some("https://github.example/mona.png"));
    assert_eq!(account.password, None);
    assert_eq!(bench.judge(&pair.access.text), Ok(()));
    // The number decides, whatever the address is by now.
    bench.vouch_for("ann@example.com");
    let (outcome, joined) = bench.come_from_github().await;
    assert_eq!(outcome.unwrap().0.id, account.id);
    assert_eq!(how(joined.as_ref()), None);
    assert_eq!(bench.ann().github, None);
}

#[tokio::test]
async fn an_account_whose_address_was_vouched_for_is_linked_and_keeps_what_it_has() {
    let mut bench = Bench::new().await;
    bench.verify_address_of_ann().await;
    let pair = bench.login().await;
    bench.vouch_for("Ann@Example.com");
    let (outcome, joined) = bench.come_from_github().await;
    assert_eq!(outcome.unwrap().0.id, bench.ann().id);
    assert_eq!(how(joined.as_ref()), Some(Joining::Linked));
    assert_eq!(bench.ann().github, Some(NUMBER));
    assert_eq!(bench.judge(&pair.access.text), Ok(()));
    bench.login().await;
}

/// A stranger may have registered it, and waited for who the address belongs to.
#[tokio::test]
async fn an_account_whose_address_nobody_vouched_for_is_taken_over() {
    let mut bench = Bench::new().await;
    let pair = bench.login().await;
    bench.vouch_for("ann@example.com");
    let (outcome, joined) = bench.come_from_github().await;
    let (account, new) = outcome.unwrap();
    assert_eq!(account.id, bench.ann().id);
    assert_eq!(how(joined.as_ref()), Some(Joining::TakenOver));
    assert_eq!(bench.judge(&new.access.text), Ok(()));
    assert_eq!(bench.judge(&pair.access.text), Err(Refusal::SessionEnded));
    let login = bench.core.login("ann", &PASSWORD.into(), &CLIENT, ROTATING).await;
    assert_eq!(refusal(login), Some(Refusal::PasswordWrong));
    assert!(bench.ann().email_verified);
}

#[tokio::test]
async fn a_disabled_account_is_neither_linked_nor_signed_in_to() {
    let mut bench = Bench::new().await;
    bench.vouch_for("ann@example.com");
    let disable = async |state| {
        let now = bench.core.clock.now();
        bench.core.store.set_state(bench.ann().id, state, now).await.unwrap();
    };
    disable(AccountState::Disabled).await;
    let (outcome, joined) = bench.come_from_github().await;
    assert_eq!(refusal(outcome), Some(Refusal::AccountDisabled));
    assert_eq!(how(joined.as_ref()), None);
    assert_eq!(bench.ann().github, None);
    assert!(bench.ann().password.is_some());
    disable(AccountState::Enabled).await;
    bench.come_from_github().await.0.unwrap();
    disable(AccountState::Disabled).await;
    let (outcome, _) = bench.come_from_github().await;
    assert_eq!(refusal(outcome), Some(Refusal::AccountDisabled));
}

/// An administrator can have given such a name.
#[tokio::test]
async fn a_user_name_that_reads_like_the_address_does_not_make_it_the_owners_account() {
    let mut bench = Bench::new().await;
    bench.add_under("mona@example.com", "other@example.com", PASSWORD).await;
    bench.vouch_for("mona@example.com");
    let (outcome, joined) = bench.come_from_github().await;
    assert!(matches!(outcome, Err(Error::Taken(Name::Email))), "{outcome:?}");
    assert_eq!(how(joined.as_ref()), None);
    let other = bench.core.standing.account_by_name("mona@example.com").unwrap();
    assert_eq!(other.github, None);
    bench.core.login("mona@example.com", &PASSWORD.into(), &CLIENT, ROTATING).await.unwrap();
}

#[tokio::test]
async fn an_account_belongs_to_one_github_number_only() {
    let mut bench = Bench::new().await;
    bench.vouch_for("ann@example.com");
    bench.come_from_github().await.0.unwrap();
    let other = FederatedIdentity { subject: NUMBER + 1, ..identity("ann@example.com") };
    bench.core.github = Some(Arc::new(Vouched { identity: other, restricted: false }));
    let (outcome, joined) = bench.come_from_github().await;
    assert!(matches!(outcome, Err(Error::Taken(Name::Email))), "{outcome:?}");
    assert_eq!(how(joined.as_ref()), None);
    assert_eq!(bench.ann().github, Some(NUMBER));
}

/// A list of organisations says who may come in, unless registration was closed since.
#[tokio::test]
async fn who_gets_a_new_account_is_said_by_the_organisations_or_by_open_registration() {
    use Registering::{Closed, Open};
    for (configured, since, restricted, let_in) in [
        (Open, Open, false, true),
        (Open, Open, true, true),
        (Closed, Open, true, true),
        (Closed, Open, false, false),
        (Open, Closed, false, false),
        (Open, Closed, true, false),
        (Closed, Closed, false, false),
        (Closed, Closed, true, false),
    ] {
        let mut bench = Bench::new().await;
        bench.core.policy.registration = configured;
        bench.core.store.set_registration(since).await.unwrap();
        let case = format!("{configured:?}, {since:?}, restricted: {restricted}");
        let mona = Vouched { identity: identity("mona@example.com"), restricted };
        bench.core.github = Some(Arc::new(mona));
        let (outcome, joined) = bench.come_from_github().await;
        match outcome {
            Ok(_) => assert!(let_in, "{case}"),
            Err(Error::RegistrationClosed) => assert!(!let_in, "{case}"),
            Err(other) => panic!("{case}: {other}"),
        }
        assert_eq!(how(joined.as_ref()), let_in.then_some(Joining::Made), "{case}");
        let known = bench.core.standing.account_by_name("mona@example.com");
        assert_eq!(known.is_some(), let_in, "{case}");
        // Who has an account is not somebody new.
        let ann = FederatedIdentity { subject: NUMBER + 1, ..identity("ann@example.com") };
        bench.core.github = Some(Arc::new(Vouched { identity: ann, restricted }));
        bench.come_from_github().await.0.unwrap();
    }
}

#[tokio::test]
async fn without_an_address_that_github_has_verified_nobody_is_known() {
    let mut bench = Bench::new().await;
    for email in [None, Some("no address".to_owned())] {
        let unknown = FederatedIdentity { email, ..identity("") };
        bench.core.github = Some(Arc::new(Vouched { identity: unknown, restricted: false }));
        let (outcome, joined) = bench.come_from_github().await;
        let unverified = Err(FederationError::EmailUnverified);
        let outcome = outcome.map(drop).map_err(|error| match error {
            Error::Federation(error) => error,
            other => panic!("{other}"),
        });
        assert_eq!(outcome, unverified);
        assert_eq!(how(joined.as_ref()), None);
    }
}

#[tokio::test]
async fn a_browser_that_comes_back_is_known_by_the_state_it_was_sent_with() {
    let mut bench = Bench::new().await;
    bench.vouch_for("mona@example.com");
    let (flow, url) = bench.core.begin_github("https://gate.example/back").unwrap();
    let (other, _) = bench.core.begin_github("https://gate.example/back").unwrap();
    assert!(url.contains(flow.state.expose()) && !url.contains(flow.verifier.expose()));
    let is_same = |state: &str| bench.core.is_same_flow(&flow, &state.into());
    let state = flow.state.expose();
    assert!(is_same(state));
    for foreign in [other.state.expose(), flow.verifier.expose(), &state[1..], ""] {
        assert!(!is_same(foreign), "{foreign}");
    }
}

#[tokio::test]
async fn an_account_that_is_made_for_github_counts_as_a_registration() {
    let mut bench = Bench::new().await;
    bench.core.policy.registrations.attempts = 2;
    bench.vouch_for("mona@example.com");
    bench.come_from_github().await.0.unwrap();
    let registered = bench.core.count_registration(HERE).await;
    assert!(matches!(registered, Err(Error::TooManyRegistrations { .. })), "{registered:?}");
    bench.come_from_github().await.0.unwrap();
    let another = FederatedIdentity { subject: NUMBER + 1, ..identity("lisa@example.com") };
    bench.core.github = Some(Arc::new(Vouched { identity: another, restricted: false }));
    let (outcome, joined) = bench.come_from_github().await;
    assert!(matches!(outcome, Err(Error::TooManyRegistrations { .. })));
    assert_eq!(how(joined.as_ref()), None);
    assert!(bench.core.standing.account_by_name("lisa@example.com").is_none());
}
