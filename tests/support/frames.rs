//! HTTP/2 by hand: a client that sends frames no library would send, and tells what
//! became of its streams and of the connection. Header blocks are literals without
//! indexing, so every octet arrives as the test wrote it.

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::gateway::Gateway;
use super::socket::{Dial, send};
use super::within;

pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const PRIORITY: u8 = 0x2;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PUSH_PROMISE: u8 = 0x5;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;
pub const CONTINUATION: u8 = 0x9;

/// A parameter of SETTINGS.
pub const INITIAL_WINDOW_SIZE: u16 = 0x4;

pub const NO_FLAGS: u8 = 0x0;
pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

pub const NO_ERROR: u32 = 0x0;
pub const PROTOCOL_ERROR: u32 = 0x1;
pub const CANCEL: u32 = 0x8;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER_TABLE_SIZE: u16 = 0x1;

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered(u16),
    Reset(u32),
    /// The connection ended first, with the error of a GOAWAY frame if one came.
    Closed(Option<u32>),
}

pub struct Http2 {
    stream: TlsStream<TcpStream>,
    /// Read, and not yet a whole frame.
    unread: Vec<u8>,
    /// The error of the last GOAWAY frame.
    goaway: Option<u32>,
}

impl Http2 {
    /// A connection on which `h2` has been agreed and prefaces have been exchanged.
    pub async fn connect(gateway: &Gateway) -> Self {
        Self::over(Dial::new(gateway)).await
    }

    /// The same, dialled so.
    pub async fn over(dial: Dial) -> Self {
        let stream = dial.protocols(&["h2"]).tls().await;
        let mut this = Self { stream, unread: Vec::new(), goaway: None };
        // Without a dynamic table an answer's status can be read without
        // remembering anything.
        let mut settings = HEADER_TABLE_SIZE.to_be_bytes().to_vec();
        settings.extend(0_u32.to_be_bytes());
        this.write(PREFACE).await;
        this.send(SETTINGS, NO_FLAGS, 0, &settings).await;
        let first = this.frame().await.expect("the gateway's preface");
        assert_eq!(first.kind, SETTINGS, "a connection begins with SETTINGS");
        this.send(SETTINGS, ACK, 0, &[]).await;
        this
    }

