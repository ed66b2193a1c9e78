use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use super::*;
use crate::auth::tests::SetClock;

/// The seed of the published values.
struct Seed;

impl Entropy for Seed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&1_234_567u64.to_ne_bytes());
    }
}

const NOW: u64 = 1_800_000_000_000;

fn ids() -> Ids {
    Ids::new(Arc::new(SetClock(AtomicU64::new(NOW))), &Seed)
}

#[test]
fn numbers_are_those_of_splitmix64() {
    let ids = ids();
    for expected in [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
        4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
    ] {
        assert_eq!(ids.next(), expected);
    }
}

#[test]
fn a_request_id_tells_its_time_and_is_of_one_request() {
    let ids = ids();
    let made: HashSet<Arc<str>> = (0..1000).map(|_| ids.request_id()).collect();
    assert_eq!(made.len(), 1000);
    for id in made {
        let id = Uuid::parse_str(&id).expect("a UUID");
        assert_eq!(id.get_version_num(), 7);
        let (seconds, _) = id.get_timestamp().expect("of version 7").to_unix();
        assert_eq!(seconds, NOW / 1000);
    }
}

#[test]
fn a_new_trace_has_ids_of_its_own_and_is_not_sampled() {
    let ids = ids();
    let (mut traces, mut spans) = (HashSet::new(), HashSet::new());
    for _ in 0..1000 {
        let text = ids.traceparent();
        let parts: Vec<&str> = text.split('-').collect();
        let [version, trace, span, flags] = parts[..] else { panic!("{text}") };
        assert_eq!((version, trace.len(), span.len(), flags), ("00", 32, 16, "00"), "{text}");
        for id in [trace, span] {
            let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            assert!(id.bytes().all(digit) && id.bytes().any(|byte| byte != b'0'), "{text}");
        }
        assert!(traces.insert(trace.to_owned()) && spans.insert(span.to_owned()), "{text}");
    }
}
