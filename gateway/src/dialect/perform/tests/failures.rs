//! What a failed attempt costs, by every door and for every kind of account. Time is what
//! hashing takes, so its amount is what an observer could learn.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::auth::Core;
use crate::auth::account::{Account, AccountId, AccountState, HashedPassword, Username};
use crate::auth::error::{Error, Refusal};
use crate::auth::ports::PasswordHasher;
use crate::auth::principal::{Principal, Proof};
use crate::auth::secret::Secret;
use crate::auth::tests::{CLIENT, HERE, SetClock, core_over};
use crate::crypto::passwords::{HashingPool, hash_now};
use crate::dialect::envelope::Envelope;
use crate::dialect::form::Form;
use crate::dialect::perform::perform;
use crate::dialect::plain::Plain;
use crate::dialect::status::Status;
use crate::dialect::tests::settings;
use crate::dialect::{Command, Dialect, Health, Input, Operation, Serving};

const PASSWORD: &str = "hunter42";
/// `auth.bcrypt_cost`
const COST: u32 = 6;

struct Bench {
    core: Core,
    pool: Arc<HashingPool>,
    dialects: [Arc<dyn Dialect>; 4],
}

impl Bench {
    fn new() -> Self {
        let pool = Arc::new(HashingPool::start(1, 8, COST).unwrap());
        let clock = Arc::new(SetClock(AtomicU64::new(1_800_000_000_000)));
        let core = core_over(Arc::clone(&pool) as Arc<dyn PasswordHasher>, clock, None);
        let dialects: [Arc<dyn Dialect>; 4] = [
            Arc::new(Form(settings("/api"))),
            Arc::new(Status { settings: settings("/api"), rotate: true }),
            Arc::new(Envelope { settings: settings("/api"), callback: None }),
            Arc::new(Plain::new(settings("/api"), true, true)),
        ];
        Self { core, pool, dialects }
    }

    async fn add(&self, name: &str, hash: Option<HashedPassword>, state: AccountState) {
        let (id, now) = (AccountId(self.core.new_uuid()), self.core.clock().now());
        let account = Account::new(id, Username::parse(name).unwrap(), now);
        let email = Some(format!("{name}@example.com"));
        let account = Account { email, password: hash, state, ..account };
        self.core.store().create_account(account).await.unwrap();
    }

    async fn cost<T>(&self, attempt: impl Future<Output = T>) -> (T, u64) {
        let before = self.pool.work_done().0;
        let outcome = attempt.await;
        (outcome, self.pool.work_done().0 - before)
    }

    async fn carry_out(
        &self,
        dialect: &dyn Dialect,
        command: Command,
        principal: Option<&Principal>,
    ) -> Result<(), Error> {
        let health = || Health {
            serving: Serving::Healthy,
            version: "",
            pending_update: None,
            cves: Vec::new(),
            store: None,
        };
        let caller = (&CLIENT, principal);
        perform(&self.core, dialect, command, caller, health, &mut None).await.map(drop)
    }

    /// What this password costs under this name, by every door.
    async fn try_all(&self, name: &str, password: &str) -> Vec<(&'static str, Refused, u64)> {
        let mut tried = Vec::new();
        let doors = ["form", "status", "envelope", "plain"];
        for (door, dialect) in doors.into_iter().zip(&self.dialects) {
            let command = login(dialect.as_ref(), door, name, password);
            let (outcome, cost) = self.cost(self.carry_out(dialect.as_ref(), command, None)).await;
            tried.push((door, refused(outcome), cost));
        }
        let password = Secret::from(password);
        let (outcome, cost) = self.cost(self.core.verify_basic(name, &password, HERE)).await;
        tried.push(("Basic", refused(outcome), cost));
        let account = self.core.standing().account_by_name(name);
        if let Some(account) = account.filter(|account| account.state == AccountState::Enabled) {
            let principal = Principal::new(account, Proof::Password);
            let command = Command::ChangePassword { current: password, new: "12345678".into() };
            let dialect = self.dialects[1].as_ref();
            let (outcome, cost) =
                self.cost(self.carry_out(dialect, command, Some(&principal))).await;
            tried.push(("change-password", refused(outcome), cost));
        }
        tried
    }
}