    /// A POST of JSON whose client leaves as soon as it has arrived.
    pub async fn abandon(gateway: &Gateway, path: &str, more: &[(&str, &str)], body: &str) {
        let head = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", path),
            ("content-type", "application/json"),
        ];
        let mut this = Self::connect(gateway).await;
        this.head(1, &[&head, more].concat()).await;
        this.send(DATA, END_STREAM, 1, body.as_bytes()).await;
        assert!(this.answers_ping().await, "the request has arrived");
    }

    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.write(&frame(kind, flags, stream, payload)).await;
    }

    /// A whole request without a body.
    pub async fn request(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields)).await;
    }

    /// A request's head; DATA is to follow.
    pub async fn head(&mut self, stream: u32, fields: &[(&str, &str)]) {
        self.send(HEADERS, END_HEADERS, stream, &block(fields)).await;
    }

    /// So much of a request's body, of which the rest is to follow; each piece when the
    /// gateway has room for it.
    pub async fn upload(&mut self, stream: u32, length: usize) {
        const PIECE_BYTES: usize = 16 << 10;
        /// Of a stream, at its beginning.
        const WINDOW_BYTES: usize = 128 << 10;
        // Before it has made its connection's window as large, more than 64 KiB are a fault.
        assert!(self.answers_ping().await, "the connection works");
        let (mut room, mut left) = (WINDOW_BYTES, length);
        while left > 0 {
            let piece = left.min(PIECE_BYTES);
            while room < piece {
                let made = |frame: &Frame| {
                    let of_stream = frame.kind == WINDOW_UPDATE && frame.stream == stream;
                    of_stream.then(|| code(&frame.payload))
                };
                let made = self.find(made).await.expect("the connection goes on");
                room += usize::try_from(made).expect("a window");
            }
            self.send(DATA, NO_FLAGS, stream, &vec![b'x'; piece]).await;
            (room, left) = (room - piece, left - piece);
        }
    }

    /// Reads what has come, but no more than so much; whether the connection goes on.
    pub async fn sip(&mut self, most: usize) -> bool {
        let mut bytes = vec![0; most];
        let reading = within("bytes", self.stream.read(&mut bytes));
        reading.await.is_ok_and(|count| count > 0)
    }

    /// Bytes as they are. That the peer has closed meanwhile shows when reading.
    pub async fn write(&mut self, bytes: &[u8]) {
        send(&mut self.stream, bytes).await;
    }

    /// The next frame; none when the connection has ended. Nothing is lost when
    /// this is dropped.
    async fn frame(&mut self) -> Option<Frame> {
        let reading = async {
            loop {
                if let Some(frame) = take_frame(&mut self.unread) {
                    return Some(frame);
                }
                match self.stream.read_buf(&mut self.unread).await {
                    Ok(count) if count > 0 => {}
                    // A reset is an end too.
                    Ok(_) | Err(_) => return None,
                }
            }
        };
        within("a frame", reading).await
    }

    /// Reads until the stream has been answered (its head), reset, or cannot be any
    /// more.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        let outcome = self.find(|frame| match frame.kind {
            HEADERS if frame.stream == stream => Some(Outcome::Answered(status(&frame.payload))),
            RST_STREAM if frame.stream == stream => Some(Outcome::Reset(code(&frame.payload))),
            _ => None,
        });
        outcome.await.unwrap_or(Outcome::Closed(self.goaway))
    }

    /// Waits until the gateway says that it takes no more streams; the error it
    /// gives.
    pub async fn told_to_go(&mut self) -> u32 {
        let goaway = |frame: &Frame| (frame.kind == GOAWAY).then(|| code(&frame.payload[4..]));
        self.find(goaway).await.expect("GOAWAY before the connection ends")
    }

    /// Waits until the connection has ended; the error of a GOAWAY if one came
    /// before.
    pub async fn closed(&mut self) -> Option<u32> {
        let nothing = |_: &Frame| None::<()>;
        let found = self.find(nothing).await;
        assert!(found.is_none());
        self.goaway
    }

    /// Reads a stream's body to its end, opening both windows again for each piece;
    /// how many pieces came.
    pub async fn read_body(&mut self, stream: u32) -> usize {
        let mut pieces = 0;
        while let Some(Frame { kind, flags, stream: of, payload }) = self.frame().await {
            if kind != DATA || of != stream {
                continue;
            }
            pieces += 1;
            if flags & END_STREAM != 0 {
                return pieces;
            }
            let room = u32::try_from(payload.len()).expect("a frame is small").to_be_bytes();
            let updates = [0, stream].map(|window| frame(WINDOW_UPDATE, NO_FLAGS, window, &room));
            self.write(&updates.concat()).await;
        }
        panic!("the connection ended after {pieces} pieces");
    }

    /// Whether the connection still works: a PING comes back.
    pub async fn answers_ping(&mut self) -> bool {
        self.send(PING, NO_FLAGS, 0, b"portcull").await;
        let pong = |frame: &Frame| (frame.kind == PING && frame.flags & ACK != 0).then_some(());
        self.find(pong).await.is_some()
    }

    /// Whether a PING comes back before a frame of this kind comes.
    pub async fn answers_ping_before(&mut self, kind: u8) -> bool {
        self.send(PING, NO_FLAGS, 0, b"portcull").await;
        let first = self.find(|frame| {
            let pong = frame.kind == PING && frame.flags & ACK != 0;
            (pong || frame.kind == kind).then_some(pong)
        });
        first.await == Some(true)
    }

    /// Reads until a frame of the stream will do, by its kind and flags; these.
    pub async fn next_of(&mut self, stream: u32, wanted: impl Fn(u8, u8) -> bool) -> Option<u8> {
        self.find(|frame| {
            let of_stream = frame.stream == stream && frame.kind != WINDOW_UPDATE;
            (of_stream && wanted(frame.kind, frame.flags)).then_some(frame.flags)
        })
        .await
    }

    /// Reads frames until one will do, acknowledging what wants to be; none at the
    /// connection's end.
    async fn find<T>(&mut self, wanted: impl Fn(&Frame) -> Option<T>) -> Option<T> {
        while let Some(frame) = self.frame().await {
            match frame.kind {
                GOAWAY => self.goaway = Some(code(&frame.payload[4..])),
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
                PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload).await,
                _ => {}
            }
            if let Some(found) = wanted(&frame) {
                return Some(found);
            }
        }
        None
    }
}

