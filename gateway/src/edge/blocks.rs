//! Header blocks of HTTP/2, judged before the library reads them, for what it does not
//! tell: it cuts a `:path` off at a `#`, and passes over pseudo-headers of trailers.
//!
//! Bytes go by as they are. A block that is at fault gets one field more at its end: one
//! by which the pipeline knows the fault and answers it, or one that makes the block
//! malformed, so that the library resets the stream (RFC 9113 8.1.1). The last frame of a
//! block is therefore held back until it is complete.
//!
//! A `:path` that the library does not take, for which it would reset the stream or end the
//! connection without a word, is replaced by one that it takes, as long as the other: so
//! both tables stay the same.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::pipeline::message::{FRAGMENT_MARK, UNFIT_MARK};

use super::hpack::{Found, Reader, Span};

const PREFACE_BYTES: u64 = 24;
/// No string is so long that its length takes more.
const LENGTH_BYTES: usize = 5;
const HEAD_BYTES: usize = 9;
/// SETTINGS_MAX_FRAME_SIZE that nobody has changed. The library ends the connection for a
/// longer frame.
const MAX_FRAME_BYTES: usize = 16 << 10;
/// More than any header list that could be configured; the library ends the connection
/// before.
const MAX_BLOCK_BYTES: usize = 1 << 20;

/// Streams of one connection that are remembered as open; the library has fewer at once.
const MAX_OPEN: usize = 1024;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

pub struct BlockGate<S> {
    inner: S,
    blocks: Blocks,
    /// From the beginning of a frame on, until it is known whether it may pass.
    held: Vec<u8>,
    /// What passes next.
    ready: Vec<u8>,
    passed: usize,
    /// Behind a block that cannot be read nothing is: the library may read it otherwise.
    ended: bool,
}

impl<S> BlockGate<S> {
    pub fn new(inner: S) -> Self {
        let (held, ready) = (Vec::new(), Vec::new());
        Self { inner, blocks: Blocks::default(), held, ready, passed: 0, ended: false }
    }

    fn hand_out(&mut self, out: &mut ReadBuf<'_>) -> bool {
        let left = &self.ready[self.passed..];
        let count = left.len().min(out.remaining());
        out.put_slice(&left[..count]);
        self.passed += count;
        if self.passed == self.ready.len() {
            // Seldom used, and nothing for an idle connection to keep.
            (self.ready, self.passed) = (Vec::new(), 0);
        }
        count > 0
    }

    /// Lets through what may pass of what is held.
    fn settle(&mut self) {
        let mut settled = 0;
        while !self.ended {
            let (passing, stop) = self.blocks.follow(&self.held[settled..]);
            self.ready.extend_from_slice(&self.held[settled..settled + passing]);
            settled += passing;
            match stop {
                Stop::Wait => break,
                Stop::Fault { length, fault } => {
                    fault.rewrite(&self.held[settled..settled + length], &mut self.ready);
                    self.ended |= fault == Fault::Unreadable;
                    settled += length;
                }
            }
        }
        self.held = self.held.split_off(settled);
    }
}

/// Where frames cannot pass as they are.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// More of them must be there first.
    Wait,
    /// The last frame of a block, this long, that is at fault.
    Fault { length: usize, fault: Fault },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Fragment,
    /// With the place of the path in the frame's payload, unless it stands in the table.
    UnfitPath(Option<Span>),
    PseudoTrailer,
    Unreadable,
}

impl Fault {
    /// The frame with one field more, or with it in a frame behind it where it has no room.
    fn rewrite(self, frame: &[u8], out: &mut Vec<u8>) {
        if let Fault::UnfitPath(Some(path)) = self {
            let replaced = replace(frame, path);
            return Fault::UnfitPath(None).rewrite(&replaced, out);
        }
        let (head, payload) = frame.split_at(HEAD_BYTES);
        let (id, kind, flags) = (&head[5..], head[3], head[4] & !END_HEADERS);
        let field = match self {
            Fault::Fragment => literal(FRAGMENT_MARK),
            Fault::UnfitPath(_) => literal(UNFIT_MARK),
            // HTTP/2 has no place for it (RFC 9113 8.2.2).
            Fault::PseudoTrailer => literal("connection"),
            Fault::Unreadable => {
                // Nothing of it is read: instead a block that does not end, and another
                // that begins, for which every reader ends the connection.
                for kind in [kind, HEADERS] {
                    out.extend([0, 0, 0, kind, 0]);
                    out.extend_from_slice(id);
                }
                return;
            }
        };
        let is_padded = kind == HEADERS && flags & PADDED != 0;
        let padding = if is_padded { usize::from(payload[0]) } else { 0 };
        let length = payload.len() + field.len();
        if length <= MAX_FRAME_BYTES {
            let (block, padding) = payload.split_at(payload.len() - padding);
            out.extend(three_octets(length));
            out.extend_from_slice(&head[3..]);
            out.extend([block, &field, padding].concat());
            return;
        }
        // The library would take nothing behind a block that it has found malformed; but
        // one that fills a frame and is at fault twice is worth no connection.
        out.extend_from_slice(&head[..3]);
        out.extend([kind, flags]);
        out.extend_from_slice(id);
        out.extend_from_slice(payload);
        out.extend(three_octets(field.len()));
        out.extend([CONTINUATION, END_HEADERS]);
        out.extend_from_slice(id);
        out.extend(field);
    }
}

