//! Upstreams that answer what two parsers would read differently: the client gets
//! a 502 or a body that visibly breaks off, and the connection is never used again.

use std::sync::{Arc, Mutex, PoisonError};

use http::Method;

use crate::support::client::{Client, Protocol, request};
use crate::support::gateway::Gateway;
use crate::support::socket::{send, try_get};
use crate::support::upstream::{Upstream, read_head};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// 200 with the body `ok`.
    Whole,
    /// The same; the upstream then closes, for that is the end of the body.
    WholeAtClose,
    /// 204 and nothing else, whatever it announces; the connection is not used again.
    Bodiless,
    /// Nothing of it passes.
    Refused,
    /// The head may have passed; the body never looks complete.
    Broken,
    /// It passes, and what stands behind it does not.
    Cut,
}
use Verdict::{Bodiless, Broken, Cut, Refused, Whole, WholeAtClose};

const ANSWERS: &[(&str, &str, Verdict)] = &[
    ("a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Whole),
    (
        "one chunk",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Whole,
    ),
    (
        "chunks with extensions",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1;a=b\r\no\r\n01;c\r\nk\r\n0;d\r\n\r\n",
        Whole,
    ),
    (
        "a trailer",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
        Whole,
    ),
    ("no reason and no space for it", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", Whole),
    ("a reason of several words", "HTTP/1.1 200 All is well\r\nContent-Length: 2\r\n\r\nok", Whole),
    (
        "an interim response first",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Whole,
    ),
    (
        "obs-text in a value",
        "HTTP/1.1 200 OK\r\nX-Name: caf\u{e9}\r\nContent-Length: 2\r\n\r\nok",
        Whole,
    ),
    ("the end of the connection", "HTTP/1.1 200 OK\r\n\r\nok", WholeAtClose),
    ("HTTP/1.0 and the end of the connection", "HTTP/1.0 200 OK\r\n\r\nok", WholeAtClose),
    // The first line.
    ("HTTP/0.9", "ok\r\n\r\n", Refused),
    ("an unknown version", "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("HTTP/2 in an HTTP/1 line", "HTTP/2 200\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a lower-case protocol", "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("two spaces before the status", "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a tab before the status", "HTTP/1.1\t200 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a signed status", "HTTP/1.1 +20 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a status of letters", "HTTP/1.1 2xx OK\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a status below 100", "HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a status above 599", "HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a NUL in the reason", "HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("an empty line first", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a space first", " HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Refused),
    // Lines and fields.
    ("bare LF line ends", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", Refused),
    ("a bare LF behind the status line", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok", Refused),
    ("a bare LF behind a field", "HTTP/1.1 200 OK\r\nX: a\nContent-Length: 2\r\n\r\nok", Refused),
    ("a bare CR in a value", "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a bare CR as a line end", "HTTP/1.1 200 OK\rContent-Length: 2\r\n\r\nok", Refused),
    ("a NUL in a value", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a NUL in a name", "HTTP/1.1 200 OK\r\nX\0Y: a\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a DEL in a value", "HTTP/1.1 200 OK\r\nX: a\x7fb\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("an empty name", "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", Refused),
    ("a space in a name", "HTTP/1.1 200 OK\r\nX Y: a\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a line without a colon", "HTTP/1.1 200 OK\r\nX\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok", Refused),
    ("a folded length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nok", Refused),
    (
        "white space before the first field",
        "HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 2\r\n\r\nok",
        Refused,
    ),
    // Two lengths.
    ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", Refused),
    (
        "one length twice",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        Refused,
    ),
    ("a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", Refused),
    ("a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", Refused),
    ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", Refused),
    ("a hexadecimal length", "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok", Refused),
    ("an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok", Refused),
    (
        "an overflowing length",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok",
        Refused,
    ),
    (
        "length and coding",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Refused,
    ),
    (
        "coding and length",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Refused,
    ),
    ("another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", Refused),
    (
        "two codings",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Refused,
    ),
    (
        "chunked twice",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Refused,
    ),
    (
        "chunked in a list",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: ,chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Refused,
    ),
    (
        "chunked with a tail",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Refused,
    ),
    (
        "identity",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok",
        Refused,
    ),
    (
        "chunked in HTTP/1.0",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Refused,
    ),
    // 204 ends with its head (RFC 9112 6.3), whatever it says.
    ("a length on 204", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", Bodiless),
    ("a body on 204", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", Bodiless),
    (
        "a coding on 204",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Bodiless,
    ),
    (
        "another answer in the body of 204",
        "HTTP/1.1 204 No Content\r\nContent-Length: 46\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
        Bodiless,
    ),
    (
        "two lengths on 204",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nContent-Length: 2\r\n\r\n",
        Refused,
    ),
    (
        "a length on an interim response",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Refused,
    ),
    (
        "a switch nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nok",
        Refused,
    ),
    // Bodies.
    (
        "a chunk size of letters",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxy\r\nok\r\n0\r\n\r\n",
        Broken,
    ),
    (
        "a chunk size with 0x",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n",
        Broken,
    ),
    (
        "a signed chunk size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nok\r\n0\r\n\r\n",
        Broken,
    ),
    (
        "a space behind a chunk size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n",
        Whole,
    ),
    (
        "blanks behind chunk sizes",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1     \r\no\r\n1\t ;a\r\nk\r\n0     \r\n\r\n",
        Whole,
    ),
    (
        "a space before a chunk size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 2\r\nok\r\n0\r\n\r\n",
        Broken,
    ),
    (
        "a space within a chunk size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0 2\r\nok\r\n0\r\n\r\n",
        Broken,
    ),
    (
        "an empty chunk size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nok\r\n0\r\n\r\n",
        Broken,
    ),
    (
        "an overflowing chunk size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n",
        Broken,
    ),
    (
        "a bare LF behind a chunk size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n",
        Broken,
    ),
    (
        "a bare LF in an extension",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a\nok\r\n0\r\n\r\n",
        Broken,
    ),
    (
        "no line end behind a chunk",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok0\r\n\r\n",
        Broken,
    ),
    (
        "a chunk longer than its size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n",
        Broken,
    ),
    (
        "a trailer with a length",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 2\r\n\r\n",
        Broken,
    ),
    (
        "a folded trailer",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: a\r\n b\r\n\r\n",
        Broken,
    ),
    (
        "a bare LF behind a trailer",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: a\n\r\n",
        Broken,
    ),
    // What stands behind an answer is nobody's.
    (
        "a second answer",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
        Cut,
    ),
    ("more than announced", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", Cut),
    (
        "bytes behind the last chunk",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
        Cut,
    ),
    ("an empty line behind it", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n", Cut),
];

/// Which connection of the upstream each request came on.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<(usize, Vec<usize>)>>);

impl Journal {
    fn connected(&self) -> usize {
        let mut journal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        journal.0 += 1;
        journal.0
    }

    fn asked(&self, connection: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.push(connection);
    }

    fn last(&self) -> usize {
        let journal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *journal.1.last().expect("something was asked")
    }
}

/// Answers `/open/N` with the Nth answer and all else well, on connections that it
/// keeps open.
async fn upstream(journal: Journal) -> Upstream {
    Upstream::raw(move |mut wire| {
        let journal = journal.clone();
        async move {
            let connection = journal.connected();
            while let Some(head) = read_head(&mut wire).await {
                journal.asked(connection);
                let target = head.split(' ').nth(1).unwrap_or_default();
                let number = target.strip_prefix("/open/").and_then(|n| n.parse::<usize>().ok());
                let (_, answer, verdict) = number.map_or(ANSWERS[0], |number| ANSWERS[number]);
                // One byte each, as a server of old tables would write `é`.
                let bytes: Vec<u8> = answer.chars().map(|letter| letter as u8).collect();
                send(&mut wire, &bytes).await;
                if verdict == WholeAtClose {
                    return;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_answer_that_can_be_read_in_two_ways_is_nobodys() {
    let journal = Journal::default();
    let upstream = upstream(journal.clone()).await;
    let config = format!("{}[limits]\nrequests_per_second = 100000\n", upstream.routes());
    let gateway = Gateway::start(&config).await;
    for (number, (name, answer, verdict)) in ANSWERS.iter().enumerate() {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let got = try_get(&gateway, protocol, &format!("/open/{number}")).await;
            let asked_on = journal.last();
            match (verdict, got) {
                (Whole | WholeAtClose | Cut, Ok(got)) => {
                    assert_eq!(
                        (got.status.as_u16(), &*got.body),
                        (200, b"ok".as_slice()),
                        "{name}"
                    );
                }
                (Bodiless, Ok(got)) => {
                    assert_eq!((got.status.as_u16(), &*got.body), (204, b"".as_slice()), "{name}");
                    assert!(!got.headers.contains_key("content-length"), "{name}: {got:?}");
                    assert!(!got.headers.contains_key("transfer-encoding"), "{name}: {got:?}");
                }
                (Refused | Broken, Ok(got)) => assert_eq!(got.status, 502, "{name}: {answer:?}"),
                (Broken, Err(_)) => {}
                (_, Err(error)) => panic!("{name}: {error}"),
            }
            let next = Client::anonymous(&gateway).get("/open/next").await.expect(200);
            assert_eq!(next.body, "ok", "what follows {name}");
            assert!(*verdict == Whole || journal.last() != asked_on, "{name}: used again");
        }
    }
    let status = gateway.manage(&["status"], None).await;
    let counted =
        status.lines().find(|line| line.starts_with("upstream_faults ")).map(str::to_owned);
    let refused = ANSWERS.iter().filter(|(.., verdict)| *verdict == Refused).count() * 2;
    let counted: usize = counted
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .expect("a counter of bad answers");
    // One of them is counted as an upgrade that nobody asked for.
    assert!(counted >= refused - 2, "{counted} of {refused}");
}

/// The body of an answer to HEAD, or of 304, would be taken for the next answer.
#[tokio::test]
async fn a_body_where_none_can_be_is_not_the_next_answer() {
    let journal = Journal::default();
    let upstream = upstream(journal.clone()).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let client = Client::anonymous(&gateway);
    let head = client.request(request(Method::HEAD, "/open/0")).await.expect(200);
    assert_eq!((head.field("content-length"), &*head.body), ("2", b"".as_slice()));
    let asked_on = journal.last();
    assert_eq!(client.get("/open/next").await.expect(200).body, "ok");
    assert_ne!(journal.last(), asked_on, "the body that came with the HEAD is on that connection");
}

/// Fields are what servers add for caches, policies and cookies; clients send fewer.
#[tokio::test]
async fn an_answer_may_have_so_many_fields_and_no_more() {
    for (fields, status) in [(254, 200), (300, 502)] {
        let lines: Vec<String> = (0..fields).map(|number| format!("X-{number}: a\r\n")).collect();
        let lines = lines.concat();
        let upstream =
            Upstream::saying(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{lines}\r\nok"));
        let upstream = upstream.await;
        let gateway = Gateway::start(&upstream.routes()).await;
        let got = Client::anonymous(&gateway).h2().get("/open").await;
        assert_eq!(got.status, status, "{fields}");
        let passed = got.headers.keys().filter(|name| name.as_str().starts_with("x-"));
        // One more is the gateway's own, the request's id.
        assert_eq!(passed.count(), if status == 200 { fields + 1 } else { 1 });
    }
}
