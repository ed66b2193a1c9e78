//! The one form of a method. It is compared with case (RFC 9110 9.1), and every
//! registered one consists of `A-Z` and `-`. Common servers execute `post` as POST:
//! another spelling would be judged by one rule and executed under another.

/// The longest method; every registered one is shorter.
pub const MAX_BYTES: usize = 32;

/// Whether a request, and a rule for requests, may have it.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    (1..=MAX_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
}
