use proptest::prelude::*;

use super::*;

fn key() -> ApiKey {
    ApiKey {
        id: KeyId(Uuid::from_u128(1)),
        owner: AccountId(Uuid::from_u128(2)),
        name: "ci".to_owned(),
        shown: "sk_live_123456".to_owned(),
        digest: [7; 32],
        server: None,
        scopes: vec!["deploy".to_owned()],
        created: Timestamp(1_000),
        expires: None,
        superseded: AtomicTimestamp::default(),
        last_used: AtomicTimestamp::default(),
    }
}

fn moments() -> impl Strategy<Value = Option<Timestamp>> {
    proptest::option::of((1..=u64::MAX).prop_map(Timestamp))
}

proptest! {
    #[test]
    fn a_copy_of_a_key_has_its_times_and_does_not_follow_them(
        superseded in moments(),
        used in moments(),
        later in 1..=u64::MAX,
    ) {
        let known = ApiKey {
            superseded: AtomicTimestamp::at(superseded),
            last_used: AtomicTimestamp::at(used),
            ..key()
        };
        let copy = known.clone();
        prop_assert_eq!((copy.superseded.get(), copy.last_used.get()), (superseded, used));
        prop_assert_eq!(copy.ends(), known.ends());
        known.superseded.set(Some(Timestamp(later)));
        known.last_used.set(Some(Timestamp(later)));
        prop_assert_eq!((copy.superseded.get(), copy.last_used.get()), (superseded, used));
    }

    #[test]
    fn two_records_of_a_key_are_the_same_only_with_the_same_times(
        one in (moments(), moments()),
        two in (moments(), moments()),
    ) {
        let with = |(superseded, used)| ApiKey {
            superseded: AtomicTimestamp::at(superseded),
            last_used: AtomicTimestamp::at(used),
            ..key()
        };
        prop_assert_eq!(with(one), with(one));
        prop_assert_eq!(with(one) == with(two), one == two);
        prop_assert_eq!(with((one.0, None)) == with((two.0, None)), one.0 == two.0);
        prop_assert_eq!(with((None, one.1)) == with((None, two.1)), one.1 == two.1);
    }
}

/// Who has the key may use it until the earlier of the two, and not at that moment.
#[test]
fn a_key_ends_with_its_own_time_or_with_that_of_its_rotation_whichever_comes_first() {
    for (expires, superseded, ends) in [
        (None, None, None),
        (Some(5_000), None, Some(5_000)),
        (None, Some(5_000), Some(5_000)),
        (Some(5_000), Some(9_000), Some(5_000)),
        (Some(9_000), Some(5_000), Some(5_000)),
    ] {
        let superseded = AtomicTimestamp::at(superseded.map(Timestamp));
        let key = ApiKey { expires: expires.map(Timestamp), superseded, ..key() };
        assert_eq!(key.ends(), ends.map(Timestamp));
        let last = ends.map_or(u64::MAX, |ends| ends - 1);
        assert!(!key.has_ended(Timestamp(last)));
        assert_eq!(key.has_ended(Timestamp(last.saturating_add(1))), ends.is_some());
    }
}

#[test]
fn a_key_that_follows_another_lives_as_long_and_is_for_the_same() {
    let successor = || Successor {
        id: KeyId(Uuid::from_u128(9)),
        shown: "sk_live_abcdef".to_owned(),
        digest: [9; 32],
        created: Timestamp(50_000),
    };
    for (expires, expected) in [(None, None), (Some(4_000), Some(53_000))] {
        let old = ApiKey {
            expires: expires.map(Timestamp),
            superseded: AtomicTimestamp::at(Some(Timestamp(2_000))),
            last_used: AtomicTimestamp::at(Some(Timestamp(1_500))),
            ..key()
        };
        let new = ApiKey {
            id: KeyId(Uuid::from_u128(9)),
            shown: "sk_live_abcdef".to_owned(),
            digest: [9; 32],
            created: Timestamp(50_000),
            expires: expected.map(Timestamp),
            ..key()
        };
        assert_eq!(successor().of(&old), new);
    }
}

fn rotation(owner: Option<u128>, at: u64, until: u64) -> KeyRotation {
    KeyRotation {
        key: key().id,
        owner: owner.map(|owner| AccountId(Uuid::from_u128(owner))),
        successor: Successor {
            id: KeyId(Uuid::from_u128(9)),
            shown: "sk_live_abcdef".to_owned(),
            digest: [9; 32],
            created: Timestamp(at),
        },
        until: Timestamp(until),
    }
}

#[test]
fn a_rotated_key_goes_on_for_the_overlap_and_no_longer_than_it_would_have() {
    for (case, expires, superseded, until, ends) in [
        ("one without an end", None, None, 9_000, 9_000),
        ("one that ends later", Some(20_000), None, 9_000, 9_000),
        ("one that ends before", Some(7_000), None, 9_000, 7_000),
        ("one that was rotated before", None, Some(6_000), 9_000, 6_000),
        ("one that was to go on for longer", None, Some(12_000), 9_000, 9_000),
    ] {
        let (expires, superseded) =
            (expires.map(Timestamp), AtomicTimestamp::at(superseded.map(Timestamp)));
        let before = ApiKey { expires, superseded, ..key() };
        let rotation = rotation(None, 5_000, until);
        let Some(Succession::Beside { old, new }) = before.clone().rotate(&rotation) else {
            panic!("{case}")
        };
        assert_eq!((old.id, old.ends()), (key().id, Some(Timestamp(ends))), "{case}");
        assert_eq!(new, rotation.successor.of(&before), "{case}");
    }
}

#[test]
fn without_an_overlap_the_successor_takes_the_place_of_the_key() {
    for until in [4_000, 5_000] {
        let rotation = rotation(Some(2), 5_000, until);
        let new = rotation.successor.clone().of(&key());
        assert_eq!(key().rotate(&rotation), Some(Succession::InPlace { old: key(), new }));
    }
}

#[test]
fn there_is_nothing_to_rotate_for_another_owner_and_after_its_end() {
    for (case, owner, at, rotates) in [
        ("whoever owns it", None, 7_999, true),
        ("its owner", Some(2), 7_999, true),
        ("another", Some(3), 7_999, false),
        ("its owner, at its end", Some(2), 8_000, false),
    ] {
        let key = ApiKey { expires: Some(Timestamp(8_000)), ..key() };
        assert_eq!(key.rotate(&rotation(owner, at, 9_000)).is_some(), rotates, "{case}");
    }
}

#[test]
fn keys_that_have_ended_make_room_if_that_is_enough() {
    let limits = AccountLimits { keys: 3, ..AccountLimits::default() };
    let keys = |ends: &[u64]| -> Vec<ApiKey> {
        let ends = ends.iter().map(|end| Some(Timestamp(*end)));
        ends.map(|expires| ApiKey { expires, ..key() }).collect()
    };
    let now = Timestamp(5_000);
    for (case, held, ends, gone) in [
        ("none has ended", 3, &[6_000, 7_000, 8_000][..], None),
        ("one has", 3, &[6_000, 5_000, 8_000], Some(1)),
        ("all that have", 3, &[1_000, 5_000, 8_000], Some(2)),
        ("not enough", 4, &[6_000, 7_000, 8_000, 5_000], None),
        ("of those that are known", 4, &[5_000, 5_000], Some(2)),
    ] {
        let made = limits.make_room_for_key(held, keys(ends), now);
        assert_eq!(made.map(|gone| gone.len()), gone, "{case}");
    }
}
