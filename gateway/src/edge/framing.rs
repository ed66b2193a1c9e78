//! The strict reading of HTTP/1 framing (RFC 9112), in front of hyper's laxer one.
//!
//! A scanner follows the bytes of a connection and says how many of them may be
//! passed on. A head is passed when it is complete and can be read in one way
//! only: CRLF line ends, one of Content-Length and a single `chunked`, no folding,
//! no control bytes. What hyper would accept beside that (bare LF, both lengths,
//! several codings, fragments, white space in odd places) never gets to it.

use crate::pipeline::reason::FramingFault;

/// Bounds on a head.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    pub bytes: usize,
    pub fields: usize,
    pub uri_bytes: usize,
}

const MAX_METHOD_BYTES: usize = 32;
/// Extension bytes of all chunks of one body together.
const MAX_EXTENSION_BYTES: usize = 16 << 10;
const MAX_TRAILER_BYTES: usize = 16 << 10;
/// Fifteen digits hold any length that does not overflow.
const MAX_CHUNK_DIGITS: u8 = 15;

#[derive(Debug)]
pub struct Scanner {
    limits: HeadLimits,
    state: State,
    /// How much of an incomplete head has been looked at.
    looked_at: usize,
    extension_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// Behind a request to switch protocols: what these bytes are is not known yet.
    Upgrade,
    Length(u64),
    ChunkSize {
        size: u64,
        digits: u8,
    },
    ChunkExtension {
        size: u64,
    },
    ChunkSizeLf {
        size: u64,
    },
    ChunkData(u64),
    ChunkDataCr,
    ChunkDataLf,
    Trailers,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    Nothing,
    Upgrade,
    Length(u64),
    Chunks,
}

