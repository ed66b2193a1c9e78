//! An open WebSocket: bytes pass unread, but for the frame boundaries, so that a frame
//! of the gateway's own stands between two frames and not in one. Of another protocol
//! nothing is known, so nothing is said in it.
//!
//! A tunnel ends when a side closes, when nobody uses it any more or the gateway stops
//! (1001), and when the credential or the permission that opened it ends (4401).

mod boundary;
pub mod upkeep;

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

use crate::pipeline::body::response::ResponseBody;
use crate::pipeline::connected_agents::Listing;
use crate::pipeline::connection::{Connection, Upgrade};
use crate::pipeline::frame::{self, CREDENTIAL_ENDED, GOING_AWAY};
use crate::pipeline::gateway::Gateway;
use crate::pipeline::revocation::RevocationWatch;
use crate::slots::Place;
use crate::telemetry::counters::Counters;
use crate::telemetry::request_scope;
use crate::upstream::tunnel::Switched;

use super::echo::socket::EchoSocket;
use boundary::FrameBoundary;
use upkeep::{Keeper, PongFilter, Unused, Upkeep};

/// For the frame under way to end and the close frame to be written.
const FAREWELL: Duration = Duration::from_secs(1);
/// For both ends to be free behind a 101. Until then nothing else ends the tunnel.
const SWITCHING: Duration = Duration::from_secs(10);
/// For the second direction after the first has ended.
const HALF_CLOSED: Duration = Duration::from_secs(10);
const BUFFER_BYTES: usize = 16 << 10;

/// The upstream's end of a tunnel that is to be.
pub enum UpstreamEnd {
    Echo(EchoSocket),
    Upstream(Switched),
}

/// What is known of the bytes of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// WebSocket's.
    Frames,
    /// Nothing. Whoever has closed its side may have no more to say, and still listen.
    Bytes,
}

/// What may end a tunnel beside its ends, and what it holds until then.
pub struct TunnelContext<D> {
    pub carries: Carries,
    pub watch: Option<RevocationWatch>,
    pub going_away: D,
    pub upkeep: Upkeep,
    pub held: Vec<Place>,
    /// The agent whose tunnel it is, as it is listed.
    pub agent: Option<Listing>,
    pub counters: Arc<Counters>,
}

/// Answers 101 and lets a task carry the bytes from there on, for the request with this id.
pub(super) fn open(
    gateway: &Arc<Gateway>,
    connection: &Arc<Connection>,
    (client, request_id): (OnUpgrade, Arc<str>),
    (response, far): (Response<()>, UpstreamEnd),
    terms: TunnelContext<impl Future<Output = ()> + Send + 'static>,
) -> Response<ResponseBody> {
    connection.decide_upgrade(Upgrade::Tunnel);
    let connection = Arc::clone(connection);
    gateway.lifecycle.track(request_scope::within(request_id, async move {
        // Over HTTP/1.1 the client's end is free once its request has come whole.
        if let Ok(Ok(client)) = tokio::time::timeout(SWITCHING, client).await {
            run(TokioIo::new(client), Bytes::new(), far, terms).await;
        }
        // Until here the tunnel has counted as a connection.
        drop(connection);
    }));
    response.map(|()| ResponseBody::empty())
}

/// Carries bytes both ways until the tunnel ends; first those that were read of the
/// client already.
pub async fn run(
    client: impl AsyncRead + AsyncWrite + Unpin,
    ahead: Bytes,
    far: UpstreamEnd,
    terms: TunnelContext<impl Future<Output = ()>>,
) {
    match far {
        UpstreamEnd::Echo(echo) => carry(client, ahead, echo, terms).await,
        UpstreamEnd::Upstream(switched) => {
            let opening = tokio::time::timeout(SWITCHING, switched.open());
            if let Ok(Ok(upstream)) = opening.await {
                carry(client, ahead, upstream, terms).await;
            }
        }
    }
}

async fn carry(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    ahead: Bytes,
    mut upstream: impl AsyncRead + AsyncWrite + Unpin,
    terms: TunnelContext<impl Future<Output = ()>>,
) {
    let carries = terms.carries;
    let mut up = Direction::behind(ahead, carries, terms.upkeep);
    let mut down = Direction::new(carries);
    let mut keeper = Keeper::new(terms.upkeep);
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
                loop {
                    let ended = [
                        up.poll(cx, &mut client, &mut upstream).is_ready(),
                        down.poll(cx, &mut upstream, &mut client).is_ready(),
                    ];
                    if ended.into_iter().filter(|ended| *ended).count() >= wanted {
                        return Poll::Ready(Ok(()));
                    }
                    let Some(keeper) = &mut keeper else { return Poll::Pending };
                    if let Some(unused) = ready!(keeper.poll(cx, &mut up, &mut down)) {
                        return Poll::Ready(Err(unused));
                    }
                }
            })
            .await
        };
        let ends = async {
            both(1).await?;
            if carries == Carries::Bytes {
                // The input of a command has ended, and the command has not; or it reads on
                // when it has said all.
                return both(2).await;
            }
            // The other is soon of no use: it gets its time to say what was under way.
            tokio::time::timeout(HALF_CLOSED, both(2)).await.unwrap_or(Ok(()))
        };
        tokio::select! {
            ended = ends => ended.err().map(|unused| {
                note_unused(&terms.counters, unused);
                GOING_AWAY
            }),
            () = terms.going_away => Some(GOING_AWAY),
            () = credential_ended => Some(CREDENTIAL_ENDED),
        }
    };
    if let Some(code) = code {
        if carries == Carries::Frames {
            let farewell = say_goodbye(&mut upstream, &mut client, &mut down, code);
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        }
        let _ = tokio::time::timeout(FAREWELL, upstream.shutdown()).await;
    }
    part(client).await;
}

