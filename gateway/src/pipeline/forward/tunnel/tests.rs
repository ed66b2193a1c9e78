use std::future::pending;
use std::task::Waker;

use proptest::prelude::*;
use tokio::io::{DuplexStream, duplex, join, sink};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::boundary::tests::frame as frame_of;
use super::*;
use crate::pipeline::frame::Opcode;

/// A tunnel that carries, and both ends of it; the gateway stops when told.
struct Carried {
    client: DuplexStream,
    upstream: DuplexStream,
    stop: Option<oneshot::Sender<()>>,
    carrying: JoinHandle<()>,
    counters: Arc<Counters>,
}

fn carried(ahead: &'static [u8]) -> Carried {
    kept(ahead, Upkeep::None)
}

fn kept(ahead: &'static [u8], upkeep: Upkeep) -> Carried {
    carrying(Carries::Frames, ahead, upkeep)
}

/// The buffers between are small: nobody takes all at once.
fn carrying(carries: Carries, ahead: &'static [u8], upkeep: Upkeep) -> Carried {
    let (client, near) = duplex(64);
    let (upstream, far) = duplex(64);
    let (stop, stopped) = oneshot::channel();
    let going_away = async {
        if stopped.await.is_err() {
            pending::<()>().await;
        }
    };
    let counters = Arc::<Counters>::default();
    let terms = TunnelContext {
        agent: None,
        carries,
        watch: None,
        going_away,
        upkeep,
        held: Vec::new(),
        counters: Arc::clone(&counters),
    };
    let carrying = tokio::spawn(carry(near, Bytes::from_static(ahead), far, terms));
    Carried { client, upstream, stop: Some(stop), carrying, counters }
}

