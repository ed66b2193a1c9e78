//! The first bytes of a connection: what the scanner passes on, a strict reader and
//! hyper read as the same messages; and its verdict does not depend on the cuts. What it
//! changes are octets of a query, to their escapes.
//!
//! The first line of an input says where to cut, the rest is the connection.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis::edge::framing::{HeadLimits, Line, RequestScanner};
use portcullis::http1::{Blanks, FramingFault};
use tokio::runtime::{Builder, Runtime};

use crate::pieces::{Pieces, first_line, lengths};

const LIMITS: HeadLimits = HeadLimits { bytes: 2048, fields: 16, uri_bytes: 512 };

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime can be made"));

/// A message as one reader understood it.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

pub(crate) fn run(data: &[u8]) {
    let (cuts, bytes) = first_line(data);
    let (whole, fault) = scan(bytes, &[]);
    for cuts in [cuts, &[0]] {
        let (passed, same) = scan(bytes, cuts);
        // Of several faults the one that is seen first is told.
        assert_eq!(same.is_some(), fault.is_some(), "another verdict on other cuts");
        match fault {
            None => assert_eq!(passed, whole, "other bytes on other cuts"),
            // Of a body that turns out wrong, what came before may have been passed.
            Some(_) => assert!(passed.starts_with(&whole) || whole.starts_with(&passed)),
        }
        check_readers(&passed, cuts);
    }
    check_readers(&whole, &[]);
}

