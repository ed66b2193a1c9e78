//! Reading no further than a body goes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Reads at most `limit` bytes into `out`, and says how many.
pub fn poll_read_at_most<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    out: &mut ReadBuf<'_>,
    limit: usize,
) -> Poll<io::Result<usize>> {
    let before = out.filled().len();
    // A part of the room that is borrowed as bytes would be filled with zeros first.
    ready!(Pin::new(&mut stream.take(limit as u64)).poll_read(cx, out))?;
    Poll::Ready(Ok(out.filled().len() - before))
}
