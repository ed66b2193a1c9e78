//! Reading no further than a body goes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Reads at most `limit` bytes into `out`, and says how many.
pub fn poll_read_at_most<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    out: &mut ReadBuf<'_>,
    limit: usize,
) -> Poll<io::Result<usize>> {
    let before = out.filled().len();
    if limit >= out.remaining() {
        ready!(Pin::new(stream).poll_read(cx, out))?;
    } else {
        // Only near the end, for it writes zeros over the room first.
        let mut part = ReadBuf::new(out.initialize_unfilled_to(limit));
        ready!(Pin::new(stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        out.advance(read);
    }
    Poll::Ready(Ok(out.filled().len() - before))
}