fn note_unused(counters: &Counters, unused: Unused) {
    let (counter, what) = match unused {
        Unused::Idle => (&counters.tunnels_idle_closed, "idle tunnel closed"),
        Unused::Silent => (&counters.agents_silent, "tunnel of a silent agent closed"),
    };
    counter.increment();
    tracing::info!("{what}");
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
#[derive(Debug)]
struct Direction {
    /// Read, and not taken by the other side yet.
    rest: Bytes,
    unflushed: bool,
    carries: Carries,
    boundary: FrameBoundary,
    stage: Stage,
    /// A frame of ours that is to stand between two of theirs, or what is left of it.
    insert: Bytes,
    inserting: bool,
    /// Of the client, when it is pinged.
    pongs: Option<PongFilter>,
    /// Something has been read.
    moved: bool,
}

#[derive(Debug, Default, PartialEq)]
enum Stage {
    #[default]
    Open,
    /// Passing the end on.
    Ending,
    Ended,
}

impl Direction {
    fn new(carries: Carries) -> Self {
        Self {
            rest: Bytes::new(),
            unflushed: false,
            carries,
            boundary: FrameBoundary::default(),
            stage: Stage::default(),
            insert: Bytes::new(),
            inserting: false,
            pongs: None,
            moved: false,
        }
    }

    /// The client's, behind what has been read of it already.
    fn behind(ahead: Bytes, carries: Carries, upkeep: Upkeep) -> Self {
        let mut direction = Self { rest: ahead, ..Self::new(carries) };
        if let Upkeep::Pings { payload, .. } = upkeep {
            let mut pongs = PongFilter::new(payload);
            let mut ahead = Vec::from(direction.rest);
            let passed = pongs.pass(&mut ahead);
            ahead.truncate(passed);
            direction.rest = ahead.into();
            direction.pongs = Some(pongs);
        }
        direction
    }

    /// Whether something waits to be taken by the other side.
    fn waits(&self) -> bool {
        !self.rest.is_empty() || self.unflushed
    }

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
            // What was held back of a frame that never ended.
            if ready!(self.poll_rest(cx, to)).is_ok() {
                let _ = ready!(Pin::new(to).poll_shutdown(cx));
            }
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
            let held = self.pongs.as_ref().map_or(&[][..], PongFilter::held);
            read.put_slice(held);
            if ready!(Pin::new(&mut *from).poll_read(cx, &mut read)).is_err()
                || read.filled().len() == held.len()
            {
                self.rest = Bytes::copy_from_slice(held);
                return Poll::Ready(Ok(()));
            }
            self.moved = true;
            let passed = match &mut self.pongs {
                Some(pongs) => pongs.pass(read.filled_mut()),
                None => read.filled().len(),
            };
            let mut bytes = &read.filled()[..passed];
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
        ready!(self.poll_insert(cx, to))?;
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
        mut bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_insert(cx, to))?;
        if !self.insert.is_empty() {
            // As far as the place for it.
            bytes = &bytes[..self.boundary.clone().advance_frame(bytes)];
        }
        let written = ready!(poll_write_some(cx, to, bytes))?;
        self.unflushed = true;
        if self.carries == Carries::Frames {
            self.boundary.advance(&bytes[..written]);
        }
        Poll::Ready(Ok(written))
    }

    /// Writes our own frame, if there is one and this is a place for it.
    fn poll_insert(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        if self.boundary.is_closing() && !self.inserting {
            // Too late for it.
            self.insert = Bytes::new();
        }
        while !self.insert.is_empty() && (self.inserting || self.boundary.is_between_frames()) {
            let written = ready!(poll_write_some(cx, to, &self.insert))?;
            self.unflushed = true;
            self.insert.advance(written);
            self.inserting = !self.insert.is_empty();
        }
        Poll::Ready(Ok(()))
    }
}

fn poll_write_some(
    cx: &mut Context<'_>,
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(to).poll_write(cx, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        written => Poll::Ready(Ok(written)),
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
    if !boundary.is_closing() {
        to.write_all(&frame::close(code)).await?;
    }
    to.flush().await
}

#[cfg(test)]
mod tests;
