use std::future::poll_fn;

use http::{HeaderName, HeaderValue, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Found, Reader, Unreadable, huffman};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn text(coded: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut decoded = Vec::new();
    let length = huffman::decode(coded, |octet| decoded.push(octet))?;
    assert_eq!(length as usize, decoded.len());
    Ok(decoded)
}

const HEAD: Found = Found { pseudo: true, fragment: false, unfit: false, value: None };
const FRAGMENT: Found = Found { fragment: true, ..HEAD };

/// RFC 7541 C.3 and C.4: the same three requests, plain and in Huffman code.
#[test]
fn the_examples_of_the_rfc_are_read_and_remembered() {
    let plain = [
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ];
    let coded = [
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ];
    for blocks in [plain, coded] {
        let mut reader = Reader::default();
        for (block, table_bytes) in blocks.into_iter().zip([57, 110, 164]) {
            assert_eq!(reader.read(&bytes(block)), Ok(HEAD));
            assert_eq!(reader.table.bytes, table_bytes, "as the RFC counts");
        }
    }
}

#[test]
fn every_octet_is_decoded_from_its_code() {
    assert_eq!(text(&bytes("f1e3c2e5f23a6ba0ab90f4ff")), Ok(b"www.example.com".to_vec()));
    assert_eq!(text(&bytes("6402")), Ok(b"302".to_vec()));
    assert_eq!(text(&bytes("ffaf")).map(|it| it[0]), Ok(b'#'));
    assert_eq!(text(&[]), Ok(Vec::new()));
    // The end itself, an octet of padding, padding of zeroes.
    for wrong in ["ffffffff", "1fff", "1f ff ff", "18"] {
        assert_eq!(text(&bytes(wrong)), Err(Unreadable), "{wrong}");
    }
}

#[test]
fn a_fragment_is_found_in_every_way_a_path_can_be_written() {
    let mut reader = Reader::default();
    // Name by index and spelled out; plain, in code, not indexed, never indexed.
    for block in ["0403 2f2361", "1403 2f2361", "00053a70617468 02 2f23", "0483 63fe bf"] {
        assert_eq!(reader.read(&bytes(block)), Ok(FRAGMENT), "{block}");
    }
    // From the table, as long as it is there.
    assert_eq!(reader.read(&bytes("4402 2f23")), Ok(FRAGMENT));
    assert_eq!(reader.read(&bytes("be")), Ok(FRAGMENT));
    assert_eq!(reader.read(&bytes("7e02 2f61")), Ok(HEAD), "the name alone");
    assert_eq!(reader.read(&bytes("bf")), Ok(FRAGMENT));
    assert_eq!(reader.read(&bytes("20bf")), Err(Unreadable), "the table was emptied");
    // Another field may hold one.
    assert_eq!(Reader::default().read(&bytes("0001610123")), Ok(Found::default()));
    assert_eq!(Reader::default().read(&bytes("00053a70617461 01 23")), Ok(HEAD));
}

#[test]
fn what_does_not_follow_the_rules_is_unreadable() {
    for block in [
        "80",           // index 0
        "be",           // beyond the table
        "ff",           // an integer that breaks off
        "ffffffffff7f", // and one that is too large
        "00",           // no name
        "000161",       // no value
        "00016102 61",  // a value that breaks off
        "82 3f e1 1f",  // a size that does not stand first
        "3f e2 1f",     // and one that was not allowed
        "0081ff0161",   // a name of padding alone
    ] {
        assert_eq!(Reader::default().read(&bytes(block)), Err(Unreadable), "{block}");
    }
    assert_eq!(Reader::default().read(&bytes("3fe11f82")), Ok(HEAD), "the size that is allowed");
}

/// A client of the library's writes heads as it likes: indexed, in code, with its table
/// full and emptied again.
async fn heads_of(requests: Vec<(String, Vec<(String, String)>)>) -> Vec<Vec<u8>> {
    let (client, mut server) = tokio::io::duplex(1 << 20);
    let io = TokioIo::new(client);
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake::<_, http_body_util::Empty<bytes::Bytes>>(io)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    server.write_all(&settings).await.unwrap();
    // A request whose answer nobody waits for is not sent.
    let (expected, mut waiting) = (requests.len(), Vec::new());
    for (path, fields) in requests {
        let mut request = Request::get(format!("http://example.com{path}"))
            .body(http_body_util::Empty::new())
            .unwrap();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(&value).unwrap());
        }
        poll_fn(|cx| sender.poll_ready(cx)).await.unwrap();
        waiting.push(sender.send_request(request));
    }
    let (mut heads, mut read) = (Vec::new(), vec![0; 24]);
    server.read_exact(&mut read).await.unwrap();
    let mut block: Vec<u8> = Vec::new();
    while heads.len() < expected {
        let mut head = [0; 9];
        server.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        server.read_exact(&mut payload).await.unwrap();
        match head[3] {
            1 => block = payload,
            9 => block.extend(payload),
            _ => continue,
        }
        if head[4] & 4 != 0 {
            heads.push(std::mem::take(&mut block));
        }
    }
    connection.abort();
    heads
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_a_client_writes_is_read_and_counted(
        requests in proptest::collection::vec(
            (
                "/[a-z0-9~%=.-]{0,40}",
                proptest::collection::vec(("x-[a-d]", "[ -~]{0,300}"), 0..12),
            ),
            1..24,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut reader = Reader::default();
        for head in runtime.block_on(heads_of(requests)) {
            prop_assert_eq!(reader.read(&head), Ok(HEAD));
            prop_assert!(reader.table.bytes <= 4096);
            let counted: usize = reader.table.entries.iter().map(super::Entry::bytes).sum();
            prop_assert_eq!(reader.table.bytes, counted);
        }
    }

    #[test]
    fn no_block_is_a_surprise(blocks: Vec<Vec<u8>>) {
        let mut reader = Reader::default();
        for block in blocks {
            let _ = reader.read(&block);
            prop_assert!(reader.table.bytes <= 4096);
        }
    }
}