impl Scanner {
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, state: State::Head, looked_at: 0, extension_bytes: 0 }
    }

    #[must_use]
    pub fn in_head(&self) -> bool {
        self.state == State::Head
    }

    #[must_use]
    pub fn awaits_upgrade(&self) -> bool {
        self.state == State::Upgrade
    }

    /// The request to switch was refused; the next bytes are a head.
    pub fn upgrade_refused(&mut self) {
        self.state = State::Head;
    }

    /// Bytes of a body of known length that need no look.
    #[must_use]
    pub fn unlooked(&self) -> u64 {
        match self.state {
            State::Length(left) => left,
            _ => 0,
        }
    }

    /// Notes that so many of [`Self::unlooked`] have been passed on.
    pub fn skip(&mut self, bytes: u64) {
        if let State::Length(left) = self.state {
            self.state = match left.saturating_sub(bytes) {
                0 => State::Head,
                left => State::Length(left),
            };
        }
    }

    /// How many leading bytes of `buffer`, which holds all that was not passed on
    /// yet, may be passed on. Zero: more must come first. Never goes beyond the
    /// end of a message.
    ///
    /// # Errors
    /// What is wrong. Nothing more may be passed on.
    pub fn scan(&mut self, buffer: &[u8]) -> Result<usize, FramingFault> {
        match self.state {
            State::Head => self.scan_head(buffer),
            State::Upgrade => Ok(0),
            State::Length(left) => {
                let pass = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                self.skip(pass as u64);
                Ok(pass)
            }
            State::Trailers => self.scan_trailers(buffer),
            _ => self.scan_chunks(buffer),
        }
    }

    fn scan_head(&mut self, buffer: &[u8]) -> Result<usize, FramingFault> {
        // One empty line before a request is tolerated (RFC 9112 2.2).
        let skipped = if buffer.starts_with(b"\r\n") { 2 } else { 0 };
        let head = &buffer[skipped..];
        if head.first().is_some_and(|byte| !is_token(*byte) && *byte != b'\r') {
            return Err(FramingFault::RequestLine);
        }
        // Three bytes back: the end may have been cut anywhere.
        let from = self.looked_at.saturating_sub(3);
        let Some(end) = find_end(head, from) else {
            check_line_ends(head, from)?;
            self.looked_at = head.len();
            if head.len() > self.limits.bytes {
                return Err(self.too_large(head));
            }
            return Ok(0);
        };
        self.looked_at = 0;
        let head = &head[..end];
        if head.len() > self.limits.bytes {
            return Err(self.too_large(head));
        }
        self.extension_bytes = 0;
        self.state = match parse_head(&head[..end - 4], self.limits)? {
            Follows::Nothing | Follows::Length(0) => State::Head,
            Follows::Upgrade => State::Upgrade,
            Follows::Length(length) => State::Length(length),
            Follows::Chunks => State::ChunkSize { size: 0, digits: 0 },
        };
        Ok(skipped + end)
    }

    /// A head that is all target is told so.
    fn too_large(&self, head: &[u8]) -> FramingFault {
        match head.windows(2).position(|pair| pair == b"\r\n") {
            Some(line) if line <= self.limits.uri_bytes + 64 => FramingFault::HeadTooLarge,
            _ => FramingFault::UriTooLong,
        }
    }

    fn scan_chunks(&mut self, buffer: &[u8]) -> Result<usize, FramingFault> {
        let mut at = 0;
        while let Some(&byte) = buffer.get(at) {
            self.state = match self.state {
                State::ChunkData(left) => {
                    let rest = buffer.len() - at;
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest);
                    at += take;
                    self.state = match left - take as u64 {
                        0 => State::ChunkDataCr,
                        left => State::ChunkData(left),
                    };
                    continue;
                }
                State::ChunkSize { size, digits } => match char::from(byte).to_digit(16) {
                    Some(_) if digits == MAX_CHUNK_DIGITS => return Err(FramingFault::Chunk),
                    Some(digit) => {
                        State::ChunkSize { size: size << 4 | u64::from(digit), digits: digits + 1 }
                    }
                    None if digits == 0 => return Err(FramingFault::Chunk),
                    None if byte == b'\r' => State::ChunkSizeLf { size },
                    None if byte == b';' => State::ChunkExtension { size },
                    None => return Err(FramingFault::Chunk),
                },
                State::ChunkExtension { size } => {
                    self.extension_bytes += 1;
                    if byte == b'\r' {
                        State::ChunkSizeLf { size }
                    } else if is_field_byte(byte) && self.extension_bytes <= MAX_EXTENSION_BYTES {
                        State::ChunkExtension { size }
                    } else {
                        return Err(FramingFault::Chunk);
                    }
                }
                State::ChunkSizeLf { size } if byte == b'\n' => {
                    if size == 0 {
                        // The trailer section is judged whole.
                        self.state = State::Trailers;
                        return Ok(at + 1);
                    }
                    State::ChunkData(size)
                }
                State::ChunkDataCr if byte == b'\r' => State::ChunkDataLf,
                State::ChunkDataLf if byte == b'\n' => State::ChunkSize { size: 0, digits: 0 },
                _ => return Err(FramingFault::Chunk),
            };
            at += 1;
        }
        Ok(at)
    }

    fn scan_trailers(&mut self, buffer: &[u8]) -> Result<usize, FramingFault> {
        if buffer.starts_with(b"\r\n") {
            self.state = State::Head;
            return Ok(2);
        }
        let Some(end) = find_end(buffer, 0) else {
            check_line_ends(buffer, 0).map_err(|_| FramingFault::Trailer)?;
            return if buffer.len() > MAX_TRAILER_BYTES {
                Err(FramingFault::Trailer)
            } else {
                Ok(0)
            };
        };
        if end > MAX_TRAILER_BYTES {
            return Err(FramingFault::Trailer);
        }
        let mut fields = 0;
        for line in lines(&buffer[..end - 4]) {
            fields += 1;
            let (name, _) = parse_field(line.map_err(|_| FramingFault::Trailer)?)
                .map_err(|_| FramingFault::Trailer)?;
            let framing = ["content-length", "transfer-encoding", "host", "trailer"];
            if fields > self.limits.fields || framing.iter().any(|known| is_name(name, known)) {
                return Err(FramingFault::Trailer);
            }
        }
        self.state = State::Head;
        Ok(end)
    }
}

