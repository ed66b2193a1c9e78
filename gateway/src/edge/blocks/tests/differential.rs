//! The library behind the gate, and a client with a table of its own: what the gate
//! knows about each path is what was written, however the table was filled and emptied.

use std::collections::VecDeque;
use std::convert::Infallible;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::super::{BlockGate, END_HEADERS, HEADERS};
use super::frame;
use crate::pipeline::message::{FRAGMENT_MARK, UNFIT_MARK};

/// One field more of a request.
#[derive(Debug, Clone)]
enum Step {
    /// Of this name, with a value so long, into the table.
    Insert(u8, usize),
    /// The same, into no table.
    Literal(u8, usize),
    /// Whatever stands at this place of the table, if it is a field.
    Repeat(usize),
}

#[derive(Debug, Clone)]
enum Path {
    Literal(String),
    Insert(String),
    /// One that stands in the table, if there is one.
    Repeat(usize),
}

#[derive(Debug, Clone)]
struct Written {
    limits: Vec<usize>,
    path: Path,
    steps: Vec<Step>,
}

#[derive(Default)]
struct Table {
    entries: VecDeque<(String, String)>,
    limit: usize,
}

impl Table {
    fn shrink(&mut self) {
        let bytes = |table: &Self| -> usize {
            table.entries.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
        };
        while bytes(self) > self.limit {
            self.entries.pop_back();
        }
    }

    fn insert(&mut self, name: &str, value: &str) {
        self.entries.push_front((name.to_owned(), value.to_owned()));
        self.shrink();
    }

    fn find(&self, place: usize, is_path: bool) -> Option<usize> {
        let fits = |(name, _): &(String, String)| (name == ":path") == is_path;
        let places: Vec<_> =
            (0..self.entries.len()).filter(|at| fits(&self.entries[*at])).collect();
        places.get(place % places.len().max(1)).copied()
    }
}

fn integer(out: &mut Vec<u8>, first: u8, prefix: u32, value: usize) {
    let most = (1 << prefix) - 1;
    if value < most {
        out.push(first | u8::try_from(value).unwrap());
        return;
    }
    out.push(first | u8::try_from(most).unwrap());
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(0x80 | u8::try_from(rest & 0x7f).unwrap());
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap());
}

fn string(out: &mut Vec<u8>, text: &str) {
    integer(out, 0, 7, text.len());
    out.extend(text.as_bytes());
}

/// The block, and the path that it says.
fn write(table: &mut Table, written: &Written) -> (Vec<u8>, String) {
    let mut block = Vec::new();
    for limit in &written.limits {
        integer(&mut block, 0x20, 5, *limit);
        table.limit = *limit;
        table.shrink();
    }
    // GET, https.
    block.extend([0x82, 0x87]);
    let insert = |block: &mut Vec<u8>, table: &mut Table, name: &str, value: &str| {
        block.push(0x40);
        string(block, name);
        string(block, value);
        table.insert(name, value);
    };
    let path = match &written.path {
        Path::Repeat(place) if table.find(*place, true).is_some() => {
            let at = table.find(*place, true).unwrap();
            integer(&mut block, 0x80, 7, 62 + at);
            table.entries[at].1.clone()
        }
        Path::Repeat(_) => {
            block.push(0x84);
            "/".to_owned()
        }
        Path::Literal(path) => {
            integer(&mut block, 0, 4, 4);
            string(&mut block, path);
            path.clone()
        }
        Path::Insert(path) => {
            insert(&mut block, table, ":path", path);
            path.clone()
        }
    };
    for step in &written.steps {
        match step {
            Step::Insert(name, length) => {
                insert(&mut block, table, &format!("x-{name}"), &"#".repeat(*length));
            }
            Step::Literal(name, length) => {
                block.push(0x10);
                string(&mut block, &format!("x-{name}"));
                string(&mut block, &"#".repeat(*length));
            }
            Step::Repeat(place) => {
                if let Some(at) = table.find(*place, false) {
                    integer(&mut block, 0x80, 7, 62 + at);
                }
            }
        }
    }
    (block, path)
}

