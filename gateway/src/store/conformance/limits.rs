//! What one account may have at once, and one address make.

use std::sync::Arc;

use super::{Engine, LIMITS, NOW, WEEK, change, id, key, later, session};
use crate::auth::api_key::{ApiKey, KeyId, KeyRotation, Successor};
use crate::auth::error::{StoreError, Verdict};
use crate::auth::ports::{FailureLimit, KeyCreation, KeyRotated, SessionOpening};
use crate::auth::session::Session;
use crate::auth::source::Source;
use crate::auth::time::Seconds;
use crate::auth::token::{SessionId, TokenId};

fn superseded(sessions: &[SessionId]) -> SessionOpening {
    SessionOpening::Opened { superseded: sessions.to_vec() }
}

pub(crate) async fn with_one_session_more_than_may_be_the_oldest_ends(engine: Engine) {
    let (mine, other) = (engine.with_account(1).await, engine.with_account(2).await);
    let others = engine.with_session(1, &other).await;
    let sessions = engine.with_sessions(1_000, &mine).await;
    for (number, oldest) in (5_000..).zip(&sessions[..3]) {
        let (opened, opening) = engine.open(number, &mine).await;
        assert_eq!(opening, superseded(&[oldest.id]));
        assert!(engine.is_ended(oldest) && !engine.is_ended(&opened));
    }
    assert!(!engine.is_ended(&sessions[3]) && !engine.is_ended(&others));
    assert_eq!(engine.listed(Some(&mine)).await.len(), LIMITS.sessions);
    assert_eq!(engine.standing.sizes().ended, 0, "nothing is kept of each");
    // One that ended by itself leaves a place.
    assert!(engine.store.end_session(sessions[100].id, NOW).await.unwrap());
    engine.with_session(6_000, &mine).await;
    let (_, opening) = engine.open(900, &mine).await;
    assert_eq!(opening, SessionOpening::Behind(sessions[3].id), "older than the oldest");
}

pub(crate) async fn sessions_that_have_expired_give_way_before_any_other(engine: Engine) {
    let account = engine.with_account(1).await;
    let open = async |number: u128, at: u64, lifetime: Seconds| {
        let (created, expires) = (later(at), later(at).plus(lifetime));
        let session = Session { created, expires, ..session(number, &account) };
        let opening = engine.store.open_session(session.clone(), account.version).await.unwrap();
        (session, opening)
    };
    // Every other one expires long before the rest.
    let mut kept = Vec::new();
    for number in 0..LIMITS.sessions as u128 {
        let lifetime = if number % 2 == 0 { WEEK } else { Seconds(100) };
        let (session, opening) = open(1_000 + number, 0, lifetime).await;
        assert_eq!(opening, superseded(&[]));
        if number % 2 == 0 {
            kept.push(session);
        }
    }
    let room = (LIMITS.sessions - kept.len()) as u128;
    for number in 0..room {
        let (_, opening) = open(5_000 + number, 1_000, WEEK).await;
        assert_eq!(opening, superseded(&[]), "{number}");
    }
    assert!(kept.iter().all(|session| !engine.is_ended(session)));
    let (_, opening) = open(6_000, 1_000, WEEK).await;
    assert_eq!(opening, superseded(&[kept[0].id]));
    assert_eq!(engine.listed(Some(&account)).await.len(), LIMITS.sessions);
    assert_eq!(engine.standing.sizes().ended, 0, "nothing is kept of each");
}

pub(crate) async fn the_session_that_went_on_is_the_oldest(engine: Engine) {
    let account = engine.with_account(1).await;
    let first = engine.with_session(1, &account).await;
    engine.with_session(2, &account).await;
    engine.store.replace_password(change(&account, "new", Some(first.id))).await.unwrap();
    let account = engine.standing.account(account.id).unwrap();
    let mut sessions = vec![first];
    for number in (1_000..).take(LIMITS.sessions - 1) {
        sessions.push(engine.with_session(number, &account).await);
    }
    for (number, oldest) in (5_000..).zip(&sessions[..2]) {
        let (_, opening) = engine.open(number, &account).await;
        assert_eq!(opening, superseded(&[oldest.id]));
        assert!(engine.is_ended(oldest));
    }
    assert!(!engine.is_ended(&sessions[2]));
}