/// What is passed on of a connection, and the fault that ends it.
fn scan(bytes: &[u8], cuts: &[u8]) -> (Vec<u8>, Option<FramingFault>) {
    let mut scanner = RequestScanner::new(LIMITS);
    let (mut buffer, mut passed, mut rest) = (Vec::new(), Vec::new(), bytes);
    for length in lengths(cuts) {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        buffer.extend_from_slice(piece);
        loop {
            if scanner.awaits_upgrade() {
                scanner.upgrade_refused();
            }
            // A body of known length is not looked at, as the gate reads it.
            let unlooked = usize::try_from(scanner.unlooked()).unwrap_or(usize::MAX);
            let skipped = if buffer.len() % 2 == 0 { unlooked.min(buffer.len()) } else { 0 };
            scanner.skip(skipped as u64);
            passed.extend(buffer.drain(..skipped));
            match scanner.scan(&buffer) {
                Err(fault) => return (passed, Some(fault)),
                Ok(0) if skipped == 0 && !scanner.awaits_upgrade() => break,
                Ok(pass) => {
                    let bytes: Vec<u8> = buffer.drain(..pass).collect();
                    match scanner.take_line() {
                        None => passed.extend(bytes),
                        Some(Line { written, escaped }) => {
                            check_escaped(&bytes[..written], &escaped);
                            let head = [&escaped[..], &bytes[written..]].concat();
                            assert!(head.len() <= LIMITS.bytes, "a head beyond its limit");
                            passed.extend(head);
                        }
                    }
                }
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    (passed, None)
}

/// A line that is passed on in place of another says the same: behind the first `?` some
/// octets that a reader of queries decodes have become their escapes.
fn check_escaped(written: &[u8], escaped: &[u8]) {
    let written = written.strip_prefix(b"\r\n").unwrap_or(written);
    let query = written.iter().position(|octet| *octet == b'?').expect("a query") + 1;
    let (before, mut rest) = escaped.split_at(query);
    assert_eq!(before, &written[..query], "changed before the query");
    for octet in &written[query..] {
        let escape = format!("%{octet:02X}");
        let changed = rest.strip_prefix(&[*octet]).is_none();
        assert!(!changed || matches!(octet, b'"' | b'<' | b'>' | 0x80..), "{octet:#04x} escaped");
        let behind = if changed { rest.strip_prefix(escape.as_bytes()) } else { rest.get(1..) };
        rest = behind.expect("the octet or its escape");
    }
    assert!(rest.is_empty() && escaped.len() > written.len(), "more than was written");
}

fn check_readers(passed: &[u8], cuts: &[u8]) {
    let (expected, cut_short) = read_strictly(passed);
    let (actual, clean) = read_by_hyper(passed, cuts);
    assert!(actual.len() <= expected.len(), "hyper saw {actual:?} in {expected:?}");
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_eq!(actual, expected, "hyper read something else");
    }
    // hyper leaves after a message that is the last one by its own word, and after a CONNECT
    // that is answered with 200, as here; the gateway refuses it.
    let ends = expected.get(actual.len().wrapping_sub(1)).is_some_and(is_last);
    assert!(ends || cut_short || actual.len() == expected.len(), "hyper missed {expected:?}");
    assert!(clean || cut_short, "hyper refused what was passed");
}

/// HTTP/1.0 is noted as a field, for the comparison's sake.
const OLD: &str = ":version";

fn is_last(message: &Message) -> bool {
    let close = |(name, value): &(String, Vec<u8>)| {
        name == OLD
            || name == "connection"
                && String::from_utf8_lossy(value).to_ascii_lowercase().contains("close")
    };
    message.method == "CONNECT" || message.fields.iter().any(close)
}

/// All whole messages, and whether one more has begun.
fn read_strictly(mut bytes: &[u8]) -> (Vec<Message>, bool) {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let mut fields = [httparse::EMPTY_HEADER; LIMITS.fields];
        let mut request = httparse::Request::new(&mut fields);
        let Ok(status) = request.parse(bytes) else { panic!("httparse refused what was passed") };
        let httparse::Status::Complete(head) = status else {
            assert_eq!(bytes, b"\r\n", "a head was passed in part");
            return (messages, true);
        };
        let field = |name: &str| {
            let mut found =
                request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            let first = found.next();
            assert!(found.next().is_none(), "two of {name}");
            first.map(|field| std::str::from_utf8(field.value).expect("plain").to_owned())
        };
        let length = field("content-length").map(|text| text.parse().expect("a length"));
        let chunked = field("transfer-encoding").inspect(|coding| {
            assert!(coding.eq_ignore_ascii_case("chunked") && length.is_none());
            assert_eq!(request.version, Some(1));
        });
        let body = match (chunked, length) {
            (Some(_), _) => read_chunks(&bytes[head..], Blanks::Refused),
            (None, length) => {
                let length: usize = length.unwrap_or(0);
                bytes[head..].get(..length).map(|body| (body.to_vec(), length))
            }
        };
        let Some((body, length)) = body else { return (messages, true) };
        let mut fields: Vec<_> = request
            .headers
            .iter()
            .map(|field| (field.name.to_ascii_lowercase(), field.value.to_vec()))
            .collect();
        if request.version == Some(0) {
            fields.push((OLD.to_owned(), Vec::new()));
        }
        fields.sort();
        messages.push(Message {
            method: request.method.expect("complete").to_owned(),
            target: as_hyper_shows(request.path.expect("complete")),
            fields,
            body,
        });
        bytes = &bytes[head + length..];
    }
    (messages, false)
}

/// An absolute form without a path has the path `/`.
fn as_hyper_shows(target: &str) -> String {
    target.parse::<Uri>().expect("a target that was passed").to_string()
}

/// The body and how many bytes it took, if it is all there.
pub(crate) fn read_chunks(bytes: &[u8], blanks: Blanks) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = bytes[at..].windows(2).position(|pair| pair == b"\r\n")?;
        let mut size = bytes[at..at + line].split(|byte| *byte == b';').next().unwrap_or_default();
        if blanks == Blanks::Allowed {
            size = size.trim_ascii_end();
        }
        let size =
            std::str::from_utf8(size).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("the size of a chunk that was passed");
        at += line + 2;
        if size == 0 {
            break;
        }
        body.extend_from_slice(bytes.get(at..at.checked_add(size)?)?);
        at += size;
        let end = bytes.get(at..at + 2)?;
        assert_eq!(end, b"\r\n", "the end of a chunk");
        at += 2;
    }
    loop {
        let line = bytes[at..].windows(2).position(|pair| pair == b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some((body, at));
        }
    }
}

/// The messages whose bodies hyper read whole, and whether it had no complaint.
fn read_by_hyper(bytes: &[u8], cuts: &[u8]) -> (Vec<Message>, bool) {
    let messages = Arc::new(Mutex::new(Vec::new()));
    let bytes = bytes.to_vec();
    let stream = Pieces::new(&bytes, cuts);
    let service = service_fn(|request: Request<Incoming>| {
        let messages = Arc::clone(&messages);
        async move {
            if let Some(message) = read(request).await {
                messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection =
        http1::Builder::new().half_close(true).serve_connection(TokioIo::new(stream), service);
    let clean = RUNTIME.block_on(connection).is_ok();
    let messages = std::mem::take(&mut *messages.lock().unwrap_or_else(PoisonError::into_inner));
    (messages, clean)
}

async fn read(request: Request<Incoming>) -> Option<Message> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.ok()?.to_bytes().to_vec();
    let mut fields = lines(&head.headers);
    if head.version == http::Version::HTTP_10 {
        fields.push((OLD.to_owned(), Vec::new()));
    }
    fields.sort();
    Some(Message { method: head.method.to_string(), target: head.uri.to_string(), fields, body })
}

/// Names and values in order.
pub(crate) fn lines(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}
