//! A defect in the handling of a request: what its client and the log see of it.

use std::sync::atomic::AtomicU64;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::auth::error::Refusal;
use crate::auth::ports::TokenSigner;
use crate::auth::tests::{Counting, SetClock, parts_over};
use crate::auth::token::Claims;
use crate::auth::{Core, Ports};
use crate::config::{ProxyProtocol, Transport};
use crate::edge::accept::{self, Listening};
use crate::edge::certificates::no_certificate;
use crate::edge::service::Edge;
use crate::telemetry::log::Style;

/// Panics at every token.
struct Defective(Arc<dyn TokenSigner>);

impl TokenSigner for Defective {
    fn sign(&self, claims: &Claims) -> String {
        self.0.sign(claims)
    }

    fn open(&self, _: &str) -> Result<Claims, Refusal> {
        panic!("a defect")
    }

    fn may_be_from(&self, issuer: &str, token: &str) -> bool {
        self.0.may_be_from(issuer, token)
    }

    fn digest(&self, bytes: &[u8]) -> [u8; 32] {
        self.0.digest(bytes)
    }

    fn keyed_digest(&self, key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
        self.0.keyed_digest(key, parts)
    }

    fn seal(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.0.seal(purpose, parts)
    }

    fn is_seal(&self, seal: &[u8; 32], purpose: &str, parts: &[&[u8]]) -> bool {
        self.0.is_seal(seal, purpose, parts)
    }
}

/// Sends a request without a body; the head of its response, in lower case, and its body.
async fn ask(wire: &mut BufReader<TcpStream>, authorization: &str) -> (String, String) {
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nauthorization: {authorization}\r\n\r\n");
    wire.get_mut().write_all(request.as_bytes()).await.unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(wire.read_line(&mut head).await.unwrap() > 0, "closed after {head:?}");
    }
    let head = head.to_ascii_lowercase();
    let length = field(&head, "content-length").parse().unwrap();
    let mut body = vec![0; length];
    wire.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let value = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.unwrap_or_else(|| panic!("no {name} in {head}"))
}

// Was: an empty response without an id, and a line in the log that the client had left.
#[tokio::test]
async fn a_request_whose_handler_panics_is_refused_and_logged_and_others_are_served() {
    let text = "[[route]]\nupstream = \"echo\"\n".to_owned();
    let config =
        load(Sources { file: Some(("config.toml".to_owned(), text)), ..Sources::default() });
    let config = config.unwrap();
    let clock = Arc::new(SetClock(AtomicU64::new(1_800_000_000_000)));
    let (policy, ports) = parts_over(Arc::new(Counting::default()), clock, None);
    let signer = Arc::new(Defective(Arc::clone(&ports.signer)));
    let core = Arc::new(Core::new(policy, Ports { signer, ..ports }));
    let (sink, writing) = Sink::start(Style::Json, std::io::sink(), std::io::sink()).unwrap();
    let site = site(&config, None, no_certificate().unwrap(), None).unwrap();
    let lifecycle = Lifecycle::default();
    let parts = (lifecycle.clone(), sink.clone());
    let gateway = Arc::new(assemble(&config, Arc::clone(&core), site, parts));
    let edge = Edge {
        slots: Slots::unnumbered(),
        lingering: Arc::clone(&gateway.lingering),
        counters: Arc::clone(&gateway.counters),
        lifecycle,
        clock: Arc::clone(core.clock()),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listening = Listening {
        edge: Arc::new(edge),
        service: Arc::clone(&gateway),
        address: address.to_string().into(),
        transport: Transport::Plain,
        proxy_protocol: ProxyProtocol::Off,
    };
    let accepting = tokio::spawn(accept::run(Arc::new(listening), listener));

    let connect = async || BufReader::new(TcpStream::connect(address).await.unwrap());
    let mut wire = connect().await;
    let (head, body) = ask(&mut wire, "Bearer a.b.c").await;
    assert!(head.starts_with("http/1.1 500 "), "{head}");
    assert!(body.contains("INTERNAL"), "{body}");
    // What was left of the request is not known.
    assert_eq!(field(&head, "connection"), "close");
    let id = field(&head, "x-request-id");
    let (next, _) = ask(&mut connect().await, "Basic nobody").await;
    assert!(next.starts_with("http/1.1 401 "), "{next}");

    accepting.abort();
    drop(writing);
    let line = sink.recent().find(id).unwrap();
    assert_eq!((&line["status"], &line["reason"]), (&500.into(), &"internal".into()), "{line}");
    assert_eq!(gateway.counters.panics.value(), 1);
}