type Refused = Option<Refusal>;

fn refused<T>(outcome: Result<T, Error>) -> Refused {
    match outcome {
        Ok(_) => None,
        Err(Error::Refused(refusal)) => Some(refusal),
        Err(error) => panic!("{error}"),
    }
}

/// As a client of that contract says it.
fn login(dialect: &dyn Dialect, door: &str, name: &str, password: &str) -> Command {
    let json = |member: &str| serde_json::json!({ member: name, "password": password }).to_string();
    let (content_type, body) = match door {
        "form" => {
            let body = [("username", name), ("password", password)];
            ("application/x-www-form-urlencoded", urlencoded(&body))
        }
        "envelope" => ("application/json", json("email")),
        _ => ("application/json", json("username")),
    };
    let input =
        Input { content_type: Some(content_type), body: body.as_bytes(), ..Input::default() };
    dialect.decode(Operation::Login, &input).unwrap()
}

fn urlencoded(fields: &[(&str, &str)]) -> String {
    // All of our passwords can stand so, but for the NUL.
    let escape = |text: &str| text.replace(' ', "+").replace('\0', "%00");
    let fields = fields.iter().map(|(name, value)| format!("{name}={}", escape(value)));
    fields.collect::<Vec<_>>().join("&")
}

#[tokio::test]
async fn every_failed_attempt_costs_the_configured_hash() {
    use AccountState::{Disabled, Enabled};
    let bench = Bench::new();
    let hash = |cost| hash_now(&PASSWORD.into(), cost);
    let argon2id = "$argon2id$v=19$m=1216,t=2,p=1$YSBmaXhlZCBzYWx0Li4uLg$aGFzaGhhc2hoYXNoaGFzaA";
    let argon2id = Some(HashedPassword(argon2id.to_owned()));
    let damaged = Some(HashedPassword("$2b$06$damaged".to_owned()));
    let names = ["right", "cheap", "argon2id", "damaged", "without", "disabled", "nobody"];
    bench.add("right", hash(COST), Enabled).await;
    bench.add("cheap", hash(4), Enabled).await;
    bench.add("argon2id", argon2id, Enabled).await;
    bench.add("damaged", damaged, Enabled).await;
    bench.add("without", None, Enabled).await;
    bench.add("disabled", hash(4), Disabled).await;
    let long = "a".repeat(73);
    let check = async |expected: u64| {
        for name in names {
            for password in ["wrong wrong", &long, "hunter42\0", ""] {
                for (door, refusal, cost) in bench.try_all(name, password).await {
                    assert!(refusal.is_some(), "{name} by {door}");
                    assert_eq!(cost, expected, "{name} with {password:?} by {door}");
                }
            }
        }
        // Right, and of no use: it must not come cheaper.
        for (door, refusal, cost) in bench.try_all("disabled", PASSWORD).await {
            assert_eq!((refusal, cost), (Some(Refusal::AccountDisabled), expected), "{door}");
        }
    };
    check(1 << COST).await;
    // The controls: right passwords, at their own price and that of an upgrade.
    let (right, cost) = bench.cost(bench.core.verify_basic("right", &PASSWORD.into(), HERE)).await;
    assert!(right.is_ok() && cost == 1 << COST);
    let (cheap, cost) = bench.cost(bench.core.verify_basic("cheap", &PASSWORD.into(), HERE)).await;
    assert!(cheap.is_ok() && cost == (1 << 4) + (1 << COST));

    // One dearer hash, and everybody costs as much: else its account would be told.
    bench.add("dear", hash(COST + 2), Enabled).await;
    check(1 << (COST + 2)).await;
    for (door, refusal, cost) in bench.try_all("dear", "wrong wrong").await {
        assert_eq!((refusal, cost), (Some(Refusal::PasswordWrong), 1 << (COST + 2)), "{door}");
    }
}
