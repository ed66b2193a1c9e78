use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Numbers that look random and are the same in each run.
fn drawn(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below.max(1) as u64).unwrap()
    }
}

fn v4(network: u32, host: u32) -> Source {
    Source::V4(network << 8 | host)
}

#[test]
fn a_network_is_a_24_of_ipv4_and_a_48_of_ipv6() {
    let of = |text: &str| Network::of(Source::of(text.parse().unwrap()));
    for (one, other, same) in [
        ("192.0.2.1", "192.0.2.254", true),
        ("192.0.2.1", "192.0.3.1", false),
        ("2001:db8:0:1::1", "2001:db8:0:ffff::9", true),
        ("2001:db8:0:1::1", "2001:db8:1:1::1", false),
    ] {
        assert_eq!(of(one) == of(other), same, "{one} {other}");
    }
}

/// However many one network sends, and however early.
#[test]
fn each_network_has_the_same_chance() {
    let mut random = drawn(7);
    let mut wins = HashMap::new();
    for _ in 0..4_000 {
        let mut crowd = Crowd::default();
        for host in 0..12 {
            crowd.join(v4(1, host), 1, &mut random);
        }
        crowd.join(v4(2, 0), 2, &mut random);
        crowd.join(Source::V6(0), 3, &mut random);
        crowd.join(v4(4, 0), 4, &mut random);
        *wins.entry(crowd.choose(&mut random).unwrap()).or_insert(0) += 1;
    }
    // A thousand each, within eight standard deviations.
    assert!(wins.len() == 4 && wins.values().all(|wins| (780..1_220).contains(wins)), "{wins:?}");
}

#[test]
fn each_attempt_of_a_network_has_the_same_chance() {
    let mut random = drawn(8);
    let mut wins = [0; 4];
    for _ in 0..4_000 {
        let mut crowd = Crowd::default();
        for host in 0..4 {
            crowd.join(v4(1, host), host as usize, &mut random);
        }
        wins[crowd.choose(&mut random).unwrap()] += 1;
    }
    assert!(wins.iter().all(|wins| (780..1_220).contains(wins)), "{wins:?}");
}

/// A stranger from a network of its own is among those that wait, whoever came before and
/// comes after.
#[test]
fn those_of_the_largest_network_give_way_first() {
    let mut random = drawn(9);
    let mut crowd = Crowd::default();
    for host in 0..60 {
        for network in 1..=10 {
            crowd.join(v4(network, host), network, &mut random);
        }
    }
    assert_eq!(crowd.join(v4(99, 0), 99, &mut random).map(|gone| gone != 99), Some(true));
    for host in 60..200 {
        for network in 1..=10 {
            let gone = crowd.join(v4(network, host), network, &mut random);
            assert!(gone.is_some_and(|gone| gone != 99));
        }
    }
    let left = std::iter::from_fn(|| crowd.choose(&mut random));
    assert!(left.into_iter().any(|network| network == 99));
}

/// With more networks than may wait, who came late has the chance of who came early.
#[test]
fn of_more_networks_than_may_wait_the_newcomer_is_as_likely_to_stay() {
    let mut random = drawn(10);
    let (mut newcomers, mut others) = (0, 0);
    for _ in 0..2_000 {
        let mut crowd = Crowd::default();
        for network in 0..=u32::try_from(MAX_WAITING).unwrap() {
            let gone = crowd.join(v4(network, 0), network, &mut random);
            match gone {
                Some(gone) if gone == network => newcomers += 1,
                Some(_) => others += 1,
                None => {}
            }
        }
    }
    assert_eq!(newcomers + others, 2_000, "one had to go each time");
    assert!((5..80).contains(&newcomers), "one in 65, not always and not never: {newcomers}");
}

proptest! {
    /// Whoever waits is chosen once, or gives way once, or leaves; and nowhere are more than
    /// may be.
    #[test]
    fn nobody_is_lost_or_chosen_twice(
        seed: u64,
        steps in prop::collection::vec((0u8..8, 0u32..80, 0u32..3), 0..300),
    ) {
        let mut random = drawn(seed);
        let mut crowd = Crowd::default();
        let (mut waiting, mut gone) = (HashMap::new(), Vec::new());
        for (number, (step, network, host)) in steps.into_iter().enumerate() {
            match step {
                0 => {
                    let chosen = crowd.choose(&mut random);
                    prop_assert_eq!(chosen.is_none(), waiting.is_empty());
                    gone.extend(chosen);
                }
                1 => {
                    if let Some(number) = waiting.keys().next().copied() {
                        crowd.retain(|waiter| *waiter != number);
                        waiting.remove(&number);
                    }
                }
                _ => {
                    waiting.insert(number, network);
                    gone.extend(crowd.join(v4(network % 9, host), number, &mut random));
                }
            }
            for number in gone.drain(..) {
                prop_assert!(waiting.remove(&number).is_some(), "{} twice", number);
            }
            prop_assert_eq!(crowd.0.len(), waiting.len());
            prop_assert!(crowd.0.len() <= MAX_WAITING);
            for network in crowd.networks() {
                prop_assert!(crowd.of(network).count() <= MAX_OF_NETWORK);
            }
        }
    }
}
