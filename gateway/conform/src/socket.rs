//! As much of a WebSocket client (RFC 6455) as the statements need.

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::random_bytes;
use crate::report::Fault;

const MAX_FRAME_BYTES: usize = 64 * 1024;
const DEADLINE: Duration = Duration::from_secs(10);

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Lengths that stand in so many bytes more.
const TWO_MORE: u8 = 0x7e;
const EIGHT_MORE: u8 = 0x7f;

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

pub struct Socket(TokioIo<Upgraded>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Text(String),
    /// With its code, if there was one.
    Close(Option<u16>),
    /// The connection is gone without a word.
    Gone,
}

impl Socket {
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        Self(TokioIo::new(upgraded))
    }

    pub async fn send(&mut self, text: &str) -> Result<(), Fault> {
        self.write(TEXT, text.as_bytes()).await
    }

    async fn write(&mut self, opcode: u8, payload: &[u8]) -> Result<(), Fault> {
        let length = u16::try_from(payload.len())
            .map_err(|_| Fault::Differs("a message of ours is too long".to_owned()))?;
        let mut frame = vec![FINAL | opcode];
        match u8::try_from(length) {
            Ok(short) if short < TWO_MORE => frame.push(MASKED | short),
            _ => {
                frame.push(MASKED | TWO_MORE);
                frame.extend(length.to_be_bytes());
            }
        }
        let mask: [u8; 4] = random_bytes();
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        let written = self.0.write_all(&frame).await;
        written.map_err(|error| Fault::Differs(format!("the socket has ended: {error}")))
    }

    /// The next message; pings are answered on the way.
    pub async fn next(&mut self) -> Result<Message, Fault> {
        self.next_within(DEADLINE).await
    }

    pub async fn next_within(&mut self, deadline: Duration) -> Result<Message, Fault> {
        match tokio::time::timeout(deadline, self.read()).await {
            Ok(message) => message,
            Err(_) => Err(Fault::Differs(format!("no message on the socket in {deadline:?}"))),
        }
    }

    async fn read(&mut self) -> Result<Message, Fault> {
        loop {
            let mut head = [0; 2];
            if self.0.read_exact(&mut head).await.is_err() {
                return Ok(Message::Gone);
            }
            let length = match head[1] {
                TWO_MORE => self.0.read_u16().await.map(u64::from),
                EIGHT_MORE => self.0.read_u64().await,
                short => Ok(u64::from(short)),
            };
            let length = length.ok().and_then(|length| usize::try_from(length).ok());
            let Some(length) = length.filter(|length| *length <= MAX_FRAME_BYTES) else {
                return Err(Fault::Differs("a frame that is masked or too long".to_owned()));
            };
            let mut payload = vec![0; length];
            if self.0.read_exact(&mut payload).await.is_err() {
                return Ok(Message::Gone);
            }
            match head[0] & 0x0f {
                TEXT => return Ok(Message::Text(String::from_utf8_lossy(&payload).into_owned())),
                CLOSE => {
                    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    return Ok(Message::Close(code));
                }
                PING => self.write(PONG, &payload).await?,
                _ => {}
            }
        }
    }
}

/// The answer to a `Sec-WebSocket-Key`.
pub(crate) fn accept_of(nonce: &str) -> String {
    let text = format!("{nonce}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}