/// A frame with a path of the same length in the place of the one there.
fn replace(frame: &[u8], path: Span) -> Vec<u8> {
    let (head, payload) = frame.split_at(HEAD_BYTES);
    let (before, behind) = (&payload[..path.from], &payload[path.to..]);
    let value = [b"/", &b"_".repeat(path.octets.saturating_sub(1))[..]].concat();
    let payload = [before, &string(&value), behind].concat();
    [&three_octets(payload.len()), &head[3..], &payload].concat()
}

/// A string that is not in Huffman code (RFC 7541 5.1, 5.2).
fn string(octets: &[u8]) -> Vec<u8> {
    const PREFIX: usize = 0x7f;
    let low_bits = |number: usize| number.to_le_bytes()[0] & 0x7f;
    let mut written = vec![low_bits(octets.len().min(PREFIX))];
    if let Some(mut rest) = octets.len().checked_sub(PREFIX) {
        while rest >= 0x80 {
            written.push(0x80 | low_bits(rest));
            rest >>= 7;
        }
        written.push(low_bits(rest));
    }
    written.extend_from_slice(octets);
    written
}

fn three_octets(length: usize) -> [u8; 3] {
    let [.., high, middle, low] = length.to_be_bytes();
    [high, middle, low]
}

/// A field of this name that is not indexed (RFC 7541 6.2.2).
fn literal(name: &str) -> Vec<u8> {
    [&[0, octet(name.len())], name.as_bytes(), &[1, b'1']].concat()
}

/// A length that one octet holds.
fn octet(length: usize) -> u8 {
    u8::try_from(length).expect("names of ours are short")
}

/// The place in what a client sends, and what its header blocks have said.
#[derive(Debug)]
struct Blocks {
    reader: Reader,
    /// Of a frame that is nothing of a block.
    payload_left: u64,
    /// The highest id of a stream that has had a head.
    last_stream: u32,
    /// Those whose messages have not ended, in order.
    open: Vec<u32>,
    section: Section,
    /// What came of the block under way in frames before.
    begun: Vec<u8>,
}

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Head,
    Trailers,
    /// None that a stream has a place for. The library knows what to do.
    Stray,
}

impl Default for Blocks {
    fn default() -> Self {
        Self {
            reader: Reader::default(),
            payload_left: PREFACE_BYTES,
            last_stream: 0,
            open: Vec::new(),
            section: Section::Stray,
            begun: Vec::new(),
        }
    }
}

impl Blocks {
    /// How many bytes may pass as they are, and why no more.
    fn follow(&mut self, bytes: &[u8]) -> (usize, Stop) {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let opaque =
                usize::try_from(self.payload_left).map_or(rest.len(), |it| it.min(rest.len()));
            self.payload_left -= opaque as u64;
            at += opaque;
            let Some(frame) = Frame::parse(&bytes[at..]) else { return (at, Stop::Wait) };
            if !frame.is_of_block() {
                if frame.ends_stream() {
                    self.close(frame.stream);
                }
                at += HEAD_BYTES;
                self.payload_left = frame.length as u64;
                continue;
            }
            let length = HEAD_BYTES + frame.length;
            let Some(payload) = bytes.get(at + HEAD_BYTES..at + length) else {
                return (at, Stop::Wait);
            };
            if let Some(fault) = self.judge(&frame, payload) {
                return (at, Stop::Fault { length, fault });
            }
            at += length;
        }
    }

    fn judge(&mut self, frame: &Frame, payload: &[u8]) -> Option<Fault> {
        let Some(fragment) = frame.fragment(payload) else { return Some(Fault::Unreadable) };
        if frame.kind == HEADERS {
            self.section = self.begin(frame);
            self.begun.clear();
        }
        if frame.flags & END_HEADERS == 0 {
            self.begun.extend_from_slice(fragment);
            return (self.begun.len() > MAX_BLOCK_BYTES).then_some(Fault::Unreadable);
        }
        let before = self.begun.len();
        let read = if before == 0 {
            self.reader.read(fragment)
        } else {
            self.begun.extend_from_slice(fragment);
            self.reader.read(&std::mem::take(&mut self.begun))
        };
        match read {
            Ok(Found { unfit: true, value, .. }) if self.section == Section::Head => {
                let Some(value) = value else { return Some(Fault::UnfitPath(None)) };
                frame.place(value, before).map(|path| Fault::UnfitPath(Some(path)))
            }
            Ok(Found { fragment: true, .. }) if self.section == Section::Head => {
                Some(Fault::Fragment)
            }
            Ok(Found { pseudo: true, .. }) if self.section == Section::Trailers => {
                Some(Fault::PseudoTrailer)
            }
            Ok(_) => None,
            Err(_) => Some(Fault::Unreadable),
        }
    }

    fn begin(&mut self, frame: &Frame) -> Section {
        if frame.stream > self.last_stream {
            self.last_stream = frame.stream;
            if !frame.ends_stream() {
                if self.open.len() == MAX_OPEN {
                    self.open.remove(0);
                }
                self.open.push(frame.stream);
            }
            return Section::Head;
        }
        let is_open = self.open.binary_search(&frame.stream).is_ok();
        if frame.ends_stream() {
            self.close(frame.stream);
        }
        if is_open { Section::Trailers } else { Section::Stray }
    }

    fn close(&mut self, stream: u32) {
        if let Ok(at) = self.open.binary_search(&stream) {
            self.open.remove(at);
        }
    }
}

