//! HTTP/2 upstreams that end their connections, and requests they have not looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Method, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client::{Body, Client, Protocol, body, request};
use crate::support::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, NO_ERROR, NO_FLAGS, PROTOCOL_ERROR,
    RST_STREAM, SETTINGS,
};
use crate::support::gateway::Gateway;
use crate::support::nginx::Nginx;
use crate::support::upstream::{Upstream, Wire};
use crate::support::within;

use super::public_route;

const REFUSED_STREAM: u32 = 0x7;
/// The longest an HTTP/2 connection begins with (RFC 9113 3.4).
const PREFACE_BYTES: usize = 24;
/// `:status: 200`, as the static table has it.
const OK: &[u8] = &[0x88];

/// What becomes of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Answered,
    /// GOAWAY with an error, for which this stream was not looked at.
    Ignored(u32),
    Refused,
}

/// A server of HTTP/2 by hand: what becomes of each request it gets, in their order, the
/// last of these for all that follow; and after how many bytes of a body it decides.
struct Server {
    fates: &'static [Fate],
    reads: usize,
    seen: Arc<AtomicUsize>,
    bodies: Arc<std::sync::Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    async fn serve(&self, mut wire: Wire<TcpStream>) -> Option<()> {
        let mut preface = [0; PREFACE_BYTES];
        wire.read_exact(&mut preface).await.ok()?;
        self.send(&mut wire, SETTINGS, NO_FLAGS, 0, &[]).await?;
        let (mut body, mut fate, mut last) = (Vec::new(), None, 0_u32);
        loop {
            let (kind, flags, stream, payload) = read_frame(&mut wire).await?;
            match kind {
                SETTINGS if flags & ACK == 0 => {
                    self.send(&mut wire, SETTINGS, ACK, 0, &[]).await?;
                }
                HEADERS => {
                    body.clear();
                    let number = self.seen.fetch_add(1, Ordering::SeqCst);
                    fate = self.fates.get(number).or(self.fates.last()).copied();
                }
                DATA => body.extend(payload),
                _ => continue,
            }
            let ended = flags & END_STREAM != 0;
            if !matches!(kind, HEADERS | DATA) || !(ended || body.len() >= self.reads) {
                continue;
            }
            let Some(decided) = fate.take() else { continue };
            match decided {
                Fate::Answered => {
                    self.bodies.lock().expect("nobody panics").push(body.clone());
                    last = stream;
                    self.send(&mut wire, HEADERS, END_HEADERS | END_STREAM, stream, OK).await?;
                }
                Fate::Refused => {
                    let code = REFUSED_STREAM.to_be_bytes();
                    self.send(&mut wire, RST_STREAM, NO_FLAGS, stream, &code).await?;
                }
                Fate::Ignored(error) => {
                    let payload = [last.to_be_bytes(), error.to_be_bytes()].concat();
                    self.send(&mut wire, GOAWAY, NO_FLAGS, 0, &payload).await?;
                    // Not closed: it would finish what it has begun.
                    let _ = tokio::io::copy(&mut wire, &mut tokio::io::sink()).await;
                    return None;
                }
            }
        }
    }

    async fn send(
        &self,
        wire: &mut Wire<TcpStream>,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> Option<()> {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        wire.write_all(&[&head, payload].concat()).await.ok()
    }
}

async fn read_frame(wire: &mut Wire<TcpStream>) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    wire.read_exact(&mut head).await.ok()?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut payload = vec![0; length];
    wire.read_exact(&mut payload).await.ok()?;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], head[4], stream, payload))
}

/// What was seen of a request: its status, how often it was sent, and the bodies that
/// were answered.
struct Outcome {
    status: u16,
    sent: usize,
    bodies: Vec<Vec<u8>>,
}

async fn outcome(fates: &'static [Fate], reads: usize, asked: Request<Body>) -> Outcome {
    let (seen, bodies) = (Arc::<AtomicUsize>::default(), Arc::default());
    let server =
        Arc::new(Server { fates, reads, seen: Arc::clone(&seen), bodies: Arc::clone(&bodies) });
    let upstream = Upstream::raw(move |wire| {
        let server = Arc::clone(&server);
        async move { server.serve(wire).await.unwrap_or_default() }
    })
    .await;
    let section = format!("[upstream.app]\nurl = \"{}\"\nprotocol = \"http2\"\n", upstream.url());
    let gateway = Gateway::start(&public_route(&section, "")).await;
    let status = Client::anonymous(&gateway).request(asked).await.status.as_u16();
    let bodies = bodies.lock().expect("nobody panics").clone();
    Outcome { status, sent: seen.load(Ordering::SeqCst), bodies }
}

