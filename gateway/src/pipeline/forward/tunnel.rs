//! An open WebSocket: bytes pass unread, but for the frame boundaries towards the
//! client, so that a close frame can be put between two frames and not into one.
//!
//! A tunnel ends when a side closes, when the gateway stops (1001) and when the
//! credential that opened it ends (4401).

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::auth::principal::Principal;
use crate::pipeline::Gateway;
use crate::pipeline::body::ResponseBody;
use crate::pipeline::connection::Connection;
use crate::pipeline::record::RequestRecord;
use crate::pipeline::watch::PrincipalWatch;

use super::{Answered, headers};

/// Close codes (RFC 6455 7.4): going away; and of the private range, credential ended.
const GOING_AWAY: u16 = 1001;
const CREDENTIAL_ENDED: u16 = 4401;
/// For the frame under way to end and the close frame to be written.
const FAREWELL: Duration = Duration::from_secs(1);
/// For the second direction after the first has ended.
const HALF_CLOSED: Duration = Duration::from_secs(10);
const BUFFER_BYTES: usize = 16 << 10;

/// Answers 101 and lets a task carry the bytes from there on.
pub(super) fn open(
    gateway: &Arc<Gateway>,
    connection: &Arc<Connection>,
    record: &RequestRecord,
    client: OnUpgrade,
    answer: Answered,
    principal: Option<&Arc<Principal>>,
) -> Response<ResponseBody> {
    let Answered { mut response, lease, .. } = answer;
    let permit = lease.into_tunnel();
    let upstream = hyper::upgrade::on(&mut response);
    let (mut parts, _) = response.into_parts();
    if let Ok(request_id) = HeaderValue::from_str(&record.access.request_id) {
        headers::prepare_response(&mut parts.headers, &request_id, false);
    }
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    parts.extensions.clear();
    parts.status = StatusCode::SWITCHING_PROTOCOLS;
    let watch = principal
        .map(|principal| PrincipalWatch::new(Arc::clone(&gateway.core), Arc::clone(principal)));
    let going_away = gateway.lifecycle.drain_started();
    let connection = Arc::clone(connection);
    gateway.lifecycle.track(async move {
        let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) else {
            return;
        };
        carry(client, upstream, watch, going_away).await;
        // Until here the tunnel has counted as a connection on both sides.
        drop((permit, connection));
    });
    Response::from_parts(parts, ResponseBody::empty())
}

async fn carry(
    client: Upgraded,
    upstream: Upgraded,
    watch: Option<PrincipalWatch>,
    going_away: impl Future<Output = ()>,
) {
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
    let (mut from_upstream, mut to_upstream) = tokio::io::split(TokioIo::new(upstream));
    let mut boundary = FrameBoundary::default();
    let credential_ended = async {
        match watch {
            Some(watch) => watch.ended().await,
            None => std::future::pending().await,
        }
    };
    let code = {
        let up = copy(&mut from_client, &mut to_upstream, None);
        let down = copy(&mut from_upstream, &mut to_client, Some(&mut boundary));
        tokio::select! {
            () = either_then_both(up, down) => None,
            () = going_away => Some(GOING_AWAY),
            () = credential_ended => Some(CREDENTIAL_ENDED),
        }
    };
    if let Some(code) = code {
        let farewell = say_goodbye(&mut from_upstream, &mut to_client, &mut boundary, code);
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        let _ = tokio::time::timeout(FAREWELL, to_upstream.shutdown()).await;
    }
    let _ = tokio::time::timeout(FAREWELL, to_client.shutdown()).await;
}

/// Waits for both directions. When one has ended, the other is soon of no use:
/// it gets its time to say what was under way.
async fn either_then_both(up: impl Future<Output = ()>, down: impl Future<Output = ()>) {
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    tokio::select! {
        () = &mut up => { let _ = tokio::time::timeout(HALF_CLOSED, down).await; }
        () = &mut down => { let _ = tokio::time::timeout(HALF_CLOSED, up).await; }
    }
}

/// Copies until the end of one direction, and passes the end on.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut boundary: Option<&mut FrameBoundary>,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        let mut bytes = &buffer[..read];
        // Write by write, so that the boundary is right if the copy is stopped in between.
        while !bytes.is_empty() {
            match to.write(bytes).await {
                Ok(0) | Err(_) => return,
                Ok(written) => {
                    if let Some(boundary) = boundary.as_deref_mut() {
                        boundary.advance(&bytes[..written]);
                    }
                    bytes = &bytes[written..];
                }
            }
        }
        if to.flush().await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// Lets the frame under way end, then writes a close frame behind it.
async fn say_goodbye(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    boundary: &mut FrameBoundary,
    code: u16,
) -> std::io::Result<()> {
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
    let [high, low] = code.to_be_bytes();
    // FIN and opcode 8, two bytes of payload, unmasked as a server's frames are.
    to.write_all(&[0x88, 2, high, low]).await?;
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
mod tests {
    use proptest::prelude::*;

    use super::FrameBoundary;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(length @ 0..=125), _) => frame.push(mask + length),
            (_, Ok(length)) => {
                frame.push(mask + 126);
                frame.extend(length.to_be_bytes());
            }
            _ => {
                frame.push(mask + 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([1, 2, 3, 4]);
        }
        frame.resize(frame.len() + length, 0x88);
        frame
    }

    proptest! {
        #[test]
        fn frames_end_where_they_end_however_the_bytes_come(
            lengths in proptest::collection::vec(
                prop_oneof![0..130usize, Just(65_535), Just(65_536)], 1..5),
            masked: bool,
            cut in 1..4096usize,
        ) {
            let mut boundary = FrameBoundary::default();
            for length in lengths {
                let frame = frame(length, masked);
                let (last, rest) = frame.split_last().unwrap();
                for piece in rest.chunks(cut) {
                    boundary.advance(piece);
                    prop_assert!(!boundary.is_between_frames());
                }
                boundary.advance(&[*last]);
                prop_assert!(boundary.is_between_frames());
            }
        }
    }
}
