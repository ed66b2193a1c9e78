//! The client that a session was opened by, as an operator may recognise it later.
//!
//! What a client calls itself is its own word: it is bounded, made harmless to look at, and
//! decides nothing.

use std::net::IpAddr;

use super::ports::Source;
use super::text::is_hidden;

/// Longer than what common browsers send: Safari on a phone needs 140 bytes.
const MAX_USER_AGENT_BYTES: usize = 192;
/// Stands for what cannot be seen or is no UTF-8.
const REPLACEMENT: char = '\u{fffd}';

/// Who opened a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionClient {
    /// The client's own address, where a trusted proxy names it.
    pub address: IpAddr,
    /// `None` when it did not say.
    pub user_agent: Option<UserAgent>,
}

impl SessionClient {
    /// The address as limits count it.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::of(self.address)
    }
}

/// What a client calls itself: 1 to 192 bytes of text without hidden characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAgent(Box<str>);

impl UserAgent {
    /// Reads the beginning of a field's value. A character that is hidden, and what is no
    /// UTF-8, becomes U+FFFD, so that it is seen that something was there. `None` when
    /// nothing is left.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let mut text = String::new();
        // A character of the text comes from one byte of the value at least.
        let value = &value[..value.len().min(MAX_USER_AGENT_BYTES)];
        for character in String::from_utf8_lossy(value).trim().chars() {
            let character = if is_hidden(character) { REPLACEMENT } else { character };
            if text.len() + character.len_utf8() > MAX_USER_AGENT_BYTES {
                break;
            }
            text.push(character);
        }
        text.truncate(text.trim_end().len());
        (!text.is_empty()).then(|| Self(text.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
