//! How a request path is read. Its normal form decides; what is forwarded are the bytes
//! as they were written.
//!
//! That is safe only where every server reads the same segments in both. In the normal
//! form escapes of characters that may stand in a path as they are get decoded, for a
//! route may be written with them; other escapes get upper-case digits, and characters
//! that RFC 3986 has no place for are escaped. No server tells these spellings apart but
//! by their bytes. [`judge`] says of every other path whether servers read it in several
//! ways (encoded slashes, empty segments, `;` parameters, escapes of escapes), which a
//! route must allow, or refuses it: backslashes, controls, dot segments and overlong
//! UTF-8, however deep they are encoded, lead out of what a route is for.

use std::borrow::Cow;

/// How often a path may be decoded on its way: by a server, and by one in front of it.
const DECODINGS: usize = 2;

/// Why a path has no normal form that all servers agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguity {
    NoLeadingSlash,
    BrokenEscape,
    EncodedSlash,
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
            Ambiguity::EncodedSlash => "an encoded slash",
            Ambiguity::EncodedControl => "an encoded control character",
            Ambiguity::DoubleEncoding => "an escape inside an escape",
            Ambiguity::Backslash => "a backslash, as it is or encoded",
            Ambiguity::Parameter => "a semicolon",
            Ambiguity::EmptySegment => "an empty segment",
            Ambiguity::DotSegment => "a . or .. segment",
            Ambiguity::Fragment => "a fragment or question mark inside the path",
            Ambiguity::NotUtf8 => "an overlong form, or a byte that no UTF-8 has",
        }
    }
}

/// A path (without query) that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged<'a> {
    /// As it came.
    pub written: &'a str,
    /// Borrowed when it was written so. Segments are those between the slashes that were
    /// written as slashes; `;` and `%3B` are one.
    pub normal: Cow<'a, str>,
    pub reading: Reading,
}

/// How servers read the segments of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// All as in the normal form.
    One,
    /// All as in the normal form, but that some end a segment, or the path, at a delimiter
    /// that is encoded (`%3B`, `%3F`, `%23`).
    Delimited,
    /// Some in another way than others.
    Several(Ambiguity),
}

impl Judged<'_> {
    /// The paths that servers may read in this one, in normal form; none where all read
    /// the same. They are decoded up to twice, cut at `;` in each segment or in all at the
    /// first delimiter, before, between or after that, and empty segments are kept or left
    /// out.
    #[must_use]
    pub fn readings(&self) -> Vec<String> {
        if self.reading == Reading::One {
            return Vec::new();
        }
        let mut forms = vec![self.written.as_bytes().to_vec()];
        let mut readings = Vec::new();
        for _ in 0..=DECODINGS {
            let cut = forms.iter().flat_map(|form| [cut_segments(form), cut_path(form)]);
            let cut: Vec<Vec<u8>> = cut.collect();
            forms.extend(cut);
            forms.sort_unstable();
            forms.dedup();
            for form in &forms {
                readings.extend([spell(form), spell(&without_empty_segments(form))]);
            }
            for form in &mut forms {
                *form = decode(form);
            }
        }
        readings.sort_unstable();
        readings.dedup();
        readings
    }
}

/// Judges a path (without query).
///
/// # Errors
/// When no route may let it through.
pub fn judge(path: &str) -> Result<Judged<'_>, Ambiguity> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(Ambiguity::NoLeadingSlash);
    }
    // Most paths are in normal form; they are only looked at.
    if bytes.iter().all(|b| is_plain(*b)) && !has_empty_segment(path) {
        check_dots(bytes)?;
        return Ok(Judged { written: path, normal: Cow::Borrowed(path), reading: Reading::One });
    }
    check_octets(bytes)?;
    let normal = spell(bytes);
    let reading = reading_of(path, &normal);
    if reading == Reading::One {
        check_dots(normal.as_bytes())?;
    } else {
        check_decoded(bytes)?;
    }
    Ok(Judged { written: path, normal: Cow::Owned(normal), reading })
}

/// Brings a path (without query) to its normal form; borrowed when it is in it already.
///
/// # Errors
/// When two servers could read other segments in it.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, Ambiguity> {
    let judged = judge(path)?;
    match judged.reading {
        Reading::One | Reading::Delimited => Ok(judged.normal),
        Reading::Several(ambiguity) => Err(ambiguity),
    }
}

/// Judges each octet, as it was written or encoded once.
fn check_octets(path: &[u8]) -> Result<(), Ambiguity> {
    let mut before = 0;
    for octet in Octets(path) {
        match octet {
            Octet::Raw(b'%') => return Err(Ambiguity::BrokenEscape),
            Octet::Raw(b'#' | b'?') => return Err(Ambiguity::Fragment),
            Octet::Raw(b' ') => return Err(Ambiguity::EncodedControl),
            Octet::Raw(byte) | Octet::Encoded(byte) => {
                check_octet(std::mem::replace(&mut before, byte), byte)?;
            }
        }
    }
    Ok(())
}

