//! Fills a store through its port, as a gateway under load would.

use std::path::Path;
use std::sync::Arc;

use portcullis::auth::account::{Account, AccountId, HashedPassword, Username};
use portcullis::auth::api_key::{ApiKey, AtomicTimestamp, KeyId};
use portcullis::auth::ports::{
    Accounts as _, Creation, KeyCreation, Keys as _, Sessions as _, TokenSigner,
};
use portcullis::auth::secret::Secret;
use portcullis::auth::standing::Standing;
use portcullis::auth::time::{Seconds, Timestamp};
use portcullis::auth::token::TokenId;
use portcullis::crypto::jwt::Hs256Signer;
use portcullis::store::embedded::{EmbeddedStore, Location};
use tokio::task::JoinSet;
use uuid::Uuid;

/// As long as a refresh token lives.
const TOKEN_TTL: Seconds = Seconds(604_800);
/// Changes under way at once, so that they share commits.
const AT_ONCE: u64 = 2_000;
/// The year 2100: nothing expires.
const NEVER: Timestamp = Timestamp(4_102_444_800_000);

/// How much of each.
#[derive(Debug, Clone, Copy)]
pub struct Amounts {
    pub accounts: u64,
    pub keys: u64,
    pub revoked: u64,
}

/// Makes accounts `user0`, `user1`, …, keys that belong to them in turn, and revoked
/// tokens. Where there are accounts already, they are taken for these.
pub async fn fill(directory: &Path, amounts: Amounts, password: &HashedPassword) {
    let location = Location::in_directory(directory);
    let store = EmbeddedStore::open(&location, Arc::new(Standing::default()), TOKEN_TTL);
    let store = Arc::new(store.expect("the store can be opened"));
    let account = |number| account(number, password.clone());
    in_batches(amounts.accounts, |number| {
        let (store, account) = (Arc::clone(&store), account(number));
        async move {
            let created = store.create_account(account).await.expect("the store works");
            assert_eq!(created, Creation::Created);
        }
    })
    .await;
    in_batches(amounts.keys, |number| {
        let (store, key) = (Arc::clone(&store), key(number, account_id(number % amounts.accounts)));
        async move {
            assert_eq!(store.create_key(key).await.expect("the store works"), KeyCreation::Created);
        }
    })
    .await;
    in_batches(amounts.revoked, |number| {
        let store = Arc::clone(&store);
        async move {
            let token = TokenId(revoked_token(number));
            store.revoke_token(token, NEVER).await.expect("the store works");
        }
    })
    .await;
}

async fn in_batches<F>(amount: u64, change: impl Fn(u64) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for first in (0..amount).step_by(usize::try_from(AT_ONCE).expect("it fits")) {
        let changes: JoinSet<()> = (first..amount.min(first + AT_ONCE)).map(&change).collect();
        changes.join_all().await;
    }
}

/// The id of the token that was revoked as this number.
pub fn revoked_token(number: u64) -> Uuid {
    random_looking(3, number)
}

/// The text of the key that was made as this number: well-formed, and no secret.
pub fn key_text(number: u64) -> String {
    let digits = format!("sk_live_{number:0>43}");
    format!("{digits}{}", checksum(&digits))
}

/// The id of the key that was made as this number.
pub fn key_id(number: u64) -> Uuid {
    random_looking(2, number)
}

fn account_id(number: u64) -> AccountId {
    AccountId(random_looking(1, number))
}

fn account(number: u64, password: HashedPassword) -> Account {
    let username = Username::parse(&format!("user{number}")).expect("a valid name");
    Account {
        email: Some(format!("user{number}@example.com")),
        password: Some(password),
        ..Account::new(account_id(number), username, Timestamp(0))
    }
}

fn key(number: u64, owner: AccountId) -> ApiKey {
    let text = key_text(number);
    ApiKey {
        id: KeyId(key_id(number)),
        owner,
        name: format!("key {number}"),
        shown: text[..14].to_owned(),
        digest: signer().digest(text.as_bytes()),
        server: None,
        scopes: vec!["read".to_owned()],
        created: Timestamp(0),
        expires: None,
        superseded: AtomicTimestamp::default(),
        last_used: AtomicTimestamp::default(),
    }
}

/// Ids lie all over the table, as those of a running gateway do not: the worst case.
fn random_looking(kind: u8, number: u64) -> Uuid {
    let digest = signer().digest(&[&[kind][..], &number.to_be_bytes()].concat());
    let bytes = digest[..16].try_into().expect("sixteen of them");
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// The last six characters of a key, which are a checksum of the rest.
fn checksum(digits: &str) -> String {
    const SYMBOLS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digest = signer().digest(digits.as_bytes());
    let mut number = u32::from_be_bytes(digest[..4].try_into().expect("four of them")) as usize;
    let mut text = String::new();
    for _ in 0..6 {
        text.push(char::from(SYMBOLS[number % 62]));
        number /= 62;
    }
    text
}

/// For its digests only.
fn signer() -> &'static Hs256Signer {
    static SIGNER: std::sync::OnceLock<Hs256Signer> = std::sync::OnceLock::new();
    SIGNER.get_or_init(|| {
        Hs256Signer::new(&Secret::new("0".repeat(32)), None).expect("it is long enough")
    })
}
