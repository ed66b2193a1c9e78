//! The first message of an agent, out of the bytes of a client: one text message that
//! brings a credential. What comes behind it is kept for the upstream.

use bytes::Bytes;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::auth::secret::Secret;
use crate::dialect::DecodeError;
use crate::dialect::body::Members;
use crate::pipeline::frame::{self, Header, Malformed, Opcode};

/// Of the message, without the frames around its parts.
pub const MAX_BYTES: usize = 4 << 10;
/// Up to and including the message's last; pings count, too.
const MAX_FRAMES: usize = 64;

/// Bytes on their way to a message.
#[derive(Default)]
pub struct Reader {
    unread: Vec<u8>,
    text: Zeroizing<Vec<u8>>,
    /// The message has begun and its last frame has not.
    fragmented: bool,
    frames: usize,
}

/// What a client says before it is anybody.
#[derive(Debug)]
pub enum FirstMessage {
    Credential(Credential),
    /// To be answered with the same.
    Ping(Vec<u8>),
    Close,
}

#[derive(Debug)]
pub enum Credential {
    Key(Secret),
    Token(Secret),
}

/// Why there is no first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Late,
    TooLarge,
    TooManyFrames,
    Frame,
    Binary,
    NotUtf8,
    /// No JSON, or not what was expected.
    NotUnderstood,
    /// A token, where only keys are taken.
    Token,
}

impl Fault {
    #[must_use]
    pub fn close_code(self) -> u16 {
        match self {
            Fault::Late | Fault::NotUnderstood | Fault::Token => frame::CREDENTIAL_ENDED,
            Fault::TooLarge => frame::TOO_BIG,
            Fault::TooManyFrames => frame::POLICY,
            Fault::Frame => frame::PROTOCOL_ERROR,
            Fault::Binary => frame::NOT_ACCEPTABLE,
            Fault::NotUtf8 => frame::NOT_UTF8,
        }
    }

    /// Stable, for logs and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Fault::Late => "first_message_late",
            Fault::TooLarge | Fault::TooManyFrames => "first_message_too_large",
            Fault::Token => "first_message_token",
            _ => "first_message_malformed",
        }
    }

    /// For the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Late => "it did not come in time",
            Fault::TooLarge => "it is larger than 4 KiB",
            Fault::TooManyFrames => "it is in more than 64 frames",
            Fault::Frame => "the frames are malformed",
            Fault::Binary => "it is binary",
            Fault::NotUtf8 => "it is not UTF-8",
            Fault::NotUnderstood => "it is not the JSON that was expected",
            Fault::Token => {
                "it brings a token, and the route's `agents` takes only keys of servers"
            }
        }
    }
}

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Fault::Frame
    }
}

impl Reader {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// What has been said next, if it is all there. Nothing is to be asked for after
    /// the credential.
    ///
    /// # Errors
    /// As soon as no first message can come of it.
    pub fn read(&mut self) -> Result<Option<FirstMessage>, Fault> {
        while let Some((header, begin)) = Header::read(&self.unread)? {
            self.judge(header)?;
            let length = usize::try_from(header.length).map_err(|_| Fault::TooLarge)?;
            if self.unread.len() - begin < length {
                return Ok(None);
            }
            let mut payload = Zeroizing::new(self.unread[begin..begin + length].to_vec());
            self.unread.drain(..begin + length);
            header.unmask(0, &mut payload);
            self.frames += 1;
            match header.opcode {
                Opcode::Ping => return Ok(Some(FirstMessage::Ping(payload.to_vec()))),
                Opcode::Pong => {}
                // A code has two bytes.
                Opcode::Close if length == 1 => return Err(Fault::Frame),
                Opcode::Close => return Ok(Some(FirstMessage::Close)),
                Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                    self.text.extend_from_slice(&payload);
                    self.fragmented = !header.fin;
                    if header.fin {
                        return parse(&self.text)
                            .map(|credential| Some(FirstMessage::Credential(credential)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Before the payload has come: what is not wanted is not waited for.
    fn judge(&self, header: Header) -> Result<(), Fault> {
        if self.frames == MAX_FRAMES {
            return Err(Fault::TooManyFrames);
        }
        match header.opcode {
            Opcode::Ping | Opcode::Pong | Opcode::Close => return Ok(()),
            Opcode::Binary => return Err(Fault::Binary),
            Opcode::Text if self.fragmented => return Err(Fault::Frame),
            Opcode::Continuation if !self.fragmented => return Err(Fault::Frame),
            Opcode::Text | Opcode::Continuation => {}
        }
        let room = MAX_BYTES - self.text.len();
        if header.length > room as u64 { Err(Fault::TooLarge) } else { Ok(()) }
    }

    /// What has come behind the message.
    #[must_use]
    pub fn into_rest(self) -> Bytes {
        self.unread.into()
    }
}

fn parse(text: &[u8]) -> Result<Credential, Fault> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::NotUtf8)?;
    read(text).map_err(|_| Fault::NotUnderstood)
}

fn read(text: &str) -> Result<Credential, DecodeError> {
    let mut message = Members::parse(text.as_bytes())?;
    let Kind::Auth = message.required("type", "\"auth\"")?;
    match (message.optional_text("api_key")?, message.optional_text("token")?) {
        (Some(key), None) => Ok(Credential::Key(Secret::new(key))),
        (None, Some(token)) => Ok(Credential::Token(Secret::new(token))),
        _ => Err(DecodeError::Malformed("The message brings one credential".to_owned())),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Auth,
}

#[cfg(test)]
mod tests;
