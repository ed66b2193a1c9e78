//! The strict reading of an upstream's HTTP/1 responses (RFC 9112), in front of
//! hyper's laxer one: an answer that two parsers would end at different places is
//! nobody's answer, and what follows it must not become the next one's.

use crate::http1::{
    Blanks, BodyScanner, FramingFault, check_line_ends, find_end, is_field_byte, lines,
    parse_version, read_fields,
};

const MAX_HEAD_BYTES: usize = 64 << 10;
/// Fields of a response, and of its trailers. Policies, cookies and caches add more to a
/// response than clients send; the room they take together is bounded by its bytes.
pub const MAX_FIELDS: usize = 256;

/// The request whose response comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// None: whatever comes is unexpected.
    Nothing,
    Head,
    Other,
}

/// Follows the responses of one connection.
#[derive(Debug)]
pub struct ResponseScanner {
    state: State,
    looked_at: usize,
}

#[derive(Debug)]
enum State {
    Head,
    Body(BodyScanner),
    /// A body that ends with the connection, or another protocol.
    Rest,
    /// Nothing more is read: what comes may be a body or a response, and is nobody's.
    Over,
}

impl Default for ResponseScanner {
    fn default() -> Self {
        Self { state: State::Head, looked_at: 0 }
    }
}

impl ResponseScanner {
    #[must_use]
    pub fn in_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Whether the connection ends here, whatever else comes on it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Bytes that need no look.
    #[must_use]
    pub fn unlooked(&self) -> u64 {
        match &self.state {
            State::Head | State::Over => 0,
            State::Body(body) => body.unlooked(),
            State::Rest => u64::MAX,
        }
    }

    /// Notes that so many of [`Self::unlooked`] have been passed on. `true` when
    /// that was the end of the response.
    pub fn skip(&mut self, bytes: u64) -> bool {
        match &mut self.state {
            State::Body(body) => {
                body.skip(bytes);
                self.end_body()
            }
            State::Head | State::Rest | State::Over => false,
        }
    }

    /// How many leading bytes of `buffer` may be passed on, and whether the final
    /// response ends with them. Zero: more must come first.
    ///
    /// # Errors
    /// What is wrong. Nothing more may be passed on.
    pub fn scan(&mut self, buffer: &[u8], asked: Asked) -> Result<(usize, bool), FramingFault> {
        match &mut self.state {
            State::Head if asked == Asked::Nothing => Err(FramingFault::Unexpected),
            State::Head => self.scan_head(buffer, asked),
            State::Body(body) => {
                let pass = body.scan(buffer)?;
                Ok((pass, self.end_body()))
            }
            State::Rest => Ok((buffer.len(), false)),
            State::Over => Ok((0, false)),
        }
    }

    fn scan_head(&mut self, buffer: &[u8], asked: Asked) -> Result<(usize, bool), FramingFault> {
        let known = buffer.len().min(5);
        if buffer[..known] != b"HTTP/"[..known] {
            return Err(FramingFault::StatusLine);
        }
        // Three bytes back: the end may have been cut anywhere.
        let from = self.looked_at.saturating_sub(3);
        let Some(end) = find_end(buffer, from).filter(|end| *end <= MAX_HEAD_BYTES) else {
            if buffer.len() > MAX_HEAD_BYTES {
                return Err(FramingFault::HeadTooLarge);
            }
            check_line_ends(buffer, from)?;
            self.looked_at = buffer.len();
            return Ok((0, false));
        };
        self.looked_at = 0;
        let (status, body) = parse_head(&buffer[..end - 4], asked)?;
        // An interim response; the final one is still to come.
        let interim = (100..200).contains(&status) && status != 101;
        // Behind a 101 no response is read any more.
        let complete = status == 101 || matches!(body, None | Some(State::Over)) && !interim;
        if let Some(state) = body {
            self.state = state;
        }
        Ok((end, complete))
    }

    fn end_body(&mut self) -> bool {
        let complete = matches!(&self.state, State::Body(body) if body.is_complete());
        if complete {
            self.state = State::Head;
        }
        complete
    }
}

/// Judges a head without its last CRLFs: its status, and what follows if anything does.
fn parse_head(head: &[u8], asked: Asked) -> Result<(u16, Option<State>), FramingFault> {
    let mut lines = lines(head);
    let line = lines.next().unwrap_or(Ok(b""))?;
    let (version, rest) = line.split_at_checked(8).ok_or(FramingFault::StatusLine)?;
    let version = parse_version(version, FramingFault::StatusLine)?;
    let status = parse_status(rest)?;
    let framing = read_fields(lines, version, MAX_FIELDS)?;
    let body = match (status, framing.length) {
        (101, _) => Some(State::Rest),
        (100..=199 | 204, None | Some(0)) if !framing.chunked => None,
        // It ends with its head (RFC 9110 15.3.5), and what follows, be it the body that it
        // speaks of, must not become the next response.
        (204, _) => Some(State::Over),
        // A length where no body can be: whoever believes it waits for the next answer.
        (100..=199, _) => return Err(FramingFault::ContentLength),
        _ if asked == Asked::Head || status == 304 => None,
        (_, Some(0)) => None,
        (_, Some(length)) => Some(State::Body(BodyScanner::of_length(length))),
        (_, None) if framing.chunked => {
            Some(State::Body(BodyScanner::chunked(MAX_FIELDS, Blanks::Allowed)))
        }
        (_, None) => Some(State::Rest),
    };
    Ok((status, body))
}

/// `SP 3DIGIT [SP reason-phrase]`; the second space is often forgotten, and nothing
/// hangs on it.
fn parse_status(rest: &[u8]) -> Result<u16, FramingFault> {
    let [b' ', digits @ ..] = rest else {
        return Err(FramingFault::StatusLine);
    };
    let (digits, reason) = digits.split_at_checked(3).ok_or(FramingFault::StatusLine)?;
    let separated = reason.first().is_none_or(|byte| *byte == b' ');
    if !digits.iter().all(u8::is_ascii_digit)
        || !separated
        || !reason.iter().all(|byte| is_field_byte(*byte))
    {
        return Err(FramingFault::StatusLine);
    }
    let status = digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    if (100..600).contains(&status) { Ok(status) } else { Err(FramingFault::StatusLine) }
}

#[cfg(test)]
mod tests;
