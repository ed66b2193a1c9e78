//! The octets of a query that `http::Uri` refuses and other proxies pass on as they are:
//! `"`, `<`, `>` and what is no UTF-8, by clients that escape nothing.

/// The target with these octets of its query percent-encoded, all others as they are;
/// `None`: it has none of them. What stands before the first `?` is never changed: routes
/// are found by it.
pub(super) fn escape(target: &[u8]) -> Option<Vec<u8>> {
    let query = memchr::memchr(b'?', target)? + 1;
    let mut escaped = target[..query].to_vec();
    for chunk in target[query..].utf8_chunks() {
        for octet in chunk.valid().bytes() {
            match octet {
                b'"' | b'<' | b'>' => push_escape(&mut escaped, octet),
                _ => escaped.push(octet),
            }
        }
        for octet in chunk.invalid() {
            push_escape(&mut escaped, *octet);
        }
    }
    (escaped.len() > target.len()).then_some(escaped)
}

/// In upper case (RFC 3986 2.1).
fn push_escape(text: &mut Vec<u8>, octet: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.extend([b'%', DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 0xf)]]);
}
