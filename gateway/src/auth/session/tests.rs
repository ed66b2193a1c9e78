use uuid::Uuid;

use super::*;

const NOW: Timestamp = Timestamp(4_000_000_000_000);
const GRACE: Seconds = Seconds(60);
const TTL: Seconds = Seconds(604_800);

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Seconds(seconds))
}

fn token(number: u128) -> TokenId {
    TokenId(Uuid::from_u128(number))
}

fn id(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

fn minted(number: u128, issued_at: Timestamp) -> Minted {
    Minted { access: token(number), refresh: token(number + 1), issued_at, access_ttl: 900 }
}

/// Opened a thousand seconds ago; token 11 replaced token 1 thirty seconds ago.
fn session() -> Session {
    Session {
        id: id(5),
        account: AccountId(Uuid::from_u128(7)),
        created: NOW,
        expires: at(10_000),
        current: minted(10, at(970)),
        replaced: Some((token(1), at(970))),
        client: None,
        last_used: None,
    }
}

fn rotation(presented: u128, now: Timestamp, mode: RotationMode) -> Rotation {
    Rotation { session: id(5), presented: token(presented), successor: minted(20, now), now, mode }
}

#[test]
fn a_refresh_token_is_current_repeated_or_reused() {
    for (case, presented, grace, now, expected) in [
        ("the current one", 11, GRACE, at(1_000), RefreshUse::Current),
        ("the current one, however late", 11, GRACE, at(9_999), RefreshUse::Current),
        ("the one before, within the grace", 1, GRACE, at(1_029), RefreshUse::Repeated),
        ("the one before, when the clock was set back", 1, GRACE, at(900), RefreshUse::Repeated),
        ("the one before, at the end of the grace", 1, GRACE, at(1_030), RefreshUse::Reused),
        ("the one before, without a grace", 1, Seconds(0), at(970), RefreshUse::Reused),
        ("an access token", 10, GRACE, at(1_000), RefreshUse::Reused),
        ("one that nobody issued", 99, GRACE, at(1_000), RefreshUse::Reused),
    ] {
        assert_eq!(session().recognize(token(presented), grace, now), expected, "{case}");
    }
}

#[test]
fn redeeming_changes_the_session_only_where_the_token_is_replaced() {
    const ROTATE: RotationMode = RotationMode::Rotate { grace: GRACE };
    const KEEP: RotationMode = RotationMode::Keep;
    let short = |now, access_ttl| Redeemed::Kept(Minted { access_ttl, ..minted(20, now) });
    for (case, presented, now, mode, expected) in [
        ("the current one", 11, at(1_000), ROTATE, Redeemed::Replaced(minted(20, at(1_000)))),
        ("again", 1, at(1_000), ROTATE, Redeemed::Repeated(minted(10, at(970)))),
        ("again, too late", 1, at(1_030), ROTATE, Redeemed::Reused),
        ("a stray one", 99, at(1_000), ROTATE, Redeemed::Reused),
        ("one that stays", 11, at(1_000), KEEP, Redeemed::Kept(minted(20, at(1_000)))),
        ("one that stays, near the end", 11, at(9_990), KEEP, short(at(9_990), 10)),
        ("one that was replaced elsewhere", 1, at(1_000), KEEP, Redeemed::Reused),
        ("a stray one that stays", 99, at(1_000), KEEP, Redeemed::Reused),
        ("at the end of the session", 11, at(10_000), ROTATE, Redeemed::Expired),
        ("a stray one, after the end", 99, at(10_001), KEEP, Redeemed::Expired),
    ] {
        let mut redeemed = session();
        assert_eq!(redeemed.redeem(&rotation(presented, now, mode), TTL), expected, "{case}");
        if matches!(expected, Redeemed::Replaced(_)) {
            assert_eq!(redeemed.current, minted(20, now), "{case}");
            assert_eq!(redeemed.replaced, Some((token(11), now)), "{case}");
            assert_eq!(redeemed.expires, now.plus(TTL), "{case}");
        } else {
            assert_eq!(redeemed, session(), "{case}");
        }
    }
}

#[test]
fn rotation_never_shortens_a_session() {
    let mut session = session();
    let rotation = rotation(11, at(1_000), RotationMode::Rotate { grace: GRACE });
    assert!(matches!(session.redeem(&rotation, Seconds(10)), Redeemed::Replaced(_)));
    assert_eq!(session.expires, at(10_000));
}

#[test]
fn an_end_counts_as_long_as_a_token_may_name_the_session() {
    let session = session();
    assert_eq!(session.end_counts_until(at(1_000), Seconds(60)), at(10_000));
    assert_eq!(session.end_counts_until(at(9_990), Seconds(60)), at(10_050));
}

#[test]
fn the_expired_and_then_the_oldest_give_way_to_a_new_session() {
    let limits = |sessions| AccountLimits { sessions, ..AccountLimits::default() };
    let all = |count: u128, expired: &'static [u128]| {
        (1..=count).map(move |number| (id(number), expired.contains(&number)))
    };
    let ids = |numbers: &[u128]| numbers.iter().map(|number| id(*number)).collect::<Vec<_>>();
    for (case, count, expired, most, gone, superseded) in [
        ("room for one more", 2, &[1][..], 3, &[][..], &[][..]),
        ("as many as may be", 3, &[], 3, &[], &[1]),
        ("more than may be", 5, &[], 3, &[], &[1, 2, 3]),
        ("an expired one is room enough", 3, &[2], 3, &[2], &[]),
        ("one of those beyond has expired", 5, &[4], 3, &[4], &[1, 2]),
        ("one may be", 1, &[], 1, &[], &[1]),
        ("none", 0, &[], 1, &[], &[]),
    ] {
        let surplus = Surplus::of(count, all(count as u128, expired), limits(most));
        assert_eq!(surplus.expired, ids(gone), "{case}");
        assert_eq!(surplus.superseded, ids(superseded), "{case}");
    }
}

#[test]
fn no_session_ends_so_many_others_that_its_account_waits_for_it() {
    let limits = AccountLimits { sessions: 10, ..AccountLimits::default() };
    let many = (1..=2_000).map(|number| (id(number), number % 2 == 0));
    let surplus = Surplus::of(2_000, many, limits);
    assert_eq!(surplus.expired.len(), CLEARED_AT_ONCE);
    assert_eq!(surplus.superseded.len(), SUPERSEDED_AT_ONCE);
    assert_eq!((surplus.expired[0], surplus.superseded[0]), (id(2), id(1)));
}
