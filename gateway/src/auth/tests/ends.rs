//! When what was proven ends: what a stream that it opened waits for, and what memory
//! knows before the store does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::account::AccountState;
use super::super::api_key::{ApiKey, AtomicTimestamp, NewKey};
use super::super::error::{Error, Refusal};
use super::super::ports::{AccountLimits, Clock, Replacement};
use super::super::time::Seconds;
use super::super::token::TokenKind;
use super::{ACCESS_TTL, Bench, CLIENT, HERE, InMemoryStore, PASSWORD, ROTATING, refusal};

#[tokio::test]
async fn a_reset_password_ends_every_session() {
    let bench = Bench::new().await;
    let (one, two) = (bench.login().await, bench.login().await);
    bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    let ann = bench.core.standing().account_by_name("ann").unwrap().id;
    let reset = bench.core.reset_password(ann, "set by an administrator".into()).await.unwrap();
    assert_eq!(reset, Replacement::Replaced);
    for pair in [one, two] {
        assert_eq!(bench.judge(&pair.access.text), Err(Refusal::SessionEnded));
        let refreshed = bench.core.refresh(pair.refresh.expose(), ROTATING).await;
        assert_eq!(refusal(refreshed), Some(Refusal::SessionEnded));
    }
    assert!(bench.core.cached_basic("ann", PASSWORD).is_none());
    let old = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await;
    assert_eq!(refusal(old), Some(Refusal::PasswordWrong));
    bench.core.verify_basic("ann", &"set by an administrator".into(), HERE).await.unwrap();
}

/// A shared store that was away has not heard of it yet, and would rotate the token.
#[tokio::test]
async fn a_refresh_is_refused_when_memory_alone_knows_the_end() {
    let bench = Bench::new().await;
    let (kept, ended, revoked) = (bench.login().await, bench.login().await, bench.login().await);
    let standing = bench.core.standing();
    let claims = |pair: &super::TokenPair| {
        bench.core.open_token(pair.refresh.expose(), TokenKind::Refresh).unwrap()
    };
    let until = bench.core.clock().now().plus(Seconds(604_800));
    standing.end_sessions(&[(claims(&ended).session, until)]);
    standing.revoke_token(claims(&revoked).id, until);
    assert_eq!(bench.core.store().list_sessions(None, None, 9).await.unwrap().len(), 3);
    for (pair, expected) in [(&ended, Refusal::SessionEnded), (&revoked, Refusal::TokenRevoked)] {
        let refreshed = bench.core.refresh(pair.refresh.expose(), ROTATING).await;
        assert_eq!(refusal(refreshed), Some(expected));
    }
    bench.core.refresh(kept.refresh.expose(), ROTATING).await.unwrap();
}

/// Unlike a logout, which ends one access token.
#[tokio::test]
async fn ending_a_session_ends_every_token_of_it_and_no_other_session() {
    let bench = Bench::new().await;
    let (one, two) = (bench.login().await, bench.login().await);
    let (_, renewed) = bench.core.refresh(one.refresh.expose(), ROTATING).await.unwrap();
    let principal = bench.core.verify_access(one.access.text.expose()).unwrap();
    bench.core.end_session(&principal).await.unwrap();
    for pair in [&one, &renewed] {
        assert_eq!(bench.judge(&pair.access.text), Err(Refusal::SessionEnded));
        let refreshed = bench.core.refresh(pair.refresh.expose(), ROTATING).await;
        assert_eq!(refusal(refreshed), Some(Refusal::SessionEnded));
    }
    assert_eq!(bench.judge(&two.access.text), Ok(()));
    bench.core.refresh(two.refresh.expose(), ROTATING).await.unwrap();
    let by_password = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    let nothing = bench.core.end_session(&by_password).await;
    assert!(matches!(nothing, Err(Error::NotASession)), "{nothing:?}");
}

