//! The built-in upstream's end of a WebSocket: what comes goes back, frame by frame
//! and as it comes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::pipeline::frame::{self, Header, Malformed, Opcode};

/// Echoed and not read yet; beyond, nothing more is taken.
const MOST_UNREAD_BYTES: usize = 16 << 10;

/// Written to with a client's frames, it can be read as a server's.
#[derive(Default)]
pub struct EchoSocket {
    /// The beginning of a frame, until its header is complete.
    header: Vec<u8>,
    /// The frame under way, and how much of its payload has come.
    current: Option<(Header, u64)>,
    /// A message has begun and its last frame has not.
    fragmented: bool,
    unread: Vec<u8>,
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl EchoSocket {
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Malformed> {
        while !bytes.is_empty() && !self.ended {
            let Some((header, done)) = &mut self.current else {
                self.header.push(bytes[0]);
                bytes = &bytes[1..];
                if let Some((header, _)) = Header::read(&self.header)? {
                    self.begin(header)?;
                }
                continue;
            };
            let left = usize::try_from(header.length - *done).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(left.min(bytes.len()));
            bytes = rest;
            if header.opcode != Opcode::Pong {
                let begin = self.unread.len();
                self.unread.extend_from_slice(part);
                header.unmask(*done, &mut self.unread[begin..]);
            }
            *done += part.len() as u64;
            self.end_frame();
        }
        Ok(())
    }

    fn begin(&mut self, header: Header) -> Result<(), Malformed> {
        self.header = Vec::new();
        let opcode = match header.opcode {
            Opcode::Ping => Some(Opcode::Pong),
            // Nobody asked for it.
            Opcode::Pong => None,
            Opcode::Close => Some(Opcode::Close),
            data => {
                if (data == Opcode::Continuation) != self.fragmented {
                    return Err(Malformed);
                }
                self.fragmented = !header.fin;
                Some(data)
            }
        };
        if let Some(opcode) = opcode {
            frame::put_header(&mut self.unread, header.fin, opcode, header.length);
        }
        self.current = Some((header, 0));
        self.end_frame();
        Ok(())
    }

    fn end_frame(&mut self) {
        if let Some((header, done)) = self.current
            && done == header.length
        {
            self.current = None;
            self.ended = header.opcode == Opcode::Close;
        }
    }
}

impl AsyncWrite for EchoSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.unread.len() >= MOST_UNREAD_BYTES {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // What follows the end is for nobody.
        if !self.ended && self.take(bytes).is_err() {
            self.unread.extend(frame::close(frame::PROTOCOL_ERROR));
            self.ended = true;
        }
        self.reader.take().inspect(Waker::wake_by_ref);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ended = true;
        self.reader.take().inspect(Waker::wake_by_ref);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for EchoSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let length = out.remaining().min(self.unread.len());
        out.put_slice(&self.unread[..length]);
        self.unread.drain(..length);
        if self.unread.is_empty() {
            // A quiet socket holds no memory.
            self.unread = Vec::new();
        }
        self.writer.take().inspect(Waker::wake_by_ref);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