pub(crate) async fn sessions_that_open_at_once_are_no_more_than_may_be(engine: Engine) {
    let account = engine.with_account(1).await;
    engine.with_sessions(1_000, &account).await;
    let engine = Arc::new(engine);
    let openings = (0..8).map(|number| {
        let (engine, account) = (Arc::clone(&engine), account.clone());
        tokio::spawn(async move { engine.open(5_000 + number, &account).await.1 })
    });
    let mut ended = Vec::new();
    for opening in openings.collect::<Vec<_>>() {
        let opening = opening.await.unwrap();
        let SessionOpening::Opened { superseded } = opening else { panic!("{opening:?}") };
        ended.extend(superseded);
    }
    ended.sort();
    let oldest: Vec<_> = (1_000..1_008).map(|number| SessionId(id(number))).collect();
    assert_eq!(ended, oldest, "each ended one");
    assert_eq!(engine.listed(Some(&account)).await.len(), LIMITS.sessions);
}

fn rotation(old: u8, new: u8, at: u64, until: u64) -> KeyRotation {
    KeyRotation {
        key: KeyId(id(old.into())),
        owner: None,
        successor: Successor {
            id: KeyId(id(new.into())),
            shown: "sk_live_xyz".to_owned(),
            digest: [new; 32],
            created: later(at),
        },
        until: later(until),
    }
}

