//! Where one frame ends and the next begins (RFC 6455 5.2), without reading more than
//! their headers.

use crate::pipeline::frame::Opcode;

/// Where in the stream of frames a direction stands.
#[derive(Debug, Default, Clone)]
pub struct FrameBoundary {
    header: [u8; 14],
    have: usize,
    payload_left: u64,
    /// A close frame has begun.
    closing: bool,
}

impl FrameBoundary {
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.have == 0 && self.payload_left == 0
    }

    /// Whether a close frame has come: none may follow it.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// How much may be read without reading beyond the current frame's part.
    #[must_use]
    pub fn wanted(&self, most: usize) -> usize {
        if self.payload_left > 0 {
            usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(most)
        } else {
            1
        }
    }

    pub fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let length = self.advance_frame(bytes);
            bytes = &bytes[length..];
        }
    }

    /// Goes on to the end of the frame under way, or of the next, as far as there are
    /// bytes; how many of them that were.
    pub fn advance_frame(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if self.payload_left > 0 {
                let left = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
                let skip = left.min(bytes.len() - at);
                self.payload_left -= skip as u64;
                at += skip;
            } else {
                self.header[self.have] = bytes[at];
                self.have += 1;
                at += 1;
                if let Some(length) = self.payload_length() {
                    self.have = 0;
                    self.payload_left = length;
                    self.closing |= self.header[0] & 0x0f == Opcode::Close as u8;
                }
            }
            if self.is_between_frames() {
                break;
            }
        }
        at
    }

    /// The payload's length once the header is complete.
    fn payload_length(&self) -> Option<u64> {
        if self.have < 2 {
            return None;
        }
        let masked = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        let (extended, short) = match self.header[1] & 0x7f {
            126 => (2, None),
            127 => (8, None),
            length => (0, Some(u64::from(length))),
        };
        if self.have < 2 + extended + masked {
            return None;
        }
        short.or_else(|| {
            let bytes = &self.header[2..2 + extended];
            Some(bytes.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)))
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
