//! WebSocket frames (RFC 6455 5), for where the gateway itself is a server: what a
//! client sends is read, in one way or not at all, and what a server sends is written.

/// Close codes (RFC 6455 7.4 and its registry) that the gateway gives.
pub const NORMAL: u16 = 1000;
pub const GOING_AWAY: u16 = 1001;
pub const PROTOCOL_ERROR: u16 = 1002;
pub const NOT_ACCEPTABLE: u16 = 1003;
pub const NOT_UTF8: u16 = 1007;
pub const POLICY: u16 = 1008;
pub const TOO_BIG: u16 = 1009;
pub const TRY_AGAIN_LATER: u16 = 1013;
pub const BAD_GATEWAY: u16 = 1014;
/// Of the private range: there is no credential, or no longer one.
pub const CREDENTIAL_ENDED: u16 = 4401;

/// Of a control frame's payload.
pub const MAX_CONTROL_BYTES: usize = 125;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    const ALL: [Opcode; 6] = [
        Opcode::Continuation,
        Opcode::Text,
        Opcode::Binary,
        Opcode::Close,
        Opcode::Ping,
        Opcode::Pong,
    ];

    #[must_use]
    pub fn is_control(self) -> bool {
        self as u8 & 8 != 0
    }
}

/// The beginning of a client's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub fin: bool,
    pub opcode: Opcode,
    /// Of the payload that follows.
    pub length: u64,
    mask: [u8; 4],
}

/// No frame that a client may send when no extension is agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl Header {
    /// The header that `bytes` begin with and how long it is, once it is complete.
    ///
    /// # Errors
    /// As soon as it can be no client's.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let code = first & 0x0f;
        let opcode = Opcode::ALL.into_iter().find(|known| *known as u8 == code);
        let opcode = opcode.ok_or(Malformed)?;
        let (fin, reserved) = (first & 0x80 != 0, first & 0x70 != 0);
        let (masked, short) = (second & 0x80 != 0, second & 0x7f);
        let long_control = opcode.is_control() && (!fin || usize::from(short) > MAX_CONTROL_BYTES);
        if reserved || !masked || long_control {
            return Err(Malformed);
        }
        let (extended, least) = match short {
            126 => (2, 126),
            127 => (8, 1 << 16),
            _ => (0, 0),
        };
        let (Some(length), Some(mask)) = (rest.get(..extended), rest.get(extended..extended + 4))
        else {
            return Ok(None);
        };
        let length = match extended {
            0 => u64::from(short),
            _ => length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        // In the shortest form, and without the highest bit.
        if length < least || length > u64::MAX >> 1 {
            return Err(Malformed);
        }
        let mask = mask.try_into().map_err(|_| Malformed)?;
        Ok(Some((Self { fin, opcode, length, mask }, 2 + extended + 4)))
    }

    /// Takes the mask off a part of the payload that begins at `offset`.
    pub fn unmask(&self, offset: u64, part: &mut [u8]) {
        // The remainder fits into every type.
        let shift = (offset % 4) as usize;
        for (byte, mask) in part.iter_mut().zip(self.mask.iter().cycle().skip(shift)) {
            *byte ^= mask;
        }
    }
}

/// Begins a server's frame with so much payload.
pub fn put_header(out: &mut Vec<u8>, fin: bool, opcode: Opcode, length: u64) {
    out.push(u8::from(fin) << 7 | opcode as u8);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => out.push(length),
        (_, Ok(length)) => {
            out.push(126);
            out.extend(length.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend(length.to_be_bytes());
        }
    }
}

/// A whole frame of a server's.
#[must_use]
pub fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 4);
    put_header(&mut out, true, opcode, payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

/// A server's close frame.
#[must_use]
pub fn close(code: u16) -> Vec<u8> {
    frame(Opcode::Close, &code.to_be_bytes())
}

#[cfg(test)]
mod tests;
