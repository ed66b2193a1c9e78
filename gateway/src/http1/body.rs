//! Where a message's body ends.

use super::{FramingFault, check_line_ends, find_end, is_field_byte, is_name, lines, parse_field};

/// Extension bytes of all chunks of one body together.
const MAX_EXTENSION_BYTES: usize = 16 << 10;
const MAX_TRAILER_BYTES: usize = 16 << 10;
/// Fifteen digits hold any length that does not overflow.
const MAX_CHUNK_DIGITS: u8 = 15;

/// Follows a body to its end and judges its framing.
#[derive(Debug)]
pub struct BodyScanner {
    state: State,
    /// Of extensions, and of blanks before them.
    extension_bytes: usize,
    max_trailers: usize,
    blanks: Blanks,
}

/// What may stand between a chunk's size and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blanks {
    Refused,
    /// Spaces and tabs, which old servers fill the size up with. Every reader ends the
    /// number there.
    Allowed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    ChunkSize {
        size: u64,
        digits: u8,
    },
    /// Behind a blank.
    ChunkSizeEnd {
        size: u64,
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

const COMPLETE: State = State::Length(0);

impl BodyScanner {
    /// A body of known length; of length 0 it is complete.
    #[must_use]
    pub fn of_length(length: u64) -> Self {
        let state = State::Length(length);
        Self { state, extension_bytes: 0, max_trailers: 0, blanks: Blanks::Refused }
    }

    #[must_use]
    pub fn chunked(max_trailers: usize, blanks: Blanks) -> Self {
        let state = State::ChunkSize { size: 0, digits: 0 };
        Self { state, extension_bytes: 0, max_trailers, blanks }
    }

    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == COMPLETE
    }

    /// Bytes that need no look.
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
            self.state = State::Length(left.saturating_sub(bytes));
        }
    }

    /// How many leading bytes of `buffer` belong to the body and may be passed on.
    /// Zero: more must come first.
    ///
    /// # Errors
    /// What is wrong. Nothing more may be passed on.
    pub fn scan(&mut self, buffer: &[u8]) -> Result<usize, FramingFault> {
        match self.state {
            State::Length(left) => {
                let pass = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                self.skip(pass as u64);
                Ok(pass)
            }
            State::Trailers => self.scan_trailers(buffer),
            _ => self.scan_chunks(buffer),
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
                    None => self.end_size(byte, size)?,
                },
                State::ChunkSizeEnd { size } => self.end_size(byte, size)?,
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

    /// What a byte behind the digits of a size means.
    fn end_size(&mut self, byte: u8, size: u64) -> Result<State, FramingFault> {
        match byte {
            b'\r' => Ok(State::ChunkSizeLf { size }),
            b';' => Ok(State::ChunkExtension { size }),
            b' ' | b'\t' if self.blanks == Blanks::Allowed => {
                self.extension_bytes += 1;
                let few = self.extension_bytes <= MAX_EXTENSION_BYTES;
                if few { Ok(State::ChunkSizeEnd { size }) } else { Err(FramingFault::Chunk) }
            }
            _ => Err(FramingFault::Chunk),
        }
    }

    fn scan_trailers(&mut self, buffer: &[u8]) -> Result<usize, FramingFault> {
        if buffer.starts_with(b"\r\n") {
            self.state = COMPLETE;
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
            if fields > self.max_trailers || framing.iter().any(|known| is_name(name, known)) {
                return Err(FramingFault::Trailer);
            }
        }
        self.state = COMPLETE;
        Ok(end)
    }
}
