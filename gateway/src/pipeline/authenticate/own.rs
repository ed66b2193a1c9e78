//! What is recognisably the gateway's own: a token under our header that names our issuer
//! or does not read, and an API key with its checksum. Nothing here says whether it is good.
//!
//! An application's credential may stand in the same fields as ours. What is not ours goes
//! on to it; what is never does, in whatever form it stands there: the application could
//! use it in its owner's name.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::auth::Core;
use crate::auth::api_key;

/// Tells what is ours.
pub trait Own {
    /// Whether a text may be one of our tokens, whole or damaged.
    fn may_be_token(&self, text: &str) -> bool;
    /// Whether a text is an API key, to the last character.
    fn is_key(&self, text: &str) -> bool;
}

impl Own for Core {
    fn may_be_token(&self, text: &str) -> bool {
        Core::may_be_token(self, text)
    }

    fn is_key(&self, text: &str) -> bool {
        Core::is_key(self, text)
    }
}

/// Base64 as others write it: with padding or none, and with bits left over.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether something of ours stands anywhere in a field's value, as it is or in base64,
/// as the password of Basic for one.
pub fn stands_in(own: &impl Own, value: &[u8]) -> bool {
    stands_in_text(own, value) || encoded(value).any(|decoded| stands_in_text(own, &decoded))
}

fn stands_in_text(own: &impl Own, bytes: &[u8]) -> bool {
    words(bytes).any(|word| key_stands_in(own, word) || token_stands_in(own, word))
}

/// What is made of characters that our tokens and keys are made of.
fn words(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let is_ours = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    bytes.split(move |byte| !is_ours(byte)).filter_map(|word| std::str::from_utf8(word).ok())
}

fn key_stands_in(own: &impl Own, word: &str) -> bool {
    let starts = word.match_indices(api_key::PREFIX);
    starts
        .filter_map(|(at, _)| word.get(at..at + api_key::LENGTH))
        .any(|candidate| own.is_key(candidate))
}

/// Every JSON object in base64 begins with these characters.
const OBJECT: &str = "eyJ";

fn token_stands_in(own: &impl Own, word: &str) -> bool {
    word.match_indices(OBJECT).any(|(at, _)| own.may_be_token(&word[at..]))
}

/// The parts of a value that may be base64, of either alphabet, and are long enough for a
/// key. A character too many at the end is passed over, as some decoders do.
fn encoded(value: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let parts = value.split(move |byte| !is_digit(byte));
    parts.filter(|part| part.len() >= api_key::LENGTH).filter_map(|part| {
        let standard = |byte: &u8| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        };
        let whole = part.len() - usize::from(part.len() % 4 == 1);
        let digits: Vec<u8> = part[..whole].iter().map(standard).collect();
        LENIENT.decode(digits).ok()
    })
}

#[cfg(test)]
mod tests;