pub(crate) async fn keys_that_come_at_once_are_no_more_than_may_be(engine: Engine) {
    let (mine, other) = (engine.with_account(1).await, engine.with_account(2).await);
    let creations = (1..=50).map(|number| {
        let (store, key) = (Arc::clone(&engine.store), key(number, &mine));
        tokio::spawn(async move { store.create_key(key).await.unwrap() })
    });
    let (mut made, mut refused) = (0, 0);
    for creation in creations.collect::<Vec<_>>() {
        match creation.await.unwrap() {
            KeyCreation::Created => made += 1,
            KeyCreation::TooMany => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((made, refused), (LIMITS.keys, 50 - LIMITS.keys));
    let keys = engine.standing.keys(Some(mine.id));
    assert_eq!(keys.len(), LIMITS.keys);
    let store = &engine.store;
    assert_eq!(store.create_key(key(60, &other)).await.unwrap(), KeyCreation::Created);
    // Two good keys are one more than one; in its place there is room.
    let held = keys[0].digest[0];
    assert_eq!(store.rotate_key(rotation(held, 70, 0, 60)).await.unwrap(), KeyRotated::TooMany);
    assert!(engine.standing.key(&[held; 32]).unwrap().superseded.get().is_none());
    let replaced = store.rotate_key(rotation(held, 71, 0, 0)).await.unwrap();
    assert!(matches!(replaced, KeyRotated::Rotated(_)), "{replaced:?}");
    assert!(store.delete_key(KeyId(id(71)), None).await.unwrap());
    assert_eq!(store.create_key(key(72, &mine)).await.unwrap(), KeyCreation::Created);
    assert_eq!(store.create_key(key(73, &mine)).await.unwrap(), KeyCreation::TooMany);
}

pub(crate) async fn keys_that_have_ended_make_room_for_new_ones(engine: Engine) {
    let account = engine.with_account(1).await;
    let store = &engine.store;
    for number in (1..).take(LIMITS.keys) {
        let expires = Some(later(if number <= 3 { 100 } else { 1_000 }));
        let key = ApiKey { expires, ..key(number, &account) };
        assert_eq!(store.create_key(key).await.unwrap(), KeyCreation::Created);
    }
    let late = |number, at| ApiKey {
        created: later(at),
        expires: Some(later(2_000)),
        ..key(number, &account)
    };
    assert_eq!(store.create_key(late(70, 99)).await.unwrap(), KeyCreation::TooMany);
    assert_eq!(engine.standing.keys(Some(account.id)).len(), LIMITS.keys, "nothing has gone");
    assert_eq!(store.create_key(late(70, 100)).await.unwrap(), KeyCreation::Created);
    assert_eq!(engine.standing.keys(Some(account.id)).len(), LIMITS.keys - 2);
    assert!(engine.standing.key(&[1; 32]).is_none() && engine.standing.key(&[4; 32]).is_some());
    assert_eq!(store.list_keys(None, 99).await.unwrap().len(), LIMITS.keys - 2);
}

/// What else is written meanwhile takes nothing of it along.
pub(crate) async fn a_key_that_cannot_be_stored_takes_the_place_of_none(engine: Engine) {
    let account = engine.with_account(1).await;
    for number in (1..).take(LIMITS.keys) {
        let key = ApiKey { expires: Some(later(100)), ..key(number, &account) };
        assert_eq!(engine.store.create_key(key).await.unwrap(), KeyCreation::Created);
    }
    let creations = (100..140).map(|number| {
        let (store, account) = (Arc::clone(&engine.store), account.clone());
        tokio::spawn(async move {
            let scopes = vec!["a,b".to_owned()];
            let bad = ApiKey { scopes, created: later(100), ..key(number, &account) };
            let revoke = store.revoke_token(TokenId(id(number.into())), later(1_000));
            tokio::join!(revoke, store.create_key(bad))
        })
    });
    for creation in creations.collect::<Vec<_>>() {
        let (revoked, created) = creation.await.unwrap();
        revoked.unwrap();
        assert!(matches!(created, Err(StoreError::Damaged(_))), "{created:?}");
    }
    assert_eq!(engine.store.list_keys(None, 99).await.unwrap().len(), LIMITS.keys);
}

pub(crate) async fn a_key_rotated_without_an_overlap_leaves_the_list_at_once(engine: Engine) {
    let account = engine.with_account(1).await;
    let store = &engine.store;
    store.create_key(key(1, &account)).await.unwrap();
    store.record_key_uses(vec![(KeyId(id(1)), later(5))]).await.unwrap();
    let rotated = store.rotate_key(rotation(1, 2, 10, 10)).await.unwrap();
    let KeyRotated::Rotated(new) = rotated else { panic!("{rotated:?}") };
    assert_eq!(new.digest, [2; 32]);
    assert!(engine.standing.key(&[1; 32]).is_none() && engine.standing.key(&[2; 32]).is_some());
    for listed in [store.list_keys(None, 9).await.unwrap(), engine.standing.keys(None)] {
        let listed: Vec<_> = listed.iter().map(|key| key.id).collect();
        assert_eq!(listed, [KeyId(id(2))]);
    }
    assert_eq!(store.find_key(KeyId(id(1))).await.unwrap(), None);
    assert_eq!(store.rotate_key(rotation(1, 3, 10, 10)).await.unwrap(), KeyRotated::NoKey);
}

pub(crate) async fn registrations_are_counted_in_a_window_and_lock_nobody_out(engine: Engine) {
    let limit = FailureLimit { attempts: 3, user_attempts: 1_000, window: Seconds(3_600) };
    let (here, there) = (Source::V4(1), Source::V6(1));
    let count = |source, at| engine.store.count_registration(source, limit, later(at));
    for (at, verdict) in [
        (0, Verdict::Allowed),
        (1, Verdict::Allowed),
        (2, Verdict::LockedOut(later(3_600))),
        (3_599, Verdict::LockedOut(later(3_600))),
        (3_600, Verdict::Allowed),
    ] {
        assert_eq!(count(here, at).await.unwrap(), verdict, "after {at} s");
    }
    assert_eq!(count(there, 0).await.unwrap(), Verdict::Allowed);
    assert_eq!(engine.standing.verdict(here, later(3)), Verdict::Allowed, "it may sign in");
    assert_eq!(engine.store.list_failures(later(3)).await.unwrap(), [], "nothing has failed");
    engine.store.sweep(later(3_601), later(3_601)).await.unwrap();
    assert_eq!(count(here, 3_602).await.unwrap(), Verdict::Allowed, "the second of its window");
    assert_eq!(count(here, 3_603).await.unwrap(), Verdict::LockedOut(later(7_200)));
}
