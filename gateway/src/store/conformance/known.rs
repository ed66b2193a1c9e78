//! Addresses from which an account has signed in.

use super::{Engine, NOW, change, id, later};
use crate::auth::account::AccountState;
use crate::auth::account::known::MAX_KNOWN;
use crate::auth::source::Source;

pub(crate) async fn an_account_is_known_where_it_was_proven_until_it_changes(engine: Engine) {
    let account = engine.with_account(1).await;
    let (here, there) = (Source::V4(1), Source::V6(1));
    let known = |source, at| {
        let account = engine.standing.account(account.id).unwrap();
        account.is_known_from(source, at)
    };
    assert!(!known(here, NOW));
    let generation = engine.standing.generation();
    engine.store.record_success(account.id, account.version, here, NOW).await.unwrap();
    assert!(known(here, NOW) && !known(there, NOW));
    assert_eq!(engine.standing.generation(), generation, "nothing is judged anew for it");
    let found = engine.store.list_accounts(None, 9).await.unwrap();
    assert!(found[0].is_known_from(here, NOW), "it is stored");
    let month = 30 * 86_400;
    assert!(known(here, later(month - 1)) && !known(here, later(month)));
    engine.store.record_success(account.id, account.version, here, later(month)).await.unwrap();
    assert!(known(here, later(month)), "a later success counts anew");

    // What ends the password forgets from where it came, and who knew it before.
    let reset = change(&account, "new", None);
    engine.store.replace_password(reset).await.unwrap();
    assert!(!known(here, later(month)));
    engine.store.record_success(account.id, account.version, here, NOW).await.unwrap();
    assert!(!known(here, NOW), "it was proven of the account as it was");
    engine.store.record_success(account.id, account.version + 1, there, NOW).await.unwrap();
    assert!(known(there, NOW) && !known(here, NOW));
    let disabled = engine.store.set_state(account.id, AccountState::Disabled, NOW).await;
    assert!(disabled.unwrap() && !known(there, NOW));
    engine.store.set_state(account.id, AccountState::Enabled, NOW).await.unwrap();
    assert!(!known(there, NOW));
    let nobody = crate::auth::account::AccountId(id(77));
    engine.store.record_success(nobody, 1, here, NOW).await.unwrap();
}

pub(crate) async fn of_addresses_the_one_that_is_oldest_gives_way(engine: Engine) {
    let account = engine.with_account(1).await;
    let count = u32::try_from(MAX_KNOWN).unwrap();
    let note = async |address, at| {
        let noted =
            engine.store.record_success(account.id, 1, Source::V4(address), later(at)).await;
        noted.unwrap();
    };
    for address in 0..count {
        note(address, u64::from(address)).await;
    }
    // The first is the latest now, so the second is the oldest.
    note(0, 100).await;
    note(99, 101).await;
    let account = engine.standing.account(account.id).unwrap();
    let mut known: Vec<_> = account.known_addresses(later(101)).map(|(source, _)| source).collect();
    known.sort_unstable();
    let expected = [0].into_iter().chain(2..count).chain([99]).map(Source::V4);
    assert_eq!(known, expected.collect::<Vec<_>>());
}