/// Each that is ended by itself is kept for a day longer than it lives.
#[tokio::test]
async fn of_a_session_that_ends_its_tokens_one_by_one_little_is_kept() {
    let bench = Bench::new().await;
    let (pair, other) = (bench.login().await, bench.login().await);
    let mut presented = bench.core.verify_access(pair.access.text.expose()).unwrap();
    for logout in 1..=100 {
        let (_, issued) = bench.core.reissue(&presented, ROTATING).await.unwrap();
        bench.core.logout(&presented).await.unwrap();
        assert_eq!(bench.judge(&issued.text), Ok(()), "after {logout}");
        presented = bench.core.verify_access(issued.text.expose()).unwrap();
    }
    assert_eq!(bench.core.standing.sizes().revoked, 100);
    let (_, issued) = bench.core.reissue(&presented, ROTATING).await.unwrap();
    bench.core.logout(&presented).await.unwrap();
    assert_eq!(bench.judge(&issued.text), Err(Refusal::SessionEnded));
    let refreshed = bench.core.refresh(pair.refresh.expose(), ROTATING).await;
    assert_eq!(refusal(refreshed), Some(Refusal::SessionEnded));
    let sizes = bench.core.standing.sizes();
    assert_eq!((sizes.revoked, sizes.ended), (100, 1));
    let others = bench.core.verify_access(other.access.text.expose()).unwrap();
    bench.core.logout(&others).await.unwrap();
    bench.core.refresh(other.refresh.expose(), ROTATING).await.unwrap();
}

/// Nor is a hash spent on it.
#[tokio::test]
async fn a_password_that_is_remembered_opens_nothing_once_it_may_not() {
    let mut bench = Bench::new().await;
    bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    assert!(bench.core.cached_basic("ann", PASSWORD).is_some());
    bench.core.policy.local_accounts = false;
    assert!(bench.core.cached_basic("ann", PASSWORD).is_none());
    let basic = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await;
    assert!(matches!(basic, Err(Error::LocalAccountsDisabled)), "{basic:?}");
    bench.core.policy.local_accounts = true;
    assert!(bench.core.cached_basic("ann", PASSWORD).is_some());
    let (ann, now) = (bench.core.standing().account_by_name("ann").unwrap(), bench.clock.now());
    bench.core.store().set_state(ann.id, AccountState::Disabled, now).await.unwrap();
    assert!(bench.core.cached_basic("ann", PASSWORD).is_none());
}

#[tokio::test]
async fn what_a_key_opened_ends_with_the_overlap_of_its_rotation() {
    let bench = Bench::new().await;
    let owner = bench.core.standing().account_by_name("ann").unwrap().id;
    let new = NewKey { owner, name: "ci".into(), server: None, scopes: Vec::new(), expires: None };
    let (key, text) = bench.core.create_key(new).await.unwrap();
    let principal = bench.core.verify_key(text.expose()).unwrap();
    assert_eq!(principal.expires(), None);
    let begun = bench.core.clock().now();
    bench.core.rotate_key(key.id, Some(owner), Seconds(60)).await.unwrap();
    assert_eq!(principal.expires(), Some(begun.plus(Seconds(60))), "it was opened before");
    let now = || bench.core.clock().now();
    let good = || bench.core.standing().still_good(&principal, now()).map(drop);
    bench.pass(59);
    assert_eq!(good(), Ok(()));
    bench.pass(1);
    assert!(good().is_err());
}

#[tokio::test]
async fn what_a_key_opened_ends_with_its_own_time_if_that_comes_before() {
    let bench = Bench::new().await;
    let owner = bench.core.standing().account_by_name("ann").unwrap().id;
    let expires = Some(bench.core.clock().now().plus(Seconds(10)));
    let new = NewKey { owner, name: "ci".into(), server: None, scopes: Vec::new(), expires };
    let (key, text) = bench.core.create_key(new).await.unwrap();
    let principal = bench.core.verify_key(text.expose()).unwrap();
    bench.core.rotate_key(key.id, Some(owner), Seconds(60)).await.unwrap();
    assert_eq!(principal.expires(), expires);
}

/// What is read from the store anew is another record of the same key.
#[tokio::test]
async fn what_a_key_opened_ends_with_the_key_as_memory_has_it_now() {
    let bench = Bench::new().await;
    let owner = bench.core.standing().account_by_name("ann").unwrap().id;
    let new = NewKey { owner, name: "ci".into(), server: None, scopes: Vec::new(), expires: None };
    let (key, text) = bench.core.create_key(new).await.unwrap();
    let principal = bench.core.verify_key(text.expose()).unwrap();
    let (standing, now) = (bench.core.standing(), bench.core.clock().now());
    assert!(standing.still_good(&principal, now).is_ok());
    standing.remove_key(&key.digest);
    assert_eq!(standing.still_good(&principal, now).err(), Some(Refusal::KeyUnknown));
    standing.put_key(ApiKey { superseded: AtomicTimestamp::at(Some(now)), ..key });
    assert_eq!(standing.still_good(&principal, now).err(), Some(Refusal::KeyExpired));
}