/// Just behind the first empty line.
fn find_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let next = bytes.get(at..)?.iter().position(|byte| *byte == b'\r')?;
        at += next;
        if bytes[at..].starts_with(b"\r\n\r\n") {
            return Some(at + 4);
        }
        at += 1;
    }
}

/// Every LF behind a CR, every CR before a LF: told as soon as it is wrong, for a
/// laxer parser would see an end here.
fn check_line_ends(bytes: &[u8], from: usize) -> Result<(), FramingFault> {
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
fn lines(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], FramingFault>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let Some(end) = end else {
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

#[derive(PartialEq, Eq, Clone, Copy)]
enum Version {
    Http10,
    Http11,
}

/// Judges a head without its last CRLFs.
fn parse_head(head: &[u8], limits: HeadLimits) -> Result<Follows, FramingFault> {
    let mut lines = lines(head);
    let version = parse_request_line(lines.next().unwrap_or(Ok(b""))?, limits)?;
    let mut fields = 0;
    let mut length = None;
    let mut chunked = false;
    let mut upgrade = false;
    for line in lines {
        let (name, value) = parse_field(line?)?;
        fields += 1;
        if fields > limits.fields {
            return Err(FramingFault::FieldCount);
        }
        if is_name(name, "content-length") {
            if length.is_some() {
                return Err(FramingFault::ContentLength);
            }
            length = Some(parse_length(value)?);
        } else if is_name(name, "transfer-encoding") {
            if chunked || version == Version::Http10 {
                return Err(FramingFault::TransferCoding);
            }
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(FramingFault::TransferCodingUnknown);
            }
            chunked = true;
        } else if is_name(name, "upgrade") {
            upgrade = true;
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err(FramingFault::LengthAndCoding),
        (Some(length), false) => Ok(Follows::Length(length)),
        (None, true) => Ok(Follows::Chunks),
        (None, false) if upgrade => Ok(Follows::Upgrade),
        (None, false) => Ok(Follows::Nothing),
    }
}

/// `method SP request-target SP HTTP-version`, with single spaces.
fn parse_request_line(line: &[u8], limits: HeadLimits) -> Result<Version, FramingFault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(FramingFault::RequestLine);
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(FramingFault::RequestLine);
    }
    if method.len() > MAX_METHOD_BYTES {
        return Err(FramingFault::MethodTooLong);
    }
    if target.len() > limits.uri_bytes {
        return Err(FramingFault::UriTooLong);
    }
    // A fragment is never sent (RFC 9112 3.2); hyper would silently cut it off.
    let allowed = |byte: &u8| *byte > b' ' && *byte != 0x7f && *byte != b'#';
    if target.is_empty() || !target.iter().all(allowed) {
        return Err(FramingFault::RequestLine);
    }
    if !target.iter().all(|byte| is_ordinary(*byte)) || target[0] != b'/' {
        // What hyper's parser refuses, it would answer by itself, without a trace.
        http::Uri::try_from(target).map_err(|_| FramingFault::RequestLine)?;
    }
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(FramingFault::Version)
        }
        _ => Err(FramingFault::RequestLine),
    }
}

/// `field-name ":" OWS field-value OWS`; a line that begins with white space is
/// folding, which is refused like any other name that is no token.
fn parse_field(line: &[u8]) -> Result<(&[u8], &[u8]), FramingFault> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(FramingFault::Field)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty()
        || !name.iter().all(|byte| is_token(*byte))
        || !value.iter().all(|byte| is_field_byte(*byte))
    {
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
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Bytes that any parser takes in a target.
fn is_ordinary(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~/?&=%+:,@!$'()*;".contains(&byte)
}

/// What a field value may hold: visible characters, spaces, tabs, `obs-text`.
fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests;
