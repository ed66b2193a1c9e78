//! An upstream's answer: what the scanner passes on, a strict reader and hyper's
//! client read as the same response, and its verdict does not depend on the cuts.
//!
//! The first byte of an input is `h` for an answer to HEAD, the rest of the first line
//! says where to cut, and what follows it is the connection.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use portcullis::http1::Blanks;
use portcullis::upstream::framing::{Asked, MAX_FIELDS, ResponseScanner};
use tokio::runtime::{Builder, Runtime};

use crate::framing::{lines, read_chunks};
use crate::pieces::{Pieces, first_line, lengths};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime can be made"));

/// A final response as one reader understood it.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

pub(crate) fn run(data: &[u8]) {
    let (line, bytes) = first_line(data);
    let (asked, method) = match line.first() {
        Some(b'h') => (Asked::Head, Method::HEAD),
        _ => (Asked::Other, Method::GET),
    };
    let whole = scan(bytes, &[], asked);
    for cuts in [line, &[0], &[]] {
        let pieces = scan(bytes, cuts, asked);
        assert_eq!(pieces.is_none(), whole.is_none(), "another verdict on other cuts");
        assert!(pieces.is_none() || pieces == whole, "other bytes on other cuts");
    }
    let Some(passed) = whole else { return };
    let expected = read_strictly(&passed, &method);
    let actual = read_by_hyper(&passed, line, &method);
    assert_eq!(actual, expected, "hyper read something else");
}

/// All that is passed on of one answer and what follows it; nothing after a fault.
fn scan(bytes: &[u8], cuts: &[u8], mut asked: Asked) -> Option<Vec<u8>> {
    let mut scanner = ResponseScanner::default();
    let (mut buffer, mut passed, mut rest) = (Vec::new(), Vec::new(), bytes);
    for length in lengths(cuts) {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        buffer.extend_from_slice(piece);
        while !buffer.is_empty() {
            let unlooked = usize::try_from(scanner.unlooked()).unwrap_or(usize::MAX);
            let (pass, complete) = if unlooked > 0 && buffer.len().is_multiple_of(2) {
                let skipped = unlooked.min(buffer.len());
                (skipped, scanner.skip(skipped as u64))
            } else {
                scanner.scan(&buffer, asked).ok()?
            };
            passed.extend(buffer.drain(..pass));
            if complete {
                asked = Asked::Nothing;
            }
            if pass == 0 {
                break;
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    Some(passed)
}

/// The final response, if it is all there.
fn read_strictly(mut bytes: &[u8], method: &Method) -> Option<Answer> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let Ok(status) = response.parse(bytes) else { panic!("httparse refused what was passed") };
        let httparse::Status::Complete(head) = status else { return None };
        let status = response.code.expect("complete");
        let rest = &bytes[head..];
        if (100..200).contains(&status) && status != 101 {
            bytes = rest;
            continue;
        }
        let field = |name: &str| {
            let mut found = response.headers.iter().filter(|f| f.name.eq_ignore_ascii_case(name));
            let first = found.next();
            assert!(found.next().is_none(), "two of {name}");
            first.map(|field| std::str::from_utf8(field.value).expect("plain").to_owned())
        };
        let length = field("content-length").map(|text| text.parse::<usize>().expect("a length"));
        let chunked = field("transfer-encoding").inspect(|coding| {
            assert!(coding.eq_ignore_ascii_case("chunked") && length.is_none());
        });
        let body = match (status, chunked, length) {
            // What follows is another protocol's.
            (101, ..) => Vec::new(),
            _ if method == Method::HEAD || matches!(status, 204 | 304) => {
                assert!(rest.is_empty(), "a body was passed where none can be");
                Vec::new()
            }
            (_, Some(_), _) => {
                let (body, length) = read_chunks(rest, Blanks::Allowed)?;
                assert_eq!(rest.len(), length, "more than one answer was passed");
                body
            }
            (_, None, Some(length)) => {
                assert!(rest.len() <= length, "more than one answer was passed");
                rest.get(..length)?.to_vec()
            }
            (_, None, None) => rest.to_vec(),
        };
        let fields =
            response.headers.iter().map(|f| (f.name.to_ascii_lowercase(), f.value.to_vec()));
        let mut fields: Vec<_> = fields.collect();
        fields.sort();
        return Some(Answer { status, fields, body });
    }
}

fn read_by_hyper(bytes: &[u8], cuts: &[u8], method: &Method) -> Option<Answer> {
    let stream = TokioIo::new(Pieces::answering(bytes, cuts));
    let request = Request::builder().method(method).uri("/").body(Empty::<Bytes>::new());
    RUNTIME.block_on(async {
        let mut builder = http1::Builder::new();
        builder.max_headers(MAX_FIELDS);
        let (mut sender, connection) = builder.handshake(stream).await.ok()?;
        let answer = async move {
            let request = request.expect("a request");
            let (head, body) = sender.send_request(request).await.ok()?.into_parts();
            let status = head.status.as_u16();
            // A body is collected to its end; a new protocol's bytes are none.
            let body = match status {
                101 => Vec::new(),
                _ => body.collect().await.ok()?.to_bytes().to_vec(),
            };
            let mut fields = lines(&head.headers);
            fields.sort();
            Some(Answer { status, fields, body })
        };
        let (answer, _) = tokio::join!(answer, connection);
        answer
    })
}