/// The head of a frame (RFC 9113 4.1).
#[derive(Debug)]
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Frame {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let &[high, middle, low, kind, flags, a, b, c, d] = bytes.first_chunk::<HEAD_BYTES>()?;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        let stream = u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff;
        Some(Self { length, kind, flags, stream })
    }

    fn is_of_block(&self) -> bool {
        matches!(self.kind, HEADERS | CONTINUATION) && self.length <= MAX_FRAME_BYTES
    }

    fn ends_stream(&self) -> bool {
        match self.kind {
            DATA | HEADERS => self.flags & END_STREAM != 0,
            RST_STREAM => true,
            _ => false,
        }
    }

    /// Where in the payload a part of the block is, of which so much came in frames before.
    /// None if it is not all there, or would not fit when it is written anew: such a path is
    /// nobody's but an attacker's, and the library resets its stream.
    fn place(&self, part: Span, before: usize) -> Option<Span> {
        let is_head = self.kind == HEADERS;
        let has = |flag| usize::from(is_head && self.flags & flag != 0);
        let begin = has(PADDED) + 5 * has(PRIORITY);
        let from = part.from.checked_sub(before)? + begin;
        let to = part.to.checked_sub(before)? + begin;
        let fits = self.length + part.octets + LENGTH_BYTES <= MAX_FRAME_BYTES + (to - from);
        fits.then_some(Span { from, to, octets: part.octets })
    }

    /// What of the payload belongs to the block (RFC 9113 6.2). None where the library
    /// would not read it: then what follows would be read with another table.
    fn fragment<'a>(&self, mut payload: &'a [u8]) -> Option<&'a [u8]> {
        if self.kind == CONTINUATION {
            return Some(payload);
        }
        let mut padding = 0;
        if self.flags & PADDED != 0 {
            let (length, rest) = payload.split_first()?;
            (padding, payload) = (usize::from(*length), rest);
        }
        if self.flags & PRIORITY != 0 {
            let (dependency, rest) = payload.split_first_chunk::<4>()?;
            if u32::from_be_bytes(*dependency) & 0x7fff_ffff == self.stream {
                return None;
            }
            payload = rest.get(1..)?;
        }
        payload.get(..payload.len().checked_sub(padding)?)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BlockGate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.hand_out(out) || this.ended {
                return Poll::Ready(Ok(()));
            }
            let before = out.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, out))?;
            let read = &out.filled()[before..];
            if read.is_empty() {
                // What is held is never a whole frame.
                return Poll::Ready(Ok(()));
            }
            // Most that is read is whole frames at their beginning, or within a body.
            let passing = if this.held.is_empty() {
                let (passing, stop) = this.blocks.follow(read);
                if let Stop::Fault { length, fault } = stop {
                    fault.rewrite(&read[passing..passing + length], &mut this.ready);
                    this.ended |= fault == Fault::Unreadable;
                    this.held.extend_from_slice(&read[passing + length..]);
                    this.settle();
                } else {
                    this.held.extend_from_slice(&read[passing..]);
                }
                passing
            } else {
                this.held.extend_from_slice(read);
                this.settle();
                0
            };
            out.set_filled(before + passing);
            if passing > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BlockGate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
