//! Bytes as a connection brings them: cut where the fuzzer says.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The lengths of pieces that `cuts` asks for, over and over; whole without any.
pub(crate) fn lengths(cuts: &[u8]) -> impl Iterator<Item = usize> {
    let cuts: &[u8] = if cuts.is_empty() { &[u8::MAX] } else { cuts };
    cuts.iter().cycle().map(|cut| match *cut {
        u8::MAX => usize::MAX,
        cut => usize::from(cut % 64) + 1,
    })
}

/// A connection whose every read brings one piece, and which takes what is written.
pub(crate) struct Pieces<'a> {
    pub(crate) rest: &'a [u8],
    lengths: Box<dyn Iterator<Item = usize> + 'a>,
    /// Whether the first read waits for the first write, as for an answer.
    answers: bool,
    reader: Option<Waker>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(bytes: &'a [u8], cuts: &'a [u8]) -> Self {
        Self { rest: bytes, lengths: Box::new(lengths(cuts)), answers: false, reader: None }
    }

    pub(crate) fn answering(bytes: &'a [u8], cuts: &'a [u8]) -> Self {
        Self { answers: true, ..Self::new(bytes, cuts) }
    }
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.answers {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let length = self.lengths.next().unwrap_or(1);
        let (piece, rest) = self.rest.split_at(length.min(self.rest.len()).min(out.remaining()));
        out.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answers = false;
        self.reader.take().inspect(Waker::wake_by_ref);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The first line, and what follows it: how a target tells instructions from input.
pub(crate) fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}
