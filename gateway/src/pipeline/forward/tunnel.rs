//! An open WebSocket: bytes pass unread, but for the frame boundaries towards the
//! client, so that a close frame can be put between two frames and not into one.
//!
//! A tunnel ends when a side closes, when the gateway stops (1001) and when the
//! credential or the permission that opened it ends
//! (4401).

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use crate::pipeline::Gateway;
use crate::pipeline::body::ResponseBody;
use crate::pipeline::connection::{Connection, Upgrade};
use crate::pipeline::frame::{self, CREDENTIAL_ENDED, GOING_AWAY};
use crate::pipeline::watch::PrincipalWatch;

use super::echo::socket::EchoSocket;

/// For the frame under way to end and the close frame to be written.
const FAREWELL: Duration = Duration::from_secs(1);
/// For the second direction after the first has ended.
const HALF_CLOSED: Duration = Duration::from_secs(10);
const BUFFER_BYTES: usize = 16 << 10;

/// The upstream's end of a tunnel that is to be.
pub enum Far {
    Echo(EchoSocket),
    Upstream {
        upgrade: OnUpgrade,
        /// One of the upstream's connections, until the tunnel ends.
        place: Option<OwnedSemaphorePermit>,
    },
}

/// What may end a tunnel beside its ends.
pub struct Terms<D> {
    pub watch: Option<PrincipalWatch>,
    pub going_away: D,
}

/// Answers 101 and lets a task carry the bytes from there on.
pub(super) fn open(
    gateway: &Arc<Gateway>,
    connection: &Arc<Connection>,
    client: OnUpgrade,
    (response, far): (Response<()>, Far),
    watch: Option<PrincipalWatch>,
) -> Response<ResponseBody> {
    connection.decide_upgrade(Upgrade::Tunnel);
    let terms = Terms { watch, going_away: gateway.lifecycle.drain_started() };
    let connection = Arc::clone(connection);
    gateway.lifecycle.track(async move {
        if let Ok(client) = client.await {
            run(TokioIo::new(client), Bytes::new(), far, terms).await;
        }
        // Until here the tunnel has counted as a connection.
        drop(connection);
    });
    response.map(|()| ResponseBody::empty())
}

/// Carries bytes both ways until the tunnel ends; first those that were read of the
/// client already.
pub async fn run(
    client: impl AsyncRead + AsyncWrite + Unpin,
    ahead: Bytes,
    far: Far,
    terms: Terms<impl Future<Output = ()>>,
) {
    match far {
        Far::Echo(echo) => carry(client, ahead, echo, terms).await,
        Far::Upstream { upgrade, place } => {
            if let Ok(upstream) = upgrade.await {
                carry(client, ahead, TokioIo::new(upstream), terms).await;
            }
            drop(place);
        }
    }
}