/// The path, and the mark on it.
type Seen = Vec<(String, Option<&'static str>)>;

async fn served(blocks: Vec<Vec<u8>>) -> Seen {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let (note, mut noted) = tokio::sync::mpsc::channel(blocks.len());
    let service = service_fn(move |request: http::Request<Incoming>| {
        let has = |mark: &&str| request.headers().contains_key(*mark);
        let mark = [FRAGMENT_MARK, UNFIT_MARK].into_iter().find(has);
        note.try_send((request.uri().to_string(), mark)).unwrap();
        let answer = http::Response::new(http_body_util::Empty::<bytes::Bytes>::new());
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(1 << 20)
        .serve_connection(TokioIo::new(BlockGate::new(server)), service);
    let serving = tokio::spawn(connection);
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(4, 0, 0, &[]));
    for (number, block) in (0..).zip(&blocks) {
        sent.extend(frame(HEADERS, END_HEADERS | 1, 2 * number + 1, block));
    }
    client.write_all(&sent).await.unwrap();
    let mut seen = Seen::new();
    while seen.len() < blocks.len() {
        // None when the connection has ended.
        let Some(request) = noted.recv().await else { break };
        seen.push(request);
    }
    serving.abort();
    seen
}

/// The gate leaves values that no table keeps to the library alone.
#[test]
fn neither_reads_on_behind_a_value_that_is_no_code() {
    let good = b"\x82\x87\x84\x1f\x08\x81\x1f".to_vec();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let root = ("/".to_owned(), None);
    let seen = runtime.block_on(served(vec![good.clone(), good.clone(), good.clone()]));
    assert_eq!(seen, vec![root.clone(); 3]);
    // An octet of padding, the end itself, padding of zeroes.
    for wrong in [b"\x81\xff".as_slice(), b"\x84\xff\xff\xff\xff", b"\x81\x18"] {
        let bad = [b"\x82\x87\x84\x1f\x08", wrong].concat();
        let seen = runtime.block_on(served(vec![good.clone(), bad, good.clone()]));
        assert!(seen.len() < 2, "{wrong:x?}: {seen:?}");
    }
}

/// Of what the library does not take, in a path and in a query; and no path at all.
const UNFIT: &str = "(/[a-c]{0,200}[<> `\u{1}][a-c#]{0,9}|/[a-c]{0,9}\\?[a-c\u{e9}]{0,9}[<>\" ][a-c]{0,9}|[a-c]{1,9})";

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        "/[a-c]{0,60}",
        "/[a-c]{0,9}#[a-c]{0,60}",
        "/[a-c]{0,9}\\?[a-c#]{0,9}",
        "/[a-c]{0,9}\\?[a-c|{}^`\u{e9}]{0,9}",
        UNFIT,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_gate_reads_every_path_that_the_library_reads(
        requests in proptest::collection::vec(
            (
                proptest::collection::vec(prop_oneof![0_usize..200, 0_usize..=4096], 0..2),
                prop_oneof![
                    path().prop_map(Path::Literal),
                    path().prop_map(Path::Insert),
                    (0_usize..9).prop_map(Path::Repeat)
                ],
                proptest::collection::vec(
                    prop_oneof![
                        (0_u8..4, 0_usize..700).prop_map(|(name, length)| Step::Insert(name, length)),
                        (0_u8..4, 0_usize..700).prop_map(|(name, length)| Step::Literal(name, length)),
                        (0_usize..9).prop_map(Step::Repeat)
                    ],
                    0..6,
                ),
            )
                .prop_map(|(limits, path, steps)| Written { limits, path, steps }),
            1..20,
        ),
    ) {
        let mut table = Table { limit: 4096, ..Table::default() };
        let written: Vec<_> = requests.iter().map(|request| write(&mut table, request)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let seen = runtime.block_on(served(written.iter().map(|(block, _)| block.clone()).collect()));
        let expected: Seen = written
            .into_iter()
            .map(|(_, path)| {
                if http::uri::PathAndQuery::try_from(&*path).is_err() {
                    return ("/".to_owned() + &"_".repeat(path.len() - 1), Some(UNFIT_MARK));
                }
                let cut = path.split('#').next().unwrap_or_default().to_owned();
                (cut, path.contains('#').then_some(FRAGMENT_MARK))
            })
            .collect();
        prop_assert_eq!(seen, expected);
    }
}
