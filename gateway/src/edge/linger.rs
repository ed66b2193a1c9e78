//! Lingering: a connection that closes while its client is still sending is closed for
//! writing alone, and what comes is read and thrown away. A close with unread bytes is a reset,
//! which takes the response back that says why (RFC 9112 9.6).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::server::TlsStream;

use super::service::Serving;
use crate::pipeline::connection::Connection;
use crate::pipeline::rest::DRAIN_TIME;

/// How long a client is waited for.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Without a byte.
    quiet: Duration,
    /// However much it sends.
    in_all: Duration,
}

const BOUNDS: Bounds = Bounds { quiet: Duration::from_secs(5), in_all: Duration::from_secs(30) };

/// A connection to a client, in clear or over TLS.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// What carries it. Its keys and buffers are freed.
    fn into_socket(self) -> TcpStream;
}

impl Transport for TcpStream {
    fn into_socket(self) -> TcpStream {
        self
    }
}

impl Transport for TlsStream<TcpStream> {
    fn into_socket(self) -> TcpStream {
        self.into_inner().0
    }
}

/// Reads on from a connection that is closed for writing, if not too many others are. Its
/// places among the open connections are kept meanwhile.
pub async fn linger<S>(serving: &Serving<S>, connection: &Connection, socket: TcpStream) {
    let source = serving.rules.lingering_source(connection.peer_ip());
    if let Some(_permit) = serving.edge.lingering.socket(source) {
        discard(socket, BOUNDS, serving.edge.lifecycle.drain_started()).await;
    }
}

async fn discard<S: AsyncRead + Unpin>(
    mut stream: S,
    bounds: Bounds,
    draining: impl Future<Output = ()>,
) {
    let mut latest = Instant::now() + bounds.in_all;
    let mut end = pin!(sleep_until(latest.min(Instant::now() + bounds.quiet)));
    let mut draining = pin!(draining);
    let mut drains = false;
    loop {
        tokio::select! {
            more = poll_fn(|cx| poll_discard(&mut stream, cx)) => {
                if !more {
                    return;
                }
                end.as_mut().reset(latest.min(Instant::now() + bounds.quiet));
            }
            () = &mut end => return,
            () = &mut draining, if !drains => {
                drains = true;
                latest = latest.min(Instant::now() + DRAIN_TIME);
                let sooner = latest.min(end.deadline());
                end.as_mut().reset(sooner);
            }
        }
    }
}

/// Whether something came. The room for it is on the stack: a connection that waits has none.
fn poll_discard<S: AsyncRead + Unpin>(stream: &mut S, cx: &mut Context<'_>) -> Poll<bool> {
    let mut scratch = [0; 8 << 10];
    let mut out = ReadBuf::new(&mut scratch);
    let polled = Pin::new(stream).poll_read(cx, &mut out);
    polled.map(|outcome| outcome.is_ok() && !out.filled().is_empty())
}

#[cfg(test)]
mod tests;