async fn carry(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    ahead: Bytes,
    mut upstream: impl AsyncRead + AsyncWrite + Unpin,
    terms: Terms<impl Future<Output = ()>>,
) {
    let mut up = Direction { rest: ahead, ..Direction::default() };
    let mut down = Direction::default();
    let credential_ended = async {
        match terms.watch {
            Some(mut watch) => drop(watch.ended().await),
            None => std::future::pending().await,
        }
    };
    let code = {
        // Ready with one direction's end, and polled again with the other's.
        let mut both = async |wanted: usize| {
            std::future::poll_fn(|cx| {
                let ended = [
                    up.poll(cx, &mut client, &mut upstream).is_ready(),
                    down.poll(cx, &mut upstream, &mut client).is_ready(),
                ];
                let ended = ended.into_iter().filter(|ended| *ended).count();
                if ended >= wanted { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        };
        let ends = async {
            both(1).await;
            // The other is soon of no use: it gets its time to say what was under way.
            let _ = tokio::time::timeout(HALF_CLOSED, both(2)).await;
        };
        tokio::select! {
            () = ends => None,
            () = terms.going_away => Some(GOING_AWAY),
            () = credential_ended => Some(CREDENTIAL_ENDED),
        }
    };
    if let Some(code) = code {
        let farewell = say_goodbye(&mut upstream, &mut client, &mut down, code);
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        let _ = tokio::time::timeout(FAREWELL, upstream.shutdown()).await;
    }
    part(client).await;
}

/// Closes our side, and reads on until the client has closed its own: were there
/// bytes of its left, the kernel would reset the connection and with it take back
/// what the client has not read yet.
pub async fn part(mut client: impl AsyncRead + AsyncWrite + Unpin) {
    let parting = async {
        client.shutdown().await?;
        let mut scratch = [0; 512];
        while client.read(&mut scratch).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(FAREWELL, parting).await;
}

/// One direction of a tunnel. While nothing moves it holds no buffer.
#[derive(Default)]
struct Direction {
    /// Read, and not taken by the other side yet.
    rest: Bytes,
    unflushed: bool,
    boundary: FrameBoundary,
    stage: Stage,
}

#[derive(Default, PartialEq)]
enum Stage {
    #[default]
    Open,
    /// Passing the end on.
    Ending,
    Ended,
}

impl Direction {
    /// Copies what there is; ready when the direction has ended and the end was passed on.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<()> {
        if self.stage == Stage::Open {
            self.stage = match ready!(self.poll_copy(cx, from, to)) {
                Ok(()) => Stage::Ending,
                Err(_) => Stage::Ended,
            };
        }
        if self.stage == Stage::Ending {
            let _ = ready!(Pin::new(to).poll_shutdown(cx));
            self.stage = Stage::Ended;
        }
        Poll::Ready(())
    }

    /// Until the end of what can be read, or until nothing can be written any more.
    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_rest(cx, to))?;
            // On the stack: a tunnel is quiet most of the time, and there are thousands.
            let mut scratch = [MaybeUninit::uninit(); BUFFER_BYTES];
            let mut read = ReadBuf::uninit(&mut scratch);
            if ready!(Pin::new(&mut *from).poll_read(cx, &mut read)).is_err()
                || read.filled().is_empty()
            {
                return Poll::Ready(Ok(()));
            }
            let mut bytes = read.filled();
            while !bytes.is_empty() {
                match self.poll_write(cx, to, bytes)? {
                    Poll::Ready(written) => bytes = &bytes[written..],
                    Poll::Pending => {
                        self.rest = Bytes::copy_from_slice(bytes);
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Writes what has been read, to its last byte.
    fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let rest = self.rest.clone();
            let written = ready!(self.poll_write(cx, to, &rest))?;
            self.rest.advance(written);
        }
        self.rest = Bytes::new();
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(to).poll_write(cx, bytes))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.unflushed = true;
        self.boundary.advance(&bytes[..written]);
        Poll::Ready(Ok(written))
    }
}

/// Lets the frame under way end, then writes a close frame behind it.
async fn say_goodbye(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    down: &mut Direction,
    code: u16,
) -> io::Result<()> {
    std::future::poll_fn(|cx| down.poll_rest(cx, to)).await?;
    let boundary = &mut down.boundary;
    let mut buffer = vec![0; BUFFER_BYTES];
    while !boundary.is_between_frames() {
        // No more than this frame still needs: what follows it is not for anybody.
        let wanted = boundary.wanted(buffer.len());
        let read = from.read(&mut buffer[..wanted]).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read]).await?;
        boundary.advance(&buffer[..read]);
    }
    to.write_all(&frame::close(code)).await?;
    to.flush().await
}

/// Where in the stream of frames (RFC 6455 5.2) a direction stands.
#[derive(Debug, Default)]
struct FrameBoundary {
    header: [u8; 14],
    have: usize,
    payload_left: u64,
}

impl FrameBoundary {
    fn is_between_frames(&self) -> bool {
        self.have == 0 && self.payload_left == 0
    }

    /// How much may be read without reading beyond the current frame's part.
    fn wanted(&self, most: usize) -> usize {
        if self.payload_left > 0 {
            usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(most)
        } else {
            1
        }
    }

    fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let skip =
                    usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
                self.payload_left -= skip as u64;
                bytes = &bytes[skip..];
                continue;
            }
            self.header[self.have] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            if let Some(length) = self.payload_length() {
                self.have = 0;
                self.payload_left = length;
            }
        }
    }

    /// The payload's length once the header is complete.
    fn payload_length(&self) -> Option<u64> {
        if self.have < 2 {
            return None;
        }
        let masked = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        let (extended, short) = match self.header[1] & 0x7f {
            126 => (2, None),
            127 => (8, None),
            length => (0, Some(u64::from(length))),
        };
        if self.have < 2 + extended + masked {
            return None;
        }
        short.or_else(|| {
            let bytes = &self.header[2..2 + extended];
            Some(bytes.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)))
        })
    }
}

#[cfg(test)]
mod tests;
