//! What changes while a password is being hashed, which takes long enough for anything.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::super::account::{AccountState, HashedPassword};
use super::super::error::{Error, Refusal};
use super::super::password::PasswordRule;
use super::super::ports::{PasswordChange, PasswordHasher, Priority};
use super::super::secret::Secret;
use super::super::work::Work;
use super::{Bench, CLIENT, HERE, PASSWORD, ROTATING, refusal};

type Change = Pin<Box<dyn Future<Output = ()> + Send>>;

const NEW: &str = "another password";

/// During which operation something happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum During {
    Verify,
    Hash,
}

/// A hasher that lets one thing happen in the middle of an operation.
struct Interrupted {
    hasher: Arc<dyn PasswordHasher>,
    change: Mutex<Option<(During, Change)>>,
}

impl Interrupted {
    async fn happen(&self, now: During) {
        let change = {
            let mut change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
            change.take_if(|(during, _)| *during == now)
        };
        if let Some((_, change)) = change {
            change.await;
        }
    }
}

#[async_trait]
impl PasswordHasher for Interrupted {
    async fn verify(
        &self,
        hash: Option<HashedPassword>,
        password: Secret,
        failure: Work,
        priority: Priority,
    ) -> Result<bool, Error> {
        let matches = self.hasher.verify(hash, password, failure, priority).await;
        self.happen(During::Verify).await;
        matches
    }

    async fn hash(&self, password: Secret, priority: Priority) -> Result<HashedPassword, Error> {
        let hash = self.hasher.hash(password, priority).await;
        self.happen(During::Hash).await;
        hash
    }

    fn outdated(&self, hash: &HashedPassword) -> bool {
        self.hasher.outdated(hash)
    }
}

impl Bench {
    fn interrupt(&mut self, during: During, change: impl Future<Output = ()> + Send + 'static) {
        let change: Change = Box::pin(change);
        let hasher = Arc::clone(&self.core.hasher);
        self.core.hasher =
            Arc::new(Interrupted { hasher, change: Mutex::new(Some((during, change))) });
    }

    /// The password of `name` is replaced during the next such operation.
    fn replace_password_during(&mut self, during: During, name: &str) {
        let account = self.core.standing().account_by_name(name).unwrap();
        let store = Arc::clone(self.core.store());
        let now = self.core.clock().now();
        self.interrupt(during, async move {
            let change = PasswordChange {
                account: account.id,
                expected_version: Some(account.version),
                replacement: HashedPassword(NEW.to_owned()),
                former: None,
                verify_email: false,
                keep: None,
                now,
            };
            store.replace_password(change).await.unwrap();
        });
    }

    fn disable_during(&mut self, during: During, name: &str) {
        let account = self.core.standing().account_by_name(name).unwrap();
        let store = Arc::clone(self.core.store());
        let now = self.core.clock().now();
        self.interrupt(during, async move {
            assert!(store.set_state(account.id, AccountState::Disabled, now).await.unwrap());
        });
    }

    async fn sessions(&self) -> usize {
        self.core.store().list_sessions(None, None, 9).await.unwrap().len()
    }

    fn stored_password(&self, name: &str) -> Option<String> {
        let account = self.core.standing().account_by_name(name).unwrap();
        account.password.clone().map(|hash| hash.0)
    }
}

#[tokio::test]
async fn a_password_replaced_while_it_is_verified_signs_nobody_in() {
    let mut bench = Bench::new().await;
    bench.login().await;
    bench.replace_password_during(During::Verify, "ann");
    let login = bench.core.login("ann", &PASSWORD.into(), &CLIENT, ROTATING).await;
    assert_eq!(refusal(login), Some(Refusal::PasswordWrong));
    assert_eq!(bench.sessions().await, 0, "the change ended what there was");

    let mut bench = Bench::new().await;
    bench.replace_password_during(During::Verify, "ann");
    let basic = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await;
    assert_eq!(refusal(basic), Some(Refusal::PasswordWrong));
    assert!(bench.core.cached_basic("ann", PASSWORD).is_none(), "nor is it remembered");
}

/// S1-23: from the moment of the change, also for who was waiting for the hash.
#[tokio::test]
async fn the_new_password_works_while_the_old_one_is_still_being_verified() {
    let mut bench = Bench::new().await;
    bench.replace_password_during(During::Verify, "ann");
    bench.core.login("ann", &NEW.into(), &CLIENT, ROTATING).await.unwrap();
    assert_eq!(bench.sessions().await, 1);
    let mut bench = Bench::new().await;
    bench.replace_password_during(During::Verify, "ann");
    bench.core.verify_basic("ann", &NEW.into(), HERE).await.unwrap();
}

#[tokio::test]
async fn an_account_disabled_while_its_password_is_verified_signs_nobody_in() {
    let mut bench = Bench::new().await;
    bench.disable_during(During::Verify, "ann");
    let login = bench.core.login("ann", &PASSWORD.into(), &CLIENT, ROTATING).await;
    assert_eq!(refusal(login), Some(Refusal::AccountDisabled));
    let mut bench = Bench::new().await;
    bench.disable_during(During::Verify, "ann");
    let basic = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await;
    assert_eq!(refusal(basic), Some(Refusal::AccountDisabled));
    assert_eq!(bench.sessions().await, 0);
}

/// After the proof, while the stronger hash is made.
#[tokio::test]
async fn a_password_replaced_while_its_hash_is_upgraded_stays_replaced() {
    let mut bench = Bench::new().await;
    bench.add("bob", "weak password").await;
    bench.replace_password_during(During::Hash, "bob");
    let login = bench.core.login("bob", &"weak password".into(), &CLIENT, ROTATING).await;
    assert_eq!(refusal(login), Some(Refusal::PasswordWrong));
    assert_eq!(bench.stored_password("bob").as_deref(), Some(NEW));
    assert_eq!(bench.sessions().await, 0);

    let mut bench = Bench::new().await;
    bench.add("bob", "weak password").await;
    bench.replace_password_during(During::Hash, "bob");
    let basic = bench.core.verify_basic("bob", &"weak password".into(), HERE).await;
    assert_eq!(refusal(basic), Some(Refusal::PasswordWrong));
    assert_eq!(bench.stored_password("bob").as_deref(), Some(NEW));
    assert!(bench.core.cached_basic("bob", "weak password").is_none(), "nor is it remembered");
}

/// Of two changes at once the one that was there first counts, at either step.
#[tokio::test]
async fn a_password_change_does_not_undo_another_that_was_made_meanwhile() {
    for during in [During::Verify, During::Hash] {
        let mut bench = Bench::new().await;
        let pair = bench.login().await;
        let principal = bench.core.verify_access(pair.access.text.expose()).unwrap();
        bench.replace_password_during(during, "ann");
        let (current, new) = (PASSWORD.into(), "a third password".into());
        let change =
            bench.core.change_password(&principal, current, new, PasswordRule::default(), HERE);
        assert_eq!(refusal(change.await), Some(Refusal::PasswordWrong));
        assert_eq!(bench.stored_password("ann").as_deref(), Some(NEW));
    }
}
