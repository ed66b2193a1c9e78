//! How contracts write ids (C8), times (C7) and the state of a shared store.
//!
//! Inside, an id is one UUID. Some contracts show its text, others a prefix and the
//! same sixteen bytes in base32; every form is read everywhere.

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use std::time::Duration;
use uuid::Uuid;

use crate::auth::account::AccountId;
use crate::auth::api_key::KeyId;
use crate::auth::ports::StoreHealth;
use crate::auth::time::Timestamp;

pub const ENVELOPE_USER: &str = "usr_";
pub const PLAIN_USER: &str = "user_";
pub const PLAIN_KEY: &str = "key_";
/// A shared store as health and `portcullis status` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreShown {
    pub state: String,
    /// Absent when memory was never read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staleness_ms: Option<u64>,
    pub undelivered: u64,
}

impl From<StoreHealth> for StoreShown {
    fn from(health: StoreHealth) -> Self {
        let milliseconds = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self {
            state: health.state.word().to_owned(),
            staleness_ms: health.staleness.map(milliseconds),
            undelivered: health.undelivered as u64,
        }
    }
}

const PREFIXES: [&str; 3] = [ENVELOPE_USER, PLAIN_USER, PLAIN_KEY];

/// RFC 4648 base32 in lower case, without padding.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().expect("the alphabet has 32 different symbols")
});

/// A prefix and the id in base32.
#[must_use]
pub fn prefixed(prefix: &str, id: Uuid) -> String {
    let mut text = String::with_capacity(prefix.len() + 26);
    text.push_str(prefix);
    BASE32.encode_append(id.as_bytes(), &mut text);
    text
}

/// Reads an id in any form that a contract shows.
#[must_use]
pub fn parse_id(text: &str) -> Option<Uuid> {
    let encoded = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix));
    match encoded {
        Some(encoded) => {
            let bytes = BASE32.decode(encoded.as_bytes()).ok()?;
            Some(Uuid::from_bytes(bytes.try_into().ok()?))
        }
        // Only as it is shown; the braces and URNs that `Uuid` reads are no form of ours.
        None => text.parse().ok().filter(|_| text.len() == 36),
    }
}

#[must_use]
pub fn envelope_user(id: AccountId) -> String {
    prefixed(ENVELOPE_USER, id.0)
}

/// The bytes of [`envelope_user`].
pub const ENVELOPE_USER_LENGTH: usize = ENVELOPE_USER.len() + 26;

/// As [`envelope_user`], without a place of its own.
pub fn write_envelope_user(id: AccountId, text: &mut [u8; ENVELOPE_USER_LENGTH]) -> &str {
    let (prefix, encoded) = text.split_at_mut(ENVELOPE_USER.len());
    prefix.copy_from_slice(ENVELOPE_USER.as_bytes());
    BASE32.encode_mut(id.0.as_bytes(), encoded);
    str::from_utf8(text).expect("base32 is ASCII")
}

/// Whether a text could be taken for what [`envelope_user`] writes, without case.
#[must_use]
pub fn resembles_envelope_user(text: &str) -> bool {
    text.len() == ENVELOPE_USER_LENGTH
        && text.as_bytes()[..ENVELOPE_USER.len()].eq_ignore_ascii_case(ENVELOPE_USER.as_bytes())
}

#[must_use]
pub fn plain_user(id: AccountId) -> String {
    prefixed(PLAIN_USER, id.0)
}

#[must_use]
pub fn plain_key(id: KeyId) -> String {
    prefixed(PLAIN_KEY, id.0)
}

/// `2026-03-05T12:00:00.000Z`
#[must_use]
pub fn millis(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at.0).unwrap_or(i64::MAX));
    at.map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

/// `2023-10-27T10:00:00Z`
#[must_use]
pub fn seconds(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(i64::try_from(at.seconds()).unwrap_or(i64::MAX));
    at.map_or_else(|_| String::new(), |at| format!("{at:.0}"))
}

/// Reads a time of RFC 3339; what lies before 1970 has passed in any case.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp(u64::try_from(at.as_millisecond()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_form_of_an_id_means_the_same(number: u128) {
            let id = Uuid::from_u128(number);
            prop_assert_eq!(parse_id(&id.to_string()), Some(id));
            for prefix in PREFIXES {
                prop_assert_eq!(parse_id(&prefixed(prefix, id)), Some(id));
            }
        }

        #[test]
        fn no_text_is_read_as_an_id_that_is_written_otherwise(text in "(usr_|user_|key_|)[-a-z2-7]{20,40}") {
            if let Some(id) = parse_id(&text) {
                let forms = PREFIXES.map(|prefix| prefixed(prefix, id));
                prop_assert!(text == id.to_string() || forms.contains(&text));
            }
        }
    }

    #[test]
    fn an_id_is_written_in_place_as_elsewhere() {
        let id = AccountId(Uuid::from_u128(7));
        let mut text = [0; ENVELOPE_USER_LENGTH];
        assert_eq!(write_envelope_user(id, &mut text), envelope_user(id));
        assert!(resembles_envelope_user(&envelope_user(id).to_ascii_uppercase()));
        assert!(!resembles_envelope_user("usr_ann") && !resembles_envelope_user(&plain_user(id)));
    }

    #[test]
    fn an_id_is_known_by_what_it_is_of() {
        let id = Uuid::from_u128(7);
        let encoded = "aaaaaaaaaaaaaaaaaaaaaaaaa4";
        assert_eq!(encoded.len(), 26);
        assert_eq!(plain_user(AccountId(id)), format!("user_{encoded}"));
        assert_eq!(plain_key(KeyId(id)), format!("key_{encoded}"));
    }

    #[test]
    fn times_are_written_as_the_contracts_show_them() {
        let at = Timestamp(1_772_712_000_000);
        assert_eq!(millis(at), "2026-03-05T12:00:00.000Z");
        assert_eq!(seconds(Timestamp(1_698_400_800_999)), "2023-10-27T10:00:00Z");
        assert_eq!(parse_time("2026-03-05T13:00:00+01:00"), Some(at));
        assert_eq!(parse_time("1969-12-31T23:59:59Z"), Some(Timestamp(0)));
        assert_eq!(parse_time("tomorrow"), None);
    }
}
