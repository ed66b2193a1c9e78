use std::io::IoSlice;
use std::task::Waker;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream, DuplexStream, duplex};

use super::*;

/// The gate of a connection, what is asked on it, and the upstream's end.
fn gate() -> (ResponseGate<DuplexStream>, Arc<Question>, DuplexStream) {
    let (inner, upstream) = duplex(256 << 10);
    let question = Arc::<Question>::default();
    (ResponseGate::new(inner, Arc::clone(&question)), question, upstream)
}

/// What can be read now, in pieces of so many bytes.
fn passed(gate: &mut ResponseGate<DuplexStream>, piece: usize) -> io::Result<Vec<u8>> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    loop {
        let mut room = vec![0; piece];
        let mut out = ReadBuf::new(&mut room);
        match Pin::new(&mut *gate).poll_read(&mut cx, &mut out) {
            Poll::Ready(Ok(())) if !out.filled().is_empty() => all.extend_from_slice(out.filled()),
            Poll::Ready(Ok(())) | Poll::Pending => return Ok(all),
            Poll::Ready(Err(error)) => return Err(error),
        }
    }
}

fn fault(error: &io::Error) -> Option<FramingFault> {
    error.get_ref()?.downcast_ref::<Malformed>().map(|malformed| malformed.0)
}

#[tokio::test]
async fn an_answer_passes_and_what_follows_it_does_not() {
    // Not to yield: what cannot be read now has not come.
    tokio::task::unconstrained(exchanges()).await;
}

async fn exchanges() {
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    for (method, answer) in [
        (Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (Method::GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        (Method::GET, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        (Method::POST, &long),
    ] {
        for piece in [1, 7, 1 << 10, 256 << 10] {
            let (mut gate, question, mut upstream) = gate();
            // One exchange after another, in two parts each.
            for part in [1, 20, answer.len() - 1] {
                question.ask(&method);
                let (begin, end) = answer.as_bytes().split_at(part);
                upstream.write_all(begin).await.unwrap();
                let mut all = passed(&mut gate, piece).unwrap();
                upstream.write_all(end).await.unwrap();
                all.extend(passed(&mut gate, piece).unwrap());
                assert!(all == answer.as_bytes(), "{method} {piece} {part}");
            }
            upstream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let unasked = passed(&mut gate, piece).unwrap_err();
            assert_eq!(fault(&unasked), Some(FramingFault::Unexpected), "{method} {piece}");
        }
    }
}

#[tokio::test]
async fn bytes_that_come_with_an_answer_do_not_pass_behind_it() {
    let (mut gate, question, mut upstream) = gate();
    question.ask(&Method::GET);
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200")
        .await
        .unwrap();
    let mut answer = vec![0; b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".len()];
    gate.read_exact(&mut answer).await.unwrap();
    assert!(answer.ends_with(b"\r\n\r\nok"));
    let unasked = passed(&mut gate, 1 << 10).unwrap_err();
    assert_eq!(fault(&unasked), Some(FramingFault::Unexpected));
}

#[tokio::test]
async fn what_ends_with_the_connection_passes_to_its_end() {
    for piece in [3, 64 << 10] {
        let (mut gate, question, mut upstream) = gate();
        question.ask(&Method::GET);
        upstream.write_all(b"HTTP/1.1 200 OK\r\n\r\nfirst, ").await.unwrap();
        let mut all = passed(&mut gate, piece).unwrap();
        upstream.write_all(b"then\r\n\r\nmore").await.unwrap();
        upstream.shutdown().await.unwrap();
        all.extend(passed(&mut gate, piece).unwrap());
        assert_eq!(all, b"HTTP/1.1 200 OK\r\n\r\nfirst, then\r\n\r\nmore");
        assert_eq!(gate.read(&mut [0; 8]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_connection_that_waits_holds_no_memory() {
    let (mut gate, question, mut upstream) = gate();
    assert!(passed(&mut gate, 64).unwrap().is_empty());
    assert_eq!(gate.buffer.capacity(), 0);
    question.ask(&Method::GET);
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart").await.unwrap();
    assert!(passed(&mut gate, 64).unwrap().ends_with(b"part"));
    assert_eq!(gate.buffer.capacity(), 0);
    upstream.write_all(b"-rest").await.unwrap();
    assert_eq!(passed(&mut gate, 64).unwrap(), b"-rest");
    assert_eq!(gate.buffer.capacity(), 0);
}

#[tokio::test]
async fn what_is_written_goes_through() {
    let (inner, mut upstream) = duplex(1 << 10);
    let mut gate = ResponseGate::new(BufStream::new(inner), Arc::default());
    gate.write_all(b"one ").await.unwrap();
    let slices = [IoSlice::new(b"two "), IoSlice::new(b"three")];
    assert_eq!(gate.write_vectored(&slices).await.unwrap(), 9);
    gate.flush().await.unwrap();
    let mut written = [0; 13];
    upstream.read_exact(&mut written).await.unwrap();
    assert_eq!(&written, b"one two three");
    gate.shutdown().await.unwrap();
    assert_eq!(upstream.read(&mut written).await.unwrap(), 0);
}