/// The ticket itself lives for two minutes, and only until it is redeemed.
#[tokio::test]
async fn what_a_ticket_opened_ends_with_the_token_it_was_asked_with() {
    let bench = Bench::new().await;
    let begun = bench.core.clock().now();
    let pair = bench.login().await;
    let by_token = bench.core.verify_access(pair.access.text.expose()).unwrap();
    let ticket = bench.core.issue_ticket(&by_token).await.unwrap();
    let redeemed = bench.core.redeem_ticket(ticket.expose()).await.unwrap();
    assert_eq!(redeemed.expires(), Some(begun.plus(ACCESS_TTL)));
    assert_eq!(redeemed.session(), by_token.session());
    let now = || bench.core.clock().now();
    let good = || bench.core.standing().still_good(&redeemed, now()).map(drop);
    bench.pass(ACCESS_TTL.0 - 1);
    assert_eq!(good(), Ok(()));
    bench.pass(1);
    assert_eq!(good(), Err(Refusal::TokenExpired));
}

/// A password has no time of its own, nor has what it opened.
#[tokio::test]
async fn what_a_password_opened_ends_only_with_the_password() {
    let bench = Bench::new().await;
    let by_password = bench.core.verify_basic("ann", &PASSWORD.into(), HERE).await.unwrap();
    let ticket = bench.core.issue_ticket(&by_password).await.unwrap();
    let redeemed = bench.core.redeem_ticket(ticket.expose()).await.unwrap();
    bench.pass(10_000_000);
    let now = bench.core.clock().now();
    for principal in [&by_password, &redeemed] {
        assert_eq!(principal.expires(), None);
        assert_eq!(principal.session(), None);
        assert_eq!(bench.core.standing().still_good(principal, now).map(drop), Ok(()));
    }
    let ann = by_password.account_id();
    bench.core.reset_password(ann, "set by an administrator".into()).await.unwrap();
    for principal in [&by_password, &redeemed] {
        let ended = bench.core.standing().still_good(principal, now);
        assert_eq!(ended, Err(Refusal::PasswordWrong));
    }
}

/// Was: which of two sign-ins was the later one would be a matter of chance, or of whose
/// clock was ahead.
#[tokio::test]
async fn a_sign_in_after_the_end_of_all_goes_on_whatever_the_clock_says() {
    let bench = Bench::new().await;
    let ann = bench.core.standing().account_by_name("ann").unwrap().id;
    for _ in 0..20 {
        let before = bench.login().await;
        bench.core.store().end_sessions(ann, bench.core.clock().now()).await.unwrap();
        let after = bench.login().await;
        assert_eq!(bench.judge(&before.access.text), Err(Refusal::SessionEnded));
        assert_eq!(bench.judge(&after.access.text), Ok(()), "in the same millisecond");
        bench.core.refresh(after.refresh.expose(), ROTATING).await.unwrap();
        // As at a gateway whose clock is behind.
        bench.clock.0.fetch_sub(60_000, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_sign_in_that_ends_for_a_new_one_is_told() {
    let mut bench = Bench::new().await;
    let store = InMemoryStore::new(Arc::clone(&bench.core.standing), Seconds(604_800));
    let limits = AccountLimits { sessions: 2, ..AccountLimits::default() };
    bench.core.store = Arc::new(store.with_limits(limits));
    bench.add("bea", PASSWORD).await;
    let login =
        async || bench.core.login("bea", &PASSWORD.into(), &CLIENT, ROTATING).await.unwrap().1;
    let (one, two) = (login().await, login().await);
    assert_eq!((&one.superseded[..], &two.superseded[..]), (&[][..], &[][..]));
    let oldest = {
        let of = |pair: &super::TokenPair| {
            bench.core.open_token(pair.access.text.expose(), TokenKind::Access).unwrap().session
        };
        of(&one).min(of(&two))
    };
    let three = login().await;
    assert_eq!(three.superseded, [oldest]);
    let judged = [&one, &two].map(|pair| bench.judge(&pair.access.text));
    assert!(judged.contains(&Err(Refusal::SessionEnded)) && judged.contains(&Ok(())));
    assert_eq!(bench.judge(&three.access.text), Ok(()));
}