fn asking(method: &Method, content: impl Into<bytes::Bytes>) -> Request<Body> {
    let mut request = request(method.clone(), "/");
    *request.body_mut() = body(content);
    request
}

/// Was: 502 for each of them.
#[tokio::test]
async fn a_request_that_was_not_looked_at_is_sent_again_whatever_its_method() {
    const FATES: [&[Fate]; 4] = [
        &[Fate::Ignored(NO_ERROR), Fate::Answered],
        &[Fate::Refused, Fate::Answered],
        &[Fate::Refused, Fate::Ignored(NO_ERROR), Fate::Refused, Fate::Answered],
        &[Fate::Ignored(PROTOCOL_ERROR), Fate::Answered],
    ];
    for fates in FATES {
        for (method, content) in [
            (Method::GET, ""),
            (Method::POST, ""),
            (Method::POST, "hello"),
            (Method::DELETE, ""),
            (Method::PATCH, "hello"),
        ] {
            // The body is whole at the upstream before that decides, or just begun.
            for reads in [usize::MAX, 0] {
                let outcome = outcome(fates, reads, asking(&method, content)).await;
                assert_eq!(outcome.status, 200, "{fates:?} {method} {content:?}");
                assert_eq!(outcome.sent, fates.len(), "{fates:?} {method}");
                if reads == usize::MAX {
                    assert_eq!(outcome.bodies, [content.as_bytes()], "{fates:?} {method}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_was_read_and_is_not_kept_is_not_sent_again() {
    const FATES: &[Fate] = &[Fate::Ignored(NO_ERROR), Fate::Answered];
    let kept = vec![7; 16 << 10];
    let outcome_of =
        async |content: Vec<u8>, reads| outcome(FATES, reads, asking(&Method::POST, content)).await;
    let small = outcome_of(kept.clone(), kept.len()).await;
    assert_eq!((small.status, small.sent, &small.bodies[..]), (200, 2, &[kept][..]));
    let large = outcome_of(vec![7; 20 << 10], 20 << 10).await;
    assert_eq!((large.status, large.sent), (502, 1));
}

#[tokio::test]
async fn an_upstream_that_looks_at_nothing_is_not_asked_without_end() {
    const REFUSING: &[Fate] = &[Fate::Refused];
    const LEAVING: &[Fate] = &[Fate::Ignored(NO_ERROR)];
    const FAILING: &[Fate] = &[Fate::Ignored(PROTOCOL_ERROR)];
    // Of the last the request itself may be the cause.
    for (fates, sent) in [(REFUSING, 5), (LEAVING, 5), (FAILING, 2)] {
        let outcome = outcome(fates, usize::MAX, asking(&Method::POST, "hello")).await;
        assert_eq!((outcome.status, outcome.sent), (502, sent), "{fates:?}");
    }
}

/// Was: 16 of 2,000 requests were answered 502.
#[tokio::test]
async fn no_request_fails_as_nginx_ends_one_connection_after_another() {
    const CLIENTS: usize = 20;
    const EACH: usize = 100;
    let nginx = Nginx::start("keepalive_requests 50;\nlocation / { return 200 $protocol; }").await;
    let limits = "[limits]\nrequests_per_second = 100000\nburst = 100000\n";
    let gateway =
        Gateway::start(&(limits.to_owned() + &public_route(&nginx.section("app"), ""))).await;
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let protocol = if number % 2 == 0 { Protocol::Http1 } else { Protocol::Http2 };
        let client = Client::anonymous(&gateway).protocol(protocol);
        clients.spawn(async move {
            let mut connection = client.connect().await;
            for turn in 0..EACH {
                let method = [Method::GET, Method::POST, Method::DELETE][turn % 3].clone();
                let content = if method == Method::POST { "hello" } else { "" };
                let answer = connection.send(asking(&method, content)).await;
                assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"h2"[..]), "{method}");
            }
        });
    }
    let all = crate::support::within_time(std::time::Duration::from_secs(60), "all", async {
        while let Some(ended) = clients.join_next().await {
            ended.expect("every request is answered");
        }
    });
    all.await;
    let _ = within("the gateway to answer on", Client::anonymous(&gateway).get("/")).await;
}
