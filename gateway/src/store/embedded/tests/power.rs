//! Power is cut between any two writes; what was not synced is lost, kept or torn.

use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable};

use super::disk::{Disk, Fate};
use super::open;
use crate::auth::account::AccountState;
use crate::auth::ports::{
    Creation, KeyCreation, Opening, Replacement, Rotated, SessionOpening, Store,
};
use crate::auth::token::TokenId;
use crate::store::conformance::{NOW, account, change, key, later, rotation, session, ticket};
use crate::store::embedded::Location;
use crate::store::embedded::check::check;
use crate::store::embedded::schema::{
    self, ACCOUNT_SESSIONS, ACCOUNTS, ENDED, EXPIRIES, KEYS, NAMES, REVOKED, SESSIONS, TICKETS,
};

/// Every record of the store, as text.
fn contents(database: &Database) -> Vec<String> {
    let txn = database.begin_read().unwrap();
    let mut lines = Vec::new();
    macro_rules! read {
        ($($table:ident)*) => {$(
            for entry in txn.open_table($table).unwrap().iter().unwrap() {
                let (key, value) = entry.unwrap();
                lines.push(format!("{} {:?} {:?}", stringify!($table), key.value(), value.value()));
            }
        )*};
    }
    read!(ACCOUNTS NAMES SESSIONS ACCOUNT_SESSIONS REVOKED ENDED TICKETS KEYS EXPIRIES);
    lines
}

/// One change of each kind, in an order in which each one writes.
async fn change_everything(store: &Arc<dyn Store>, mut done: impl FnMut()) {
    let (ann, ben) = (account(1), account(2));
    let sessions = [session(11, &ann), session(12, &ann), session(13, &ben)];
    let first = sessions[0].current.refresh;
    for account in [&ann, &ben] {
        assert_eq!(store.create_account(account.clone()).await.unwrap(), Creation::Created);
        done();
    }
    for session in &sessions {
        let version = if session.account == ann.id { ann.version } else { ben.version };
        let opened = store.open_session(session.clone(), version).await.unwrap();
        assert_eq!(opened, SessionOpening::Opened { superseded: Vec::new() });
        done();
    }
    let rotated = store.rotate(rotation(&sessions[0], first, 200, NOW)).await.unwrap();
    assert!(matches!(rotated, Rotated::Pair(_)));
    done();
    store.revoke_token(sessions[1].current.access, later(100)).await.unwrap();
    done();
    assert_eq!(store.create_key(key(1, &ann)).await.unwrap(), KeyCreation::Created);
    done();
    assert_eq!(store.create_key(key(2, &ben)).await.unwrap(), KeyCreation::Created);
    done();
    assert!(store.delete_key(key(1, &ann).id, None).await.unwrap());
    done();
    for (digest, account) in [([1; 32], &ann), ([2; 32], &ann), ([3; 32], &ben)] {
        assert_eq!(store.issue_ticket(digest, ticket(account)).await.unwrap(), Opening::Opened);
        done();
    }
    assert!(store.take_ticket([1; 32], NOW).await.unwrap().is_some());
    done();
    let replaced = store.replace_password(change(&ann, "new", Some(sessions[0].id))).await.unwrap();
    assert_eq!(replaced, Replacement::Replaced);
    done();
    let replayed = store.rotate(rotation(&sessions[0], first, 300, later(90))).await.unwrap();
    assert_eq!(replayed, Rotated::FamilyEnded);
    done();
    for state in [AccountState::Disabled, AccountState::Enabled] {
        assert!(store.set_state(ben.id, state, NOW).await.unwrap());
        done();
    }
    assert!(store.sweep(later(200 + 86_400), later(200 + 86_400)).await.unwrap() > 0);
    done();
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut_at_any_moment_and_nothing_by_halves() {
    let disk = Disk::default();
    let engine = open(&Location::Simulated(disk.clone())).unwrap();
    let mut acknowledged = vec![disk.now()];
    change_everything(&engine.store, || acknowledged.push(disk.now())).await;
    // What the store held when each change was acknowledged.
    let reopen = |at, fate| {
        let location = Location::Simulated(Disk::holding(disk.after_power_cut(at, fate)));
        schema::reopen(&location).unwrap_or_else(|error| panic!("{fate:?} before {at}: {error}"))
    };
    let expected: Vec<_> =
        acknowledged.iter().map(|&at| contents(&reopen(at, Fate::Kept))).collect();
    assert!(expected.windows(2).all(|pair| pair[0] != pair[1]), "each change shows");

    for at in acknowledged[0]..=disk.now() {
        let done = acknowledged.iter().rposition(|&event| event <= at).unwrap();
        for fate in [Fate::Lost, Fate::Kept, Fate::Torn(at as u64), Fate::Torn(!at as u64)] {
            let database = reopen(at, fate);
            let found = contents(&database);
            let allowed = &expected[done..expected.len().min(done + 2)];
            assert!(allowed.contains(&found), "{fate:?} before {at}, {done} done: {found:#?}");
            assert_eq!(check(&database).unwrap().faults, Vec::<String>::new(), "{fate:?} {at}");
        }
    }
}

/// Of changes that share a commit, none is acknowledged before it.
#[tokio::test]
async fn a_shared_commit_acknowledges_nothing_too_early() {
    let disk = Disk::default();
    let engine = open(&Location::Simulated(disk.clone())).unwrap();
    let changes: Vec<_> = (1..=200)
        .map(|number| {
            let (store, disk) = (Arc::clone(&engine.store), disk.clone());
            let token = TokenId(uuid::Uuid::from_u128(number));
            tokio::spawn(async move {
                store.revoke_token(token, later(100)).await.unwrap();
                (token, disk.now())
            })
        })
        .collect();
    for change in changes {
        let (token, at) = change.await.unwrap();
        let image = disk.after_power_cut(at, Fate::Lost);
        let survived = schema::reopen(&Location::Simulated(Disk::holding(image))).unwrap();
        let txn = survived.begin_read().unwrap();
        let revoked = txn.open_table(REVOKED).unwrap();
        assert!(revoked.get(*token.0.as_bytes()).unwrap().is_some(), "{token:?} at {at}");
    }
}
