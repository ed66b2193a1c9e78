//! Keys: their text, what they may be called and be good for, and their last use.

use super::super::api_key::NewKey;
use super::super::error::{Error, Name};
use super::super::ports::Entropy;
use super::super::time::Seconds;
use super::{Arc, Bench};

/// Every byte the same.
struct Fixed(u8);

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

/// A known answer: keys that were given out must stay good.
#[tokio::test]
async fn the_text_of_a_key_is_its_random_bits_in_base62_and_a_checksum() {
    let mut bench = Bench::new().await;
    let owner = bench.core.standing().account_by_name("ann").unwrap().id;
    for (byte, expected) in [
        (0x00, "sk_live_0000000000000000000000000000000000000000000qKRP61"),
        (0x01, "sk_live_92dwRwre9d5PBRQnYZr7WobasxGv2J8DFUswXFX6lE0Soi9V1"),
        (0xff, "sk_live_1pX8wOr5j2ACunjH7GLL8mWZWHmY1LA1ZO6Adwksjhy34O5z0"),
    ] {
        bench.core.entropy = Arc::new(Fixed(byte));
        let scopes = Vec::new();
        let new = NewKey { owner, name: "ci".into(), server: None, scopes, expires: None };
        let (key, text) = bench.core.create_key(new).await.unwrap();
        assert_eq!(text.expose(), expected);
        assert_eq!(key.shown, expected[..14]);
        assert!(bench.core.verify_key(expected).is_ok());
        bench.core.store().delete_key(key.id, None).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_key_may_be_called_and_be_good_for_is_checked_in_that_order() {
    let bench = Bench::new().await;
    let now = bench.core.clock().now();
    let check = |name: &str, scopes: &[&str], expires| {
        let scopes: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
        bench.core.check_terms(name, &scopes, expires)
    };
    assert!(check("ci", &["deploy", "a-b_c.d:e/f"], Some(now.plus(Seconds(1)))).is_ok());
    assert!(check("", &[], None).is_ok());
    let past = check("ci", &[], Some(now));
    assert!(matches!(past, Err(Error::Past)), "{past:?}");
    for scope in ["", "with space", "a,b", "é", &"a".repeat(65)] {
        let outcome = check("ci", &["deploy", scope], Some(now));
        assert!(matches!(outcome, Err(Error::Name(Name::Scope))), "{scope:?}: {outcome:?}");
    }
    let label = check(&"x".repeat(201), &["with space"], None);
    assert!(matches!(label, Err(Error::Name(Name::Label))), "{label:?}");
}

#[tokio::test]
async fn the_last_use_of_a_key_is_written_down() {
    let bench = Bench::new().await;
    let owner = bench.core.standing().account_by_name("ann").unwrap().id;
    let new = NewKey { owner, name: "ci".into(), server: None, scopes: Vec::new(), expires: None };
    let (key, text) = bench.core.create_key(new).await.unwrap();
    bench.core.save_key_uses().await.unwrap();
    let stored = async || bench.core.store().find_key(key.id).await.unwrap().unwrap();
    assert_eq!(stored().await.last_used.get(), None);
    bench.pass(5);
    let used = bench.core.clock().now();
    bench.core.verify_key(text.expose()).unwrap();
    bench.core.save_key_uses().await.unwrap();
    assert_eq!(stored().await.last_used.get(), Some(used));
    assert_eq!(bench.core.standing().take_uses(), []);
}
