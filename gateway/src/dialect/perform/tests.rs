mod failures;

use std::sync::Arc;

use uuid::Uuid;

use super::perform;
use crate::auth::account::{ADMIN_ROLE, Account};
use crate::auth::api_key::{ApiKey, KeyId};
use crate::auth::error::{Entity, Error};
use crate::auth::ports::{AccountLimits, KeyCreation};
use crate::auth::principal::Principal;
use crate::auth::secret::Secret;
use crate::auth::server::{Server, ServerId};
use crate::auth::session_client::SessionClient;
use crate::auth::source::Source;
use crate::auth::tests::{Bench, CLIENT, HERE, PASSWORD};
use crate::auth::time::Seconds;
use crate::dialect::plain::Plain;
use crate::dialect::tests::settings;
use crate::dialect::{Binding, Command, Health, KeyRequest, Outcome, Serving};

fn health() -> Health {
    let (version, cves) = ("0", Vec::new());
    Health { serving: Serving::Healthy, version, pending_update: None, cves, store: None }
}

async fn run(bench: &Bench, caller: &Principal, command: Command) -> Result<Outcome, Error> {
    let plain = Plain::new(settings("/api/v1"), true, false);
    perform(&bench.core, &plain, command, (&CLIENT, Some(caller)), health, &mut None).await
}

async fn sign_in(bench: &Bench, name: &str) -> Principal {
    bench.core.verify_basic(name, &PASSWORD.into(), HERE).await.unwrap()
}

async fn create_key(bench: &Bench, caller: &Principal, server: Binding) -> Result<ApiKey, Error> {
    let wanted = KeyRequest { server, ..KeyRequest::default() };
    match run(bench, caller, Command::CreateKey(wanted)).await? {
        Outcome::KeyCreated(key, _) => Ok(key),
        other => panic!("no key: {other:?}"),
    }
}

async fn with_server(bench: &Bench, number: u128, owner: Option<&Principal>) -> ServerId {
    let id = ServerId(Uuid::from_u128(number));
    let (owner, created) = (owner.map(Principal::account_id), bench.core.clock().now());
    let server = Server { id, name: "web".to_owned(), owner, created };
    assert!(bench.core.store().create_server(server).await.unwrap());
    id
}

/// Whoever has a key of a server speaks for its agents. Whether there is such a server is
/// nobody else's to know.
#[tokio::test]
async fn a_key_is_bound_to_a_server_of_its_owner_or_by_an_administrator() {
    let bench = Bench::new().await;
    bench.add("ben", PASSWORD).await;
    bench.add("root", PASSWORD).await;
    let (ann, ben) = (sign_in(&bench, "ann").await, sign_in(&bench, "ben").await);
    let root = sign_in(&bench, "root").await;
    let roles = vec![ADMIN_ROLE.to_owned()];
    let root =
        Principal { account: Arc::new(Account { roles, ..(*root.account).clone() }), ..root };
    let of_ann = with_server(&bench, 1, Some(&ann)).await;
    let of_nobody = with_server(&bench, 2, None).await;
    let unknown = ServerId(Uuid::from_u128(3));
    for (caller, server, good) in [
        (&ann, of_ann, true),
        (&ben, of_ann, false),
        (&root, of_ann, true),
        (&ann, of_nobody, false),
        (&root, of_nobody, true),
        (&ann, unknown, false),
        (&root, unknown, false),
    ] {
        let outcome = create_key(&bench, caller, Binding::Server(server)).await;
        let as_expected = match &outcome {
            Ok(key) => good && key.server == Some(server),
            Err(error) => !good && matches!(error, Error::Unknown(Entity::Server)),
        };
        assert!(as_expected, "{:?} {server:?}: {outcome:?}", caller.account.username);
    }
    let nothing = create_key(&bench, &root, Binding::Nothing).await;
    assert!(matches!(nothing, Err(Error::Unknown(Entity::Server))), "{nothing:?}");
    assert_eq!(bench.core.standing().keys_of_server(of_ann).len(), 2);
    assert_eq!(create_key(&bench, &ben, Binding::None).await.unwrap().server, None);
}

async fn fill(bench: &Bench, pattern: &ApiKey, count: usize) {
    for number in 0..count {
        let number = number as u128 + 1;
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&number.to_be_bytes());
        let id = KeyId(Uuid::from_u128(number));
        let key = ApiKey { id, digest, ..pattern.clone() };
        let created = bench.core.store().create_key(key).await.unwrap();
        assert_eq!(created, KeyCreation::Created);
    }
}

#[tokio::test]
async fn an_account_has_a_thousand_keys_and_no_more_by_either_way() {
    let bench = Bench::new().await;
    bench.add("ben", PASSWORD).await;
    let (ann, ben) = (sign_in(&bench, "ann").await, sign_in(&bench, "ben").await);
    let most = AccountLimits::default().keys;
    let count = || bench.core.standing().key_count(ann.account_id());
    let rotate = |key: KeyId| Command::RotateKey { key: Some(key), overlap: Seconds(60) };
    let first = create_key(&bench, &ann, Binding::None).await.unwrap();
    fill(&bench, &first, most - 3).await;
    assert_eq!(count(), most - 2);
    create_key(&bench, &ann, Binding::None).await.unwrap();
    run(&bench, &ann, rotate(first.id)).await.unwrap();
    assert_eq!(count(), most, "both kinds fill the last places");

    let created = create_key(&bench, &ann, Binding::None).await;
    assert!(matches!(created, Err(Error::TooMany(Entity::Key))), "{created:?}");
    let rotated = run(&bench, &ann, rotate(first.id)).await;
    assert!(matches!(rotated, Err(Error::TooMany(Entity::Key))), "{rotated:?}");
    assert_eq!(count(), most);
    create_key(&bench, &ben, Binding::None).await.unwrap();

    run(&bench, &ann, Command::DeleteKey { key: Some(first.id) }).await.unwrap();
    create_key(&bench, &ann, Binding::None).await.unwrap();
}

/// By whichever door: from there it waits for no stranger from now on.
#[tokio::test]
async fn whoever_proves_an_account_is_known_where_they_did_and_nobody_else() {
    let bench = Bench::new().await;
    let caller = sign_in(&bench, "ann").await;
    let ann = caller.account_id();
    let login = || Command::Login { name: "ann".to_owned(), password: Secret::from(PASSWORD) };
    let Ok(Outcome::SignedIn(_, pair)) = run(&bench, &caller, login()).await else {
        panic!("no session")
    };
    let refresh = pair.refresh;
    let (name, wrong) = (String::from("ann"), Secret::from("a wrong horse"));
    let (password, new) = (Secret::from(PASSWORD), Secret::from("another horse 2"));
    let attempts = [
        (Command::Me, false),
        (Command::Refresh { token: wrong.clone() }, false),
        (Command::Login { name: name.clone(), password: wrong }, false),
        (login(), true),
        (Command::Refresh { token: refresh }, true),
        (Command::ChangePassword { current: password, new }, true),
    ];
    let plain = Plain::new(settings("/api/v1"), true, false);
    for (number, (command, proves)) in attempts.into_iter().enumerate() {
        let from = Source::V4(u32::try_from(number).unwrap());
        let what = format!("{command:?}");
        let client = SessionClient { address: from.address(), user_agent: None };
        let asked = (&client, Some(&caller));
        let _: Result<_, _> = perform(&bench.core, &plain, command, asked, health, &mut None).await;
        let account = bench.core.standing().account(ann).unwrap();
        let known = account.is_known_from(from, bench.core.clock().now());
        assert_eq!(known, proves, "{what}");
    }
}
