use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::*;

const MASK: [u8; 4] = [7, 0, 201, 44];

/// A client's frame.
fn sent(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame::put_header(&mut frame, fin, opcode, payload.len() as u64);
    frame[1] |= 0x80;
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A server's frame.
fn returned(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame::put_header(&mut frame, fin, opcode, payload.len() as u64);
    [&frame, payload].concat()
}

/// What can be read now, and whether that is the end.
fn read(socket: &mut EchoSocket) -> (Vec<u8>, bool) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    loop {
        let mut room = [0; 100];
        let mut out = ReadBuf::new(&mut room);
        match Pin::new(&mut *socket).poll_read(&mut cx, &mut out) {
            Poll::Pending => return (all, false),
            Poll::Ready(Ok(())) if out.filled().is_empty() => return (all, true),
            Poll::Ready(Ok(())) => all.extend_from_slice(out.filled()),
            Poll::Ready(Err(error)) => panic!("{error}"),
        }
    }
}

/// What comes back of bytes that come in pieces, and whether that is all.
async fn echoed(bytes: &[u8], cut: usize) -> (Vec<u8>, bool) {
    let mut socket = EchoSocket::default();
    let mut all = Vec::new();
    let mut ended = false;
    for piece in bytes.chunks(cut) {
        socket.write_all(piece).await.unwrap();
        let (read, end) = read(&mut socket);
        all.extend(read);
        ended = end;
    }
    (all, ended)
}

#[tokio::test]
async fn every_frame_comes_back_as_it_was_and_a_ping_as_its_answer() {
    let long = vec![b'x'; 70_000];
    let frames = [
        (true, Opcode::Text, &b"hello"[..], Some(Opcode::Text)),
        (true, Opcode::Binary, b"", Some(Opcode::Binary)),
        (false, Opcode::Text, b"in ", Some(Opcode::Text)),
        (true, Opcode::Ping, b"there?", Some(Opcode::Pong)),
        (true, Opcode::Pong, b"unasked", None),
        (false, Opcode::Continuation, b"", Some(Opcode::Continuation)),
        (true, Opcode::Continuation, b"parts", Some(Opcode::Continuation)),
        (true, Opcode::Binary, &[b'y'; 300], Some(Opcode::Binary)),
        (true, Opcode::Binary, &long, Some(Opcode::Binary)),
        (true, Opcode::Close, b"\x03\xe9bye", Some(Opcode::Close)),
    ];
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for (fin, opcode, payload, back) in frames {
        bytes.extend(sent(fin, opcode, payload));
        expected.extend(back.map(|opcode| returned(fin, opcode, payload)).unwrap_or_default());
    }
    // Behind the close nothing is for anybody.
    bytes.extend(sent(true, Opcode::Text, b"late"));
    for cut in [1, 2, 5, 1000] {
        assert!(echoed(&bytes, cut).await == (expected.clone(), true), "{cut}");
    }
}

#[tokio::test]
async fn frames_out_of_turn_end_the_socket_with_a_protocol_error() {
    let text = sent(true, Opcode::Text, b"a");
    let part = sent(false, Opcode::Text, b"a");
    let end = sent(true, Opcode::Continuation, b"a");
    for (what, bytes, back) in [
        ("the end of no message", end.clone(), Vec::new()),
        ("the end of an ended one", [&text[..], &end].concat(), returned(true, Opcode::Text, b"a")),
        ("one within another", [part, text.clone()].concat(), returned(false, Opcode::Text, b"a")),
        ("no mask", returned(true, Opcode::Text, b"a"), Vec::new()),
    ] {
        let bytes = [bytes, text.clone()].concat();
        let expected = [back, frame::close(frame::PROTOCOL_ERROR)].concat();
        for cut in [1, bytes.len()] {
            assert_eq!(echoed(&bytes, cut).await, (expected.clone(), true), "{what}");
        }
    }
}

#[tokio::test]
async fn who_does_not_read_is_not_listened_to() {
    let (mut reader, mut writer) = tokio::io::split(EchoSocket::default());
    let message = sent(true, Opcode::Binary, &[b'x'; MOST_UNREAD_BYTES]);
    writer.write_all(&message).await.unwrap();
    let mut more = std::pin::pin!(writer.write_all(&message));
    assert!(futures_util::poll!(&mut more).is_pending());
    // What has been read makes room.
    let mut room = vec![0; MOST_UNREAD_BYTES + 4];
    reader.read_exact(&mut room).await.unwrap();
    timeout(Duration::from_secs(10), more).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_waits_hears_of_a_message_and_of_the_end() {
    let (mut reader, mut writer) = tokio::io::split(EchoSocket::default());
    let mut room = [0; 3];
    {
        let mut read = std::pin::pin!(reader.read_exact(&mut room));
        assert!(futures_util::poll!(&mut read).is_pending());
        writer.write_all(&sent(true, Opcode::Text, b"a")).await.unwrap();
        writer.flush().await.unwrap();
        timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
    }
    assert_eq!(room, *b"\x81\x01a");
    let read = tokio::spawn(async move { reader.read(&mut [0; 3]).await });
    tokio::task::yield_now().await;
    writer.shutdown().await.unwrap();
    assert_eq!(timeout(Duration::from_secs(10), read).await.unwrap().unwrap().unwrap(), 0);
}

proptest! {
    #[test]
    fn messages_come_back_however_they_are_cut(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6),
        cut in 1..300usize,
    ) {
        let all = |frame: fn(bool, Opcode, &[u8]) -> Vec<u8>| -> Vec<u8> {
            payloads.iter().flat_map(|payload| frame(true, Opcode::Binary, payload)).collect()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let echoed = runtime.block_on(echoed(&all(sent), cut));
        prop_assert_eq!(echoed, (all(returned), false));
    }
}