fn take_frame(unread: &mut Vec<u8>) -> Option<Frame> {
    let &[high, middle, low, kind, flags, ref id @ ..] = unread.first_chunk::<9>()?;
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    let stream = u32::from_be_bytes(*id) & 0x7fff_ffff;
    if unread.len() < 9 + length {
        return None;
    }
    let payload = unread.drain(..9 + length).skip(9).collect();
    Some(Frame { kind, flags, stream, payload })
}

/// One frame as it goes over the wire.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).expect("a test's payload").to_be_bytes();
    let mut bytes = length.to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block of literals: names and values exactly as given, not even
/// lower-cased.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0x00);
        string(&mut bytes, name.as_bytes());
        string(&mut bytes, value.as_bytes());
    }
    bytes
}

/// RFC 7541 5.2 without Huffman: a length of 7 bits and more, then the octets.
fn string(bytes: &mut Vec<u8>, text: &[u8]) {
    let Some(mut rest) = text.len().checked_sub(0x7f) else {
        bytes.push(u8::try_from(text.len()).expect("less than 127"));
        bytes.extend(text);
        return;
    };
    bytes.push(0x7f);
    while rest >= 0x80 {
        bytes.push(0x80 | u8::try_from(rest & 0x7f).expect("seven bits"));
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
    bytes.extend(text);
}

/// The error code that begins a RST_STREAM payload.
fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().expect("four octets of error code"))
}

/// `:status`, which has to be the first field. With no dynamic table it is an index
/// into the static table or a literal with the name's index, 8.
fn status(block: &[u8]) -> u16 {
    let size_updates = block.iter().take_while(|octet| **octet & 0xe0 == 0x20).count();
    match &block[size_updates..] {
        [indexed @ 0x88..=0x8e, ..] => {
            [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)]
        }
        [0x48 | 0x08 | 0x18, length, rest @ ..] => {
            let text = &rest[..usize::from(length & 0x7f)];
            if length & 0x80 == 0 { plain_digits(text) } else { huffman_digits(text) }
        }
        other => panic!("a header block that does not begin with :status: {other:02x?}"),
    }
}

fn plain_digits(text: &[u8]) -> u16 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("a status of digits")
}

/// In RFC 7541's code 0 to 2 are five bits, equal to the digit; 3 to 9 six bits,
/// the digit plus 22.
fn huffman_digits(text: &[u8]) -> u16 {
    let bits: Vec<u16> = text
        .iter()
        .flat_map(|octet| (0..8).rev().map(move |bit| u16::from(octet >> bit & 1)))
        .collect();
    let number = |bits: &[u16]| bits.iter().fold(0, |number, bit| number << 1 | bit);
    let mut at = 0;
    (0..3).fold(0, |status, _| {
        let short = number(&bits[at..at + 5]);
        let digit = if short <= 2 { short } else { number(&bits[at..at + 6]) - 22 };
        at += if short <= 2 { 5 } else { 6 };
        status * 10 + digit
    })
}

#[test]
fn the_status_of_an_answer_is_read_in_every_encoding() {
    assert_eq!(status(&[0x88]), 200);
    assert_eq!(status(&[0x20, 0x8d]), 404);
    assert_eq!(status(&[0x08, 0x03, b'5', b'0', b'2']), 502);
    // RFC 7541 C.6.1: 302 as a literal in Huffman code.
    assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), 302);
    // RFC 7541 C.6.2: 307.
    assert_eq!(status(&[0x48, 0x83, 0x64, 0x0e, 0xff]), 307);
}

#[test]
fn long_strings_have_their_length_in_several_octets() {
    // RFC 7541 C.1.2 in shape: a prefix of ones, then groups of seven bits, low
    // ones first.
    let bytes = block(&[("a", &"x".repeat(127 + 300))]);
    assert_eq!(bytes[..6], [0x00, 0x01, b'a', 0x7f, 0xac, 0x02]);
}
