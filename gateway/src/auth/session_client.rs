//! The client that opened a session, for operators to recognise it by.
//!
//! A client sends any `User-Agent` it likes: the text is bounded, made safe to display, and
//! used for nothing else.

use std::net::IpAddr;

use super::source::Source;
use super::text::is_hidden;

/// Enough for what common browsers send (Safari on a phone: 140), so that the name at the end,
/// which tells Edge from Chrome, is not cut off.
const MAX_USER_AGENT_BYTES: usize = 192;
/// Replaces hidden characters and invalid UTF-8.
const REPLACEMENT: char = '\u{fffd}';

/// Who opened a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionClient {
    /// As trusted proxies report it, else of the connection.
    pub address: IpAddr,
    /// `None` when the client sent none.
    pub user_agent: Option<UserAgent>,
}

impl SessionClient {
    /// The address as limits count it.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::of(self.address)
    }
}

/// A `User-Agent`: 1 to 192 bytes of text without hidden characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAgent(Box<str>);

impl UserAgent {
    /// Reads the first 192 bytes of a field value. Each hidden character and invalid byte
    /// sequence becomes U+FFFD, which shows that something was there. `None` when nothing is
    /// left.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let mut text = String::new();
        // Each character of the text takes at least one byte of the value.
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
