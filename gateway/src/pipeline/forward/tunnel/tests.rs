use std::future::pending;

use proptest::prelude::*;
use tokio::io::{DuplexStream, duplex, join, sink};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

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

    /// So many bytes as `wanted` says, one time after another, are just the frame's.
    #[test]
    fn nobody_reads_beyond_the_frame_under_way(
        length in prop_oneof![0..130usize, Just(65_535), Just(65_536)],
        masked: bool,
        read in 1..14usize,
        most in 1..4096usize,
    ) {
        let frame = frame(length, masked);
        let mut boundary = FrameBoundary::default();
        let mut at = read.min(frame.len() - 1);
        prop_assume!(at > 0);
        boundary.advance(&frame[..at]);
        while !boundary.is_between_frames() {
            let wanted = boundary.wanted(most);
            let left = boundary.payload_left;
            let expected = if left == 0 { 1 } else { most.min(usize::try_from(left).unwrap()) };
            prop_assert_eq!(wanted, expected);
            boundary.advance(&frame[at..at + wanted]);
            at += wanted;
        }
        prop_assert_eq!(at, frame.len());
    }
}

/// A tunnel that carries, and both ends of it; the gateway stops when told.
struct Carried {
    client: DuplexStream,
    upstream: DuplexStream,
    stop: Option<oneshot::Sender<()>>,
    carrying: JoinHandle<()>,
}

/// The buffers between are small: nobody takes all at once.
fn carried(ahead: &'static [u8]) -> Carried {
    let (client, near) = duplex(64);
    let (upstream, far) = duplex(64);
    let (stop, stopped) = oneshot::channel();
    let going_away = async {
        if stopped.await.is_err() {
            pending::<()>().await;
        }
    };
    let terms = Terms { watch: None, going_away };
    let carrying = tokio::spawn(carry(near, Bytes::from_static(ahead), far, terms));
    Carried { client, upstream, stop: Some(stop), carrying }
}

impl Carried {
    async fn ends(self) {
        let Self { client, upstream, stop, carrying } = self;
        drop((client, upstream));
        tokio::time::timeout(Duration::from_secs(5), carrying).await.unwrap().unwrap();
        drop(stop);
    }
}

/// Writes all, and reads all that the other says meanwhile, which is so much.
async fn talk(end: &mut DuplexStream, says: &[u8], hears: usize) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(end);
    let mut heard = vec![0; hears];
    let (said, read) = tokio::join!(write.write_all(says), read.read_exact(&mut heard));
    said.unwrap();
    read.unwrap();
    heard
}

#[tokio::test]
async fn bytes_pass_both_ways_behind_those_that_were_read_already() {
    let mut tunnel = carried(b"ahead ");
    let up: Vec<u8> = (0..=255).cycle().take(50_000).collect();
    let down: Vec<u8> = up.iter().rev().copied().collect();
    let (heard_down, heard_up) = tokio::join!(
        talk(&mut tunnel.client, &up, down.len()),
        talk(&mut tunnel.upstream, &down, up.len() + 6),
    );
    assert!(heard_down == down);
    assert!(heard_up == [b"ahead ", &up[..]].concat());
    tunnel.ends().await;
}

#[tokio::test]
async fn the_end_of_one_direction_leaves_the_other_its_time() {
    let mut tunnel = carried(b"");
    tunnel.upstream.write_all(b"last").await.unwrap();
    tunnel.upstream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    tunnel.client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"last");
    tunnel.client.write_all(b"still").await.unwrap();
    tunnel.client.shutdown().await.unwrap();
    heard.clear();
    tunnel.upstream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"still");
    tunnel.ends().await;
}

#[tokio::test]
async fn a_gateway_that_stops_lets_the_frame_under_way_end() {
    let whole = frame(300, false);
    for cut in [0, 1, 3, 4, 60] {
        let mut tunnel = carried(b"");
        let (begin, end) = whole.split_at(cut);
        tunnel.upstream.write_all(begin).await.unwrap();
        let mut heard = vec![0; cut];
        tunnel.client.read_exact(&mut heard).await.unwrap();
        tunnel.stop.take().unwrap().send(()).unwrap();
        // The tunnel hears of it before the upstream says more.
        tokio::task::yield_now().await;
        let rest: &[u8] = if cut == 0 { b"" } else { end };
        let Carried { client, upstream, .. } = &mut tunnel;
        // The upstream is hung up on before it has said all that it wanted to.
        let saying = async {
            let _ = upstream.write_all(&[rest, &frame(20, false)].concat()).await;
            let mut heard = Vec::new();
            upstream.read_to_end(&mut heard).await.map(|_| heard)
        };
        let listening = async {
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).await.unwrap();
            client.shutdown().await.unwrap();
            heard
        };
        let (upstream_heard, heard) = tokio::join!(saying, listening);
        assert_eq!(heard, [rest, &frame::close(GOING_AWAY)].concat(), "{cut}");
        assert_eq!(upstream_heard.unwrap(), b"", "{cut}");
        tunnel.ends().await;
    }
}

#[tokio::test]
async fn who_is_parted_from_may_finish_what_it_says() {
    let (mut client, near) = duplex(16);
    let parting = tokio::spawn(part(near));
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"");
    client.write_all(&[b'x'; 2_000]).await.unwrap();
    drop(client);
    parting.await.unwrap();
}

/// It ends once; nobody may ask again.
struct Ended(bool);

impl AsyncRead for Ended {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        assert!(!std::mem::replace(&mut self.0, true), "read again behind its end");
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn who_has_left_is_not_read_of_again() {
    part(join(Ended(false), sink())).await;
}