fn check_octet(before: u8, byte: u8) -> Result<(), Ambiguity> {
    match byte {
        b'\\' => Err(Ambiguity::Backslash),
        0..=0x1f | 0x7f => Err(Ambiguity::EncodedControl),
        _ => check_utf8(before, byte),
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

/// Judges what a path becomes each time it is decoded, and what is encoded then still by
/// what it stands for.
fn check_decoded(path: &[u8]) -> Result<(), Ambiguity> {
    let mut form = Cow::Borrowed(path);
    for _ in 0..=DECODINGS {
        check_dots(&form)?;
        form = Cow::Owned(decode(&form));
        let mut before = 0;
        for byte in form.iter() {
            check_octet(std::mem::replace(&mut before, *byte), *byte)?;
        }
    }
    check_dots(&form)
}

/// No segment is `.` or `..`, also where a server ends it at a delimiter.
fn check_dots(path: &[u8]) -> Result<(), Ambiguity> {
    let is_dots = |segment: &[u8]| {
        segment.starts_with(b".") && matches!(up_to_delimiter(segment), b"." | b"..")
    };
    if path.split(|byte| *byte == b'/').any(is_dots) {
        return Err(Ambiguity::DotSegment);
    }
    Ok(())
}

/// Of an octet in normal form, and of how `;` was written.
fn reading_of(path: &str, normal: &str) -> Reading {
    let encoded = |octets: &[u8]| {
        Octets(normal.as_bytes())
            .any(|octet| matches!(octet, Octet::Encoded(octet) if octets.contains(&octet)))
    };
    if encoded(b"/") {
        Reading::Several(Ambiguity::EncodedSlash)
    } else if path.contains(';') {
        Reading::Several(Ambiguity::Parameter)
    } else if is_doubly_encoded(normal.as_bytes()) {
        Reading::Several(Ambiguity::DoubleEncoding)
    } else if has_empty_segment(normal) {
        Reading::Several(Ambiguity::EmptySegment)
    } else if encoded(DELIMITERS) {
        Reading::Delimited
    } else {
        Reading::One
    }
}

/// Whether a second decoder would find an escape: `%25` before two hexadecimal
/// digits, however those were written.
fn is_doubly_encoded(normal: &[u8]) -> bool {
    let is_escape =
        |window: &[u8]| window.starts_with(b"%25") && window[3..].iter().all(u8::is_ascii_hexdigit);
    normal.windows(5).any(is_escape)
}

/// One slash at the end is ordinary.
fn has_empty_segment(path: &str) -> bool {
    path.contains("//")
}

/// An octet of a path.
#[derive(Clone, Copy)]
enum Octet {
    /// As it is; a `%` that begins no escape too.
    Raw(u8),
    /// `%` and two digits.
    Encoded(u8),
}

/// The octets of a path, one after the other.
struct Octets<'a>(&'a [u8]);

impl Iterator for Octets<'_> {
    type Item = Octet;

    fn next(&mut self) -> Option<Octet> {
        let (&first, rest) = self.0.split_first()?;
        if let Some(byte) = escape(self.0) {
            self.0 = &self.0[3..];
            return Some(Octet::Encoded(byte));
        }
        self.0 = rest;
        Some(Octet::Raw(first))
    }
}

/// What `%` and two hexadecimal digits at the beginning stand for.
fn escape(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    match *bytes {
        [b'%', high, low, ..] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    }
}

/// Each escape replaced once; what is none stands for itself.
fn decode(bytes: &[u8]) -> Vec<u8> {
    let octet = |octet| match octet {
        Octet::Raw(byte) | Octet::Encoded(byte) => byte,
    };
    Octets(bytes).map(octet).collect()
}

/// One spelling for each octet. Slashes stay what they are, encoded or not.
fn spell(path: &[u8]) -> String {
    let mut normal = String::with_capacity(path.len() + 16);
    for octet in Octets(path) {
        match octet {
            Octet::Encoded(b'/') => push_escape(&mut normal, b'/'),
            Octet::Raw(byte) | Octet::Encoded(byte) if is_plain(byte) => {
                normal.push(char::from(byte));
            }
            Octet::Raw(byte) | Octet::Encoded(byte) => push_escape(&mut normal, byte),
        }
    }
    normal
}

fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Where some servers end a segment, or, once they have decoded it, the path.
const DELIMITERS: &[u8] = b";?#";

fn up_to_delimiter(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| DELIMITERS.contains(byte)).next().unwrap_or_default()
}

/// Without what follows a `;` in each segment.
fn cut_segments(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/');
    let cut = segments.map(|segment| segment.split(|byte| *byte == b';').next());
    cut.map(Option::unwrap_or_default).collect::<Vec<_>>().join(&b'/')
}

fn cut_path(path: &[u8]) -> Vec<u8> {
    up_to_delimiter(path).to_vec()
}

fn without_empty_segments(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|next, before| (*next, *before) == (b'/', b'/'));
    merged
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

/// Whether `path` is `prefix` or lies below it; both in normal form.
#[must_use]
pub fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
