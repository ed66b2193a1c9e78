//! The bytes of HTTP/1 messages (RFC 9112), read in one way or not at all: what
//! the scanner of requests and the scanner of responses have in common.

mod body;
mod read;

use memchr::{memchr, memchr2};

pub use body::{Blanks, BodyScanner};
pub use read::poll_read_at_most;

/// What is wrong with the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramingFault {
    RequestLine,
    StatusLine,
    /// An octet of the target has to be escaped.
    TargetOctet,
    UriTooLong,
    MethodTooLong,
    Version,
    LineEnding,
    Field,
    FieldCount,
    HeadTooLarge,
    HeadTimeout,
    ContentLength,
    TransferCoding,
    TransferCodingUnknown,
    LengthAndCoding,
    Chunk,
    Trailer,
    /// Bytes where no message is expected.
    Unexpected,
}

impl FramingFault {
    pub const ALL: [Self; 18] = [
        Self::RequestLine,
        Self::StatusLine,
        Self::TargetOctet,
        Self::UriTooLong,
        Self::MethodTooLong,
        Self::Version,
        Self::LineEnding,
        Self::Field,
        Self::FieldCount,
        Self::HeadTooLarge,
        Self::HeadTimeout,
        Self::ContentLength,
        Self::TransferCoding,
        Self::TransferCodingUnknown,
        Self::LengthAndCoding,
        Self::Chunk,
        Self::Trailer,
        Self::Unexpected,
    ];

    /// Stable, for logs and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            FramingFault::RequestLine => "framing_request_line",
            FramingFault::StatusLine => "framing_status_line",
            FramingFault::UriTooLong => "uri_too_long",
            FramingFault::MethodTooLong => "method_malformed",
            FramingFault::TargetOctet => "target_malformed",
            FramingFault::Version => "framing_version",
            FramingFault::LineEnding => "framing_line_ending",
            FramingFault::Field => "framing_field",
            FramingFault::FieldCount => "framing_field_count",
            FramingFault::HeadTooLarge => "head_too_large",
            FramingFault::HeadTimeout => "head_timeout",
            FramingFault::ContentLength => "framing_content_length",
            FramingFault::TransferCoding => "framing_transfer_coding",
            FramingFault::TransferCodingUnknown => "transfer_coding_unknown",
            FramingFault::LengthAndCoding => "framing_length_and_coding",
            FramingFault::Chunk => "framing_chunk",
            FramingFault::Trailer => "framing_trailer",
            FramingFault::Unexpected => "framing_unexpected",
        }
    }
}

/// How a message's fields say where its body ends.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    pub length: Option<u64>,
    pub chunked: bool,
    /// There is an Upgrade field.
    pub upgrade: bool,
}

/// Reads the field lines of a head. Any Content-Length beside another, or beside a
/// transfer coding, is a fault, and so is any coding but one `chunked` (RFC 9112 6.1).
///
/// # Errors
/// The first fault.
pub fn read_fields<'a>(
    lines: impl Iterator<Item = Result<&'a [u8], FramingFault>>,
    version: Version,
    max_fields: usize,
) -> Result<Framing, FramingFault> {
    let mut framing = Framing::default();
    let mut fields = 0;
    for line in lines {
        let (name, value) = parse_field(line?)?;
        fields += 1;
        if fields > max_fields {
            return Err(FramingFault::FieldCount);
        }
        if is_name(name, "content-length") {
            if framing.length.is_some() {
                return Err(FramingFault::ContentLength);
            }
            framing.length = Some(parse_length(value)?);
        } else if is_name(name, "transfer-encoding") {
            if framing.chunked || version == Version::Http10 {
                return Err(FramingFault::TransferCoding);
            }
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(FramingFault::TransferCodingUnknown);
            }
            framing.chunked = true;
        } else if is_name(name, "upgrade") {
            framing.upgrade = true;
        }
    }
    if framing.chunked && framing.length.is_some() {
        return Err(FramingFault::LengthAndCoding);
    }
    Ok(framing)
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Version {
    Http10,
    Http11,
}

/// # Errors
/// [`FramingFault::Version`] for another version, `malformed` for what is none.
pub fn parse_version(text: &[u8], malformed: FramingFault) -> Result<Version, FramingFault> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(FramingFault::Version)
        }
        _ => Err(malformed),
    }
}

/// Just behind the first empty line at or after `from`.
#[must_use]
pub fn find_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let next = memchr(b'\r', bytes.get(at..)?)?;
        at += next;
        if bytes[at..].starts_with(b"\r\n\r\n") {
            return Some(at + 4);
        }
        at += 1;
    }
}

/// Every LF behind a CR, every CR before a LF: told as soon as it is wrong, for a
/// laxer parser would see an end here.
///
/// # Errors
/// [`FramingFault::LineEnding`].
pub fn check_line_ends(bytes: &[u8], from: usize) -> Result<(), FramingFault> {
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        let wrong = match byte {
            b'\n' => at == 0 || bytes[at - 1] != b'\r',
            b'\r' => bytes.get(at + 1).is_some_and(|next| *next != b'\n'),
            _ => false,
        };
        if wrong {
            return Err(FramingFault::LineEnding);
        }
    }
    Ok(())
}

/// Lines between CRLFs; an error where a CR or LF stands alone.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], FramingFault>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let Some(end) = memchr2(b'\r', b'\n', bytes) else {
            rest = None;
            return Some(Ok(bytes));
        };
        if !bytes[end..].starts_with(b"\r\n") {
            rest = None;
            return Some(Err(FramingFault::LineEnding));
        }
        rest = Some(&bytes[end + 2..]);
        Some(Ok(&bytes[..end]))
    })
}

/// `field-name ":" OWS field-value OWS`; a line that begins with white space is
/// folding, which is refused like any other name that is no token.
fn parse_field(line: &[u8]) -> Result<(&[u8], &[u8]), FramingFault> {
    let colon = memchr(b':', line).ok_or(FramingFault::Field)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    // To the end even if a byte is wrong: so many are looked at in one instruction.
    let good_value = value.iter().fold(true, |good, byte| good & is_field_byte(*byte));
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) || !good_value {
        return Err(FramingFault::Field);
    }
    Ok((name, trim(value)))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Digits and nothing else, without overflow.
fn parse_length(value: &[u8]) -> Result<u64, FramingFault> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(FramingFault::ContentLength);
    }
    Ok(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

fn is_name(name: &[u8], known: &str) -> bool {
    name.eq_ignore_ascii_case(known.as_bytes())
}

/// `tchar` (RFC 9110 5.6.2).
#[must_use]
pub fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte: u8 = 0;
        while byte < 0x7f {
            table[byte as usize] = byte.is_ascii_alphanumeric();
            byte += 1;
        }
        let mut marks: &[u8] = b"!#$%&'*+-.^_`|~";
        while let [mark, rest @ ..] = marks {
            table[*mark as usize] = true;
            marks = rest;
        }
        table
    };
    TOKEN[usize::from(byte)]
}

/// What a field value may hold: visible characters, spaces, tabs, `obs-text`.
#[must_use]
pub fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
