//! The strict reading of HTTP/1 requests (RFC 9112), in front of hyper's laxer one.
//!
//! A scanner follows the bytes of a connection and says how many of them may be
//! passed on. A head is passed when it is complete and can be read in one way
//! only: CRLF line ends, one of Content-Length and a single `chunked`, no folding,
//! no control bytes. What hyper would accept beside that (bare LF, both lengths,
//! several codings, fragments, white space in odd places) never gets to it. What it would
//! refuse in a query and other proxies pass on is escaped; nothing else is changed.

mod query;

use bytes::Bytes;

use crate::http1::{
    Blanks, BodyScanner, FramingFault, Version, check_line_ends, find_end, is_token, lines,
    parse_version, read_fields,
};

/// Bounds on a head.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    pub bytes: usize,
    pub fields: usize,
    pub uri_bytes: usize,
}

const MAX_METHOD_BYTES: usize = 32;

#[derive(Debug)]
pub struct RequestScanner {
    limits: HeadLimits,
    state: State,
    /// The request whose body comes asks to switch protocols behind it.
    upgrade_behind: bool,
    /// How much of an incomplete head has been looked at.
    looked_at: usize,
    /// Of the head that has just been judged.
    line: Option<Line>,
}

/// What to pass on in place of a request line whose query had to be escaped.
#[derive(Debug)]
pub struct Line {
    /// How many leading bytes of the head it stands for.
    pub written: usize,
    pub escaped: Bytes,
}

#[derive(Debug)]
enum State {
    Head,
    /// Behind a request to switch protocols: what these bytes are is not known yet.
    Upgrade,
    Body(BodyScanner),
}

impl RequestScanner {
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, state: State::Head, upgrade_behind: false, looked_at: 0, line: None }
    }

    #[must_use]
    pub fn in_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    #[must_use]
    pub fn awaits_upgrade(&self) -> bool {
        matches!(self.state, State::Upgrade)
    }

    /// Whether the request whose head has come asks to switch, now or behind its body.
    #[must_use]
    pub fn asks_upgrade(&self) -> bool {
        self.upgrade_behind || self.awaits_upgrade()
    }

    /// The request to switch was refused; the next bytes are a head.
    pub fn upgrade_refused(&mut self) {
        self.state = State::Head;
    }

    /// Bytes of a body of known length that need no look.
    #[must_use]
    pub fn unlooked(&self) -> u64 {
        match &self.state {
            State::Body(body) => body.unlooked(),
            State::Head | State::Upgrade => 0,
        }
    }

    /// Notes that so many of [`Self::unlooked`] have been passed on.
    pub fn skip(&mut self, bytes: u64) {
        if let State::Body(body) = &mut self.state {
            body.skip(bytes);
            self.end_body();
        }
    }

    /// How many leading bytes of `buffer`, which holds all that was not passed on
    /// yet, may be passed on. Zero: more must come first. Never goes beyond the
    /// end of a message. After a head, [`Self::take_line`] says what to change in it.
    ///
    /// # Errors
    /// What is wrong. Nothing more may be passed on.
    pub fn scan(&mut self, buffer: &[u8]) -> Result<usize, FramingFault> {
        match &mut self.state {
            State::Head => self.scan_head(buffer),
            State::Upgrade => Ok(0),
            State::Body(body) => {
                let pass = body.scan(buffer)?;
                self.end_body();
                Ok(pass)
            }
        }
    }

    /// The request line of the head that [`Self::scan`] has just let pass, unless it may be
    /// passed on as it came.
    pub fn take_line(&mut self) -> Option<Line> {
        self.line.take()
    }

    fn end_body(&mut self) {
        if let State::Body(body) = &self.state
            && body.is_complete()
        {
            let asked = std::mem::take(&mut self.upgrade_behind);
            self.state = if asked { State::Upgrade } else { State::Head };
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
        let (state, upgrade, line) = parse_head(&head[..end - 4], self.limits)?;
        if let Some(mut line) = line {
            // It counts as it will be read.
            if end - line.written + line.escaped.len() > self.limits.bytes {
                return Err(FramingFault::HeadTooLarge);
            }
            line.written += skipped;
            self.line = Some(line);
        }
        self.upgrade_behind = upgrade && matches!(state, State::Body(_));
        self.state = state;
        Ok(skipped + end)
    }

    /// A head that is all target is told so.
    fn too_large(&self, head: &[u8]) -> FramingFault {
        match head.windows(2).position(|pair| pair == b"\r\n") {
            Some(line) if line <= self.limits.uri_bytes + 64 => FramingFault::HeadTooLarge,
            _ => FramingFault::UriTooLong,
        }
    }
}

/// Judges a head without its last CRLFs, and says what follows it, whether it asks to
/// switch protocols and what its first line is to be, if not what it is.
fn parse_head(
    head: &[u8],
    limits: HeadLimits,
) -> Result<(State, bool, Option<Line>), FramingFault> {
    let mut lines = lines(head);
    let (version, line) = parse_request_line(lines.next().unwrap_or(Ok(b""))?, limits)?;
    let framing = read_fields(lines, version, limits.fields)?;
    let state = match framing.length {
        Some(length @ 1..) => State::Body(BodyScanner::of_length(length)),
        None if framing.chunked => {
            State::Body(BodyScanner::chunked(limits.fields, Blanks::Refused))
        }
        None | Some(0) if framing.upgrade => State::Upgrade,
        None | Some(0) => State::Head,
    };
    Ok((state, framing.upgrade, line))
}

/// `method SP request-target SP HTTP-version`, with single spaces.
fn parse_request_line(
    line: &[u8],
    limits: HeadLimits,
) -> Result<(Version, Option<Line>), FramingFault> {
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
    let mut escaped = None;
    if !target.iter().all(|byte| is_ordinary(*byte)) || target[0] != b'/' {
        escaped = query::escape(target);
        let read = escaped.as_deref().unwrap_or(target);
        if read.len() > limits.uri_bytes {
            return Err(FramingFault::UriTooLong);
        }
        // What hyper's parser refuses, it would answer by itself, without a trace.
        http::Uri::try_from(read).map_err(|_| match target[0] {
            b'/' => FramingFault::TargetOctet,
            _ => FramingFault::RequestLine,
        })?;
    }
    let line = escaped.map(|target| Line {
        written: line.len(),
        escaped: [method, &target, version].join(&b' ').into(),
    });
    Ok((parse_version(version, FramingFault::RequestLine)?, line))
}

/// Octets that any parser takes in a path and in a query.
pub(super) fn is_ordinary(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~/?&=%+:,@!$'()*;".contains(&byte)
}

#[cfg(test)]
mod tests;