impl Carried {
    async fn ends(self) {
        let Self { client, upstream, stop, carrying, .. } = self;
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
    let whole = frame_of(300, false);
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
            let _ = upstream.write_all(&[rest, &frame_of(20, false)].concat()).await;
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

const EVERY: Duration = Duration::from_millis(20);
const PAYLOAD: [u8; 8] = *b"our ping";
const PINGS: Upkeep = Upkeep::Pings { every: EVERY, payload: PAYLOAD };

fn ping() -> Vec<u8> {
    frame::frame(Opcode::Ping, &PAYLOAD)
}

/// A client's frame.
fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(0x80 | length),
        _ => {
            frame.push(0xfe);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

async fn heard(end: &mut DuplexStream, length: usize) -> Vec<u8> {
    let mut heard = vec![0; length];
    end.read_exact(&mut heard).await.unwrap();
    heard
}

async fn heard_to_end(mut end: DuplexStream) -> Vec<u8> {
    let mut heard = Vec::new();
    end.read_to_end(&mut heard).await.unwrap();
    heard
}

#[tokio::test]
async fn an_agent_is_pinged_and_its_pong_is_swallowed() {
    let mut tunnel = kept(b"", PINGS);
    let begun = Instant::now();
    for turn in 1..5 {
        assert_eq!(heard(&mut tunnel.client, ping().len()).await, ping());
        assert!(begun.elapsed() >= EVERY * turn);
        tunnel.client.write_all(&masked(0x8a, &PAYLOAD, [1, 2, 3, 4])).await.unwrap();
    }
    // The upstream's own goes through, and so does its pong.
    tunnel.upstream.write_all(&frame::frame(Opcode::Ping, b"its ping")).await.unwrap();
    assert_eq!(heard(&mut tunnel.client, 10).await, frame::frame(Opcode::Ping, b"its ping"));
    let pong = masked(0x8a, b"its ping", [0; 4]);
    tunnel.client.write_all(&pong).await.unwrap();
    assert_eq!(heard(&mut tunnel.upstream, pong.len()).await, pong);
    assert_eq!(tunnel.counters.agents_silent.value(), 0);
    tunnel.ends().await;
}

#[tokio::test]
async fn an_agent_that_answers_no_ping_is_closed() {
    let Carried { client, upstream, carrying, counters, stop } = kept(b"", PINGS);
    let begun = Instant::now();
    let heard = heard_to_end(client).await;
    assert_eq!(heard, [ping(), ping(), frame::close(GOING_AWAY)].concat());
    assert!(begun.elapsed() >= EVERY * 3);
    assert_eq!(heard_to_end(upstream).await, b"");
    assert_eq!(counters.agents_silent.value(), 1);
    carrying.await.unwrap();
    drop(stop);
}

#[tokio::test]
async fn an_agent_in_the_middle_of_a_long_frame_lives() {
    let mut tunnel = kept(b"", PINGS);
    let long = masked(0x82, &[7; 1_000], [9; 4]);
    for byte in &long[..20] {
        tunnel.client.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(EVERY / 2).await;
    }
    assert_eq!(heard(&mut tunnel.upstream, 20).await, long[..20]);
    assert_eq!(tunnel.counters.agents_silent.value(), 0);
    tunnel.ends().await;
}

#[tokio::test]
async fn an_agent_whose_upstream_does_not_listen_is_not_silent() {
    let mut tunnel = kept(b"", PINGS);
    let long = masked(0x82, &[7; 1_000], [9; 4]);
    let (mut client, mut writing) = tokio::io::split(tunnel.client);
    // The upstream takes nothing until the agent has been pinged often.
    let pinged = async {
        for _ in 0..6 {
            let mut heard = vec![0; ping().len()];
            client.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, ping());
        }
        heard(&mut tunnel.upstream, long.len()).await
    };
    let (said, taken) = tokio::join!(writing.write_all(&long), pinged);
    said.unwrap();
    assert!(taken == long);
    assert_eq!(tunnel.counters.agents_silent.value(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_pong_has_said_that_much() {
    let mut tunnel = kept(b"", PINGS);
    let pong = masked(0x8a, &PAYLOAD, [1, 2, 3, 4]);
    tunnel.client.write_all(&pong[..9]).await.unwrap();
    tunnel.client.shutdown().await.unwrap();
    assert_eq!(heard(&mut tunnel.upstream, 9).await, pong[..9]);
    assert_eq!(tunnel.upstream.read(&mut [0]).await.unwrap(), 0);
    tunnel.ends().await;
}

#[tokio::test]
async fn a_tunnel_is_closed_when_no_byte_has_moved_either_way() {
    let idle = Duration::from_secs(1);
    let Carried { mut client, mut upstream, carrying, counters, stop } =
        kept(b"", Upkeep::Idle(idle));
    let begun = Instant::now();
    while begun.elapsed() < idle * 3 / 2 {
        upstream.write_all(b"\x81\x01d").await.unwrap();
        assert_eq!(heard(&mut client, 3).await, b"\x81\x01d");
        tokio::time::sleep(idle / 50).await;
    }
    let mut last = begun;
    while begun.elapsed() < idle * 3 {
        last = Instant::now();
        client.write_all(b"u").await.unwrap();
        assert_eq!(heard(&mut upstream, 1).await, b"u");
        tokio::time::sleep(idle / 50).await;
    }
    assert_eq!(heard_to_end(client).await, frame::close(GOING_AWAY));
    assert!(last.elapsed() >= idle);
    assert_eq!(heard_to_end(upstream).await, b"");
    assert_eq!(counters.tunnels_idle_closed.value(), 1);
    carrying.await.unwrap();
    drop(stop);
}

#[tokio::test]
async fn a_tunnel_whose_client_still_takes_what_was_said_is_not_idle() {
    let idle = Duration::from_millis(200);
    let (long, more) = (frame_of(110, false), b"\x81\x01d");
    let mut slow = kept(b"", Upkeep::Idle(idle));
    slow.upstream.write_all(&long).await.unwrap();
    // Begun later, and closed.
    let quiet = kept(b"", Upkeep::Idle(idle));
    assert_eq!(heard_to_end(quiet.client).await, frame::close(GOING_AWAY));
    assert_eq!(heard(&mut slow.client, long.len()).await, long);
    slow.upstream.write_all(more).await.unwrap();
    assert_eq!(heard(&mut slow.client, more.len()).await, more);
    assert_eq!(slow.counters.tunnels_idle_closed.value(), 0);
    slow.ends().await;
}

#[tokio::test]
async fn no_frame_of_ours_follows_a_close_frame() {
    let Carried { client, mut upstream, carrying, counters, stop } = kept(b"", PINGS);
    let close = frame::close(frame::NORMAL);
    upstream.write_all(&close).await.unwrap();
    assert_eq!(heard_to_end(client).await, close);
    // Who does not answer that either is given up all the same.
    assert_eq!(counters.agents_silent.value(), 1);
    carrying.await.unwrap();
    drop((upstream, stop));
}

#[tokio::test]
async fn who_has_said_that_it_closes_is_not_pinged() {
    let Carried { mut client, mut upstream, carrying, counters, stop } = kept(b"", PINGS);
    let close = masked(0x88, &frame::NORMAL.to_be_bytes(), [1, 2, 3, 4]);
    client.write_all(&close).await.unwrap();
    assert_eq!(heard(&mut upstream, close.len()).await, close);
    assert_eq!(heard_to_end(client).await, frame::close(GOING_AWAY));
    assert_eq!(counters.agents_silent.value(), 1);
    carrying.await.unwrap();
    drop((upstream, stop));
}

/// First bytes: of messages in one piece or several, and of control frames between them.
const FIRST: [u8; 7] = [0x81, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88];

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(PAYLOAD.to_vec()),
        Just(b"our pong".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
        proptest::collection::vec(any::<u8>(), 120..300),
    ]
}

/// One direction alone: what one end has said, and what the other has heard.
struct Course {
    direction: Direction,
    near: DuplexStream,
    from: DuplexStream,
    to: DuplexStream,
    far: DuplexStream,
    heard: Vec<u8>,
}

impl Course {
    fn new(direction: Direction) -> Self {
        let ((near, from), (to, far)) = (duplex(48), duplex(16));
        Self { direction, near, from, to, far, heard: Vec::new() }
    }

    /// Says all of it, each time as much as is taken, and hears what comes meanwhile.
    fn say(&mut self, mut bytes: &[u8]) {
        let mut cx = Context::from_waker(Waker::noop());
        while !bytes.is_empty() {
            if let Poll::Ready(said) = Pin::new(&mut self.near).poll_write(&mut cx, bytes) {
                bytes = &bytes[said.unwrap()..];
            }
            self.go_on();
        }
    }

    /// Until nothing moves any more; whether the direction has ended.
    fn go_on(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            let ended = self.direction.poll(&mut cx, &mut self.from, &mut self.to).is_ready();
            let mut heard = [0; 64];
            let mut read = ReadBuf::new(&mut heard);
            let polled = Pin::new(&mut self.far).poll_read(&mut cx, &mut read);
            if polled.is_pending() || read.filled().is_empty() {
                return ended;
            }
            self.heard.extend(read.filled());
        }
    }

    fn ends(mut self) -> Vec<u8> {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut self.near).poll_shutdown(&mut cx).is_ready());
        assert!(self.go_on());
        self.heard
    }
}

#[test]
fn a_ping_waits_for_the_end_of_the_frame_under_way() {
    let whole = frame_of(300, false);
    for cut in 0..whole.len() {
        let mut down = Course::new(Direction::new(Carries::Frames));
        let (begin, end) = whole.split_at(cut);
        down.say(begin);
        down.direction.insert = ping().into();
        down.go_on();
        assert_eq!(down.direction.insert.is_empty(), cut == 0);
        // The end comes with the beginning of the next.
        down.say(&[end, &whole[..1]].concat());
        let parts = if cut == 0 { [&ping()[..], end] } else { [end, &ping()] };
        assert!(down.ends() == [begin, parts[0], parts[1], &whole[..1]].concat(), "{cut}");
    }
}

/// The pieces that `cuts` make of it, one after another and from the beginning.
fn pieces<'a>(bytes: &'a [u8], cuts: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    cuts.iter().cycle().map_while(move |cut| {
        let (piece, behind) = rest.split_at((*cut).min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

proptest! {
    /// In whatever pieces a client's frames come, the pongs with our payload are taken
    /// out of them and nothing else is changed, also of a last one that never ends.
    #[test]
    fn only_pongs_of_ours_are_taken_out(
        frames in proptest::collection::vec((0..FIRST.len(), payload(), any::<[u8; 4]>()), 1..12),
        cuts in proptest::collection::vec(1..40usize, 1..6),
        ahead in 0..64usize,
        left_out in 0..20usize,
    ) {
        let frames: Vec<(bool, Vec<u8>)> = frames
            .into_iter()
            .map(|(first, payload, mask)| {
                let ours = FIRST[first] == 0x8a && payload == PAYLOAD;
                (ours, masked(FIRST[first], &payload, mask))
            })
            .collect();
        let mut said: Vec<u8> = frames.iter().flat_map(|(_, frame)| frame.clone()).collect();
        let last = frames.last().unwrap();
        let left_out = left_out.min(last.1.len() - 1);
        said.truncate(said.len() - left_out);
        let mut passed: Vec<u8> = frames
            .iter()
            .filter(|(ours, _)| !ours)
            .flat_map(|(_, frame)| frame.clone())
            .collect();
        match (left_out, last.0) {
            (1.., true) => passed.extend(&last.1[..last.1.len() - left_out]),
            _ => passed.truncate(passed.len() - if last.0 { 0 } else { left_out }),
        }
        let (ahead, rest) = said.split_at(ahead.min(said.len()));
        let mut up = Course::new(Direction::behind(Bytes::copy_from_slice(ahead), Carries::Frames, PINGS));
        for piece in pieces(rest, &cuts) {
            up.say(piece);
            let held = up.direction.pongs.as_ref().unwrap().held().len();
            prop_assert!(held < 14, "{held} bytes held back");
        }
        prop_assert!(up.ends() == passed);
    }

    /// Whenever a ping is due, it stands whole between two frames, at the next place for
    /// it but behind no close frame, and the frames arrive as they were said.
    #[test]
    fn only_pings_of_ours_are_put_in(
        frames in proptest::collection::vec((0..FIRST.len(), payload()), 1..12),
        cuts in proptest::collection::vec(1..40usize, 1..6),
        due in proptest::collection::vec(any::<bool>(), 1..7),
    ) {
        let frames: Vec<Vec<u8>> = frames
            .into_iter()
            // No upstream says what is in our ping.
            .map(|(first, payload)| (first, if payload == PAYLOAD { Vec::new() } else { payload }))
            .map(|(first, payload)| {
                let mut frame = Vec::new();
                frame::put_header(&mut frame, true, Opcode::Text, payload.len() as u64);
                frame[0] = FIRST[first];
                frame.extend(payload);
                frame
            })
            .collect();
        let mut down = Course::new(Direction::new(Carries::Frames));
        let mut pings = 0;
        for (piece, due) in pieces(&frames.concat(), &cuts).zip(due.iter().cycle()) {
            if *due && down.direction.insert.is_empty() {
                down.direction.insert = ping().into();
                pings += 1;
            }
            down.say(piece);
        }
        let heard = down.ends();
        let mut at = &heard[..];
        let mut closing = false;
        for frame in &frames {
            while at.starts_with(&ping()) {
                prop_assert!(!closing);
                at = &at[ping().len()..];
                pings -= 1;
            }
            prop_assert!(at.starts_with(frame));
            at = &at[frame.len()..];
            closing |= frame[0] == 0x88;
        }
        while at.starts_with(&ping()) {
            prop_assert!(!closing);
            at = &at[ping().len()..];
            pings -= 1;
        }
        prop_assert!(at.is_empty());
        prop_assert!(closing || pings == 0);
    }
}

/// Was: whatever was carried was taken for a WebSocket, and ended with a close frame.
#[tokio::test]
async fn nothing_is_said_in_a_protocol_that_is_not_known() {
    let Carried { mut client, mut upstream, carrying, mut stop, .. } =
        carrying(Carries::Bytes, b"ahead", HALF_CLOSED);
    assert_eq!(heard(&mut upstream, 5).await, b"ahead");
    // As a frame it would have a payload that never ends.
    let output = b"\x81\x7f\x7f\xff\xff\xff";
    upstream.write_all(output).await.unwrap();
    assert_eq!(heard(&mut client, output.len()).await, output);
    stop.take().unwrap().send(()).unwrap();
    assert_eq!(heard_to_end(client).await, b"");
    carrying.await.unwrap();
}

const HALF_CLOSED: Upkeep = Upkeep::HalfClosed(Duration::from_millis(200));

#[tokio::test]
async fn who_has_closed_its_side_of_a_raw_tunnel_may_listen_on() {
    let Carried { mut client, mut upstream, carrying, counters, stop } =
        carrying(Carries::Bytes, b"", HALF_CLOSED);
    client.shutdown().await.unwrap();
    assert_eq!(upstream.read(&mut [0]).await.unwrap(), 0);
    upstream.write_all(b"line").await.unwrap();
    assert_eq!(heard(&mut client, 4).await, b"line");
    // Who is gone for good looks the same, and is not waited for without end.
    assert_eq!(heard_to_end(client).await, b"");
    assert_eq!(counters.tunnels_idle_closed.value(), 1);
    carrying.await.unwrap();
    drop((upstream, stop));
}

#[tokio::test]
async fn a_raw_tunnel_that_is_open_both_ways_may_be_quiet() {
    let open = carrying(Carries::Bytes, b"", HALF_CLOSED);
    // Begun later, and half closed.
    let mut half = carrying(Carries::Bytes, b"", HALF_CLOSED);
    half.client.shutdown().await.unwrap();
    assert_eq!(heard_to_end(half.client).await, b"");
    let Carried { client, mut upstream, carrying, counters, stop } = open;
    assert_eq!(counters.tunnels_idle_closed.value(), 0);
    // The end of a command ends what was typed into it.
    upstream.shutdown().await.unwrap();
    assert_eq!(heard_to_end(client).await, b"");
    carrying.await.unwrap();
    drop((stop, half.upstream, half.stop));
}
