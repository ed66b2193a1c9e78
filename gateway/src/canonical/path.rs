//! The normal form of a request path: one form decides, and the same bytes are
//! forwarded, so that no upstream can read another path than the one we judged.
//!
//! Escapes of characters that may stand in a path as they are get decoded, for a
//! route may be written with them; other escapes get upper-case digits, and
//! characters that RFC 3986 has no place for are escaped. Whatever some
//! server would read in another way is refused: encoded slashes, backslashes and
//! controls, dot segments, empty segments, `;` parameters, double encoding, overlong
//! UTF-8.

use std::borrow::Cow;

/// Why a path has no normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguity {
    NoLeadingSlash,
    BrokenEscape,
    EncodedSeparator,
    EncodedControl,
    DoubleEncoding,
    Backslash,
    Parameter,
    EmptySegment,
    DotSegment,
    Fragment,
    NotUtf8,
}

impl Ambiguity {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Ambiguity::NoLeadingSlash => "the path does not begin with a slash",
            Ambiguity::BrokenEscape => "a % is not followed by two hexadecimal digits",
            Ambiguity::EncodedSeparator => "an encoded slash or backslash",
            Ambiguity::EncodedControl => "an encoded control character",
            Ambiguity::DoubleEncoding => "an escape inside an escape",
            Ambiguity::Backslash => "a backslash",
            Ambiguity::Parameter => "a semicolon",
            Ambiguity::EmptySegment => "an empty segment",
            Ambiguity::DotSegment => "a . or .. segment",
            Ambiguity::Fragment => "a fragment or question mark inside the path",
            Ambiguity::NotUtf8 => "an overlong form, or a byte that no UTF-8 has",
        }
    }
}

/// Brings a path (without query) to its normal form; borrowed when it is in it already.
///
/// # Errors
/// When two parsers could read it differently.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, Ambiguity> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(Ambiguity::NoLeadingSlash);
    }
    // Most paths are in normal form; they are only looked at.
    if bytes.iter().all(|b| is_plain(*b)) {
        return check_segments(path).map(|()| Cow::Borrowed(path));
    }
    let mut normal = Vec::with_capacity(path.len() + 16);
    let (mut rest, mut before) = (bytes, 0);
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (decoded, tail) = read_escape(tail)?;
                rest = tail;
                check_decoded(decoded)?;
                check_utf8(std::mem::replace(&mut before, decoded), decoded)?;
                if is_plain(decoded) {
                    normal.push(decoded);
                } else {
                    push_escape(&mut normal, decoded);
                }
            }
            b'\\' => return Err(Ambiguity::Backslash),
            b';' => return Err(Ambiguity::Parameter),
            b'#' | b'?' => return Err(Ambiguity::Fragment),
            0..=0x20 | 0x7f => return Err(Ambiguity::EncodedControl),
            _ => {
                check_utf8(std::mem::replace(&mut before, byte), byte)?;
                if is_plain(byte) {
                    normal.push(byte);
                } else {
                    push_escape(&mut normal, byte);
                }
            }
        }
    }
    if is_doubly_encoded(&normal) {
        return Err(Ambiguity::DoubleEncoding);
    }
    let normal = String::from_utf8(normal).map_err(|_| Ambiguity::BrokenEscape)?;
    check_segments(&normal)?;
    Ok(Cow::Owned(normal))
}

fn read_escape(tail: &[u8]) -> Result<(u8, &[u8]), Ambiguity> {
    let hex = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match tail {
        [high, low, rest @ ..] => match (hex(high), hex(low)) {
            (Some(high), Some(low)) => Ok((high << 4 | low, rest)),
            _ => Err(Ambiguity::BrokenEscape),
        },
        _ => Err(Ambiguity::BrokenEscape),
    }
}

fn check_decoded(decoded: u8) -> Result<(), Ambiguity> {
    match decoded {
        b'/' | b'\\' => Err(Ambiguity::EncodedSeparator),
        0..=0x1f | 0x7f => Err(Ambiguity::EncodedControl),
        _ => Ok(()),
    }
}

/// A lenient decoder reads another character in an overlong form (`%C0%AF`, `%E0%80%AF`),
/// a slash or a dot even. Other sequences that are not UTF-8 are no character to anybody,
/// or one of another encoding, and go as they came.
fn check_utf8(before: u8, byte: u8) -> Result<(), Ambiguity> {
    match (before, byte) {
        (_, 0xc0 | 0xc1 | 0xf5..=0xff) | (0xe0, 0x80..=0x9f) | (0xf0, 0x80..=0x8f) => {
            Err(Ambiguity::NotUtf8)
        }
        _ => Ok(()),
    }
}

/// Whether a second decoder would find an escape: `%25` before two hexadecimal
/// digits, however those were written.
fn is_doubly_encoded(normal: &[u8]) -> bool {
    normal.windows(5).any(|window| window.starts_with(b"%25") && read_escape(&window[3..]).is_ok())
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push(b'%');
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

fn check_segments(path: &str) -> Result<(), Ambiguity> {
    let inner = &path[1..];
    // One trailing slash is an ordinary path.
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return if path.len() > 1 { Err(Ambiguity::EmptySegment) } else { Ok(()) };
    }
    for segment in inner.split('/') {
        match segment {
            "" => return Err(Ambiguity::EmptySegment),
            "." | ".." => return Err(Ambiguity::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

/// Unreserved characters (RFC 3986 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand in a path as it is: `pchar` and the slash, without `;`.
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'/' | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
        )
}

/// Whether `path` is `prefix` or lies below it.
#[must_use]
pub fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
