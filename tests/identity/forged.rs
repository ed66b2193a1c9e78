//! What callers say about themselves in the gateway's name: none of it arrives.

use http::header::TRAILER;
use http::{HeaderName, Request};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;

use crate::support::client::{Client, basic};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::property;
use crate::support::raw::{RawStream, raw};
use crate::support::streaming::{fields, streaming};
use crate::support::upstream::{Upstream, ok};

use super::{CUSTOM, all_names, identity, identity_names};

/// All forgers come from one address.
const UNLIMITED: &str = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\n";

/// A field line as a caller would forge it.
#[derive(Clone, Debug)]
struct Forged {
    name: String,
    value: String,
}

/// A name in the ways that some server in the world reads as the same name.
fn spellings(name: &str) -> Vec<Forged> {
    let title = || {
        let words = name.split('-').map(|word| word[..1].to_ascii_uppercase() + &word[1..]);
        words.collect::<Vec<_>>().join("-")
    };
    let marked = "!#$%&'*+^`|~".chars().map(|mark| name.replace('-', &mark.to_string()));
    let mut spelled = vec![
        name.to_owned(),
        name.to_ascii_uppercase(),
        title(),
        name.replace('-', "_"),
        name.replace('-', "."),
        name.replacen('-', "_", 1),
        title().replace('-', "_"),
        name.to_ascii_uppercase().replace('-', "."),
    ];
    spelled.extend(marked.filter(|spelled| spelled != name));
    // Each twice: what removes one line of a name must remove the other as well.
    let forge = |name: &String| Forged { name: name.clone(), value: "mallory".to_owned() };
    spelled.iter().chain(&spelled).map(forge).collect()
}

fn lines(forged: &[Forged]) -> String {
    let lines = forged.iter().map(|Forged { name, value }| format!("{name}: {value}\r\n"));
    lines.collect::<Vec<_>>().concat()
}

fn names_the_admin(identity: &[(String, String)]) -> bool {
    identity.iter().any(|(name, value)| name == "x-portcullis-username" && value == ADMIN)
}

/// A gateway whose upstream is told the truth, and what the truth is.
struct Stage {
    upstream: Upstream,
    gateway: Gateway,
    truth: Vec<(String, String)>,
}

impl Stage {
    async fn start() -> Self {
        let upstream = Upstream::http1(ok).await;
        let gateway = Gateway::start(&(upstream.routes() + UNLIMITED)).await;
        Client::admin(&gateway).get("/").await.expect(200);
        let truth = identity(&upstream.next_request().await.headers);
        assert!(names_the_admin(&truth), "{truth:?}");
        Self { upstream, gateway, truth }
    }

    async fn check_next_request(&self, truth: &[(String, String)], forged: &[Forged]) {
        let received = self.upstream.next_request().await;
        assert_eq!(identity(&received.headers), truth, "{forged:?}");
        assert_eq!(identity(&received.trailers), [], "{forged:?}");
        assert_eq!(received.field("x-honest"), Some("1"), "other fields pass");
    }

    /// Over HTTP/1.1 byte for byte, with the forged names nominated in `Connection`
    /// and without.
    async fn check_http1(&self, stream: &mut RawStream, forged: &[Forged]) {
        let lines = lines(forged);
        let names: Vec<&str> = forged.iter().map(|forged| forged.name.as_str()).collect();
        let nomination = format!("Connection: {}\r\n", names.join(", "));
        let credential = format!("Authorization: {}\r\n", basic(ADMIN, ADMIN_PASSWORD));
        for nomination in ["", &nomination] {
            let forgery = format!("Host: localhost\r\nX-Honest: 1\r\n{nomination}{lines}\r\n");
            stream.send(format!("GET / HTTP/1.1\r\n{credential}{forgery}")).await;
            stream.read_response().await.expect(200);
            self.check_next_request(&self.truth, forged).await;
            stream.send(format!("GET /open HTTP/1.1\r\n{forgery}")).await;
            stream.read_response().await.expect(200);
            self.check_next_request(&[], forged).await;
        }
    }

    async fn check_http2(&self, forged: &[Forged]) {
        let with_forgery = |client: Client| {
            let client = client.h2().with("x-honest", "1");
            forged.iter().fold(client, |client, line| client.with(&line.name, &line.value))
        };
        with_forgery(Client::admin(&self.gateway)).get("/").await.expect(200);
        self.check_next_request(&self.truth, forged).await;
        with_forgery(Client::anonymous(&self.gateway)).get("/open").await.expect(200);
        self.check_next_request(&[], forged).await;
    }
}

#[tokio::test]
async fn an_identity_claimed_over_http1_never_arrives() {
    let stage = Stage::start().await;
    let mut stream = raw(&stage.gateway).await;
    for name in identity_names() {
        stage.check_http1(&mut stream, &spellings(name)).await;
    }
}

#[tokio::test]
async fn an_identity_claimed_over_http2_never_arrives() {
    let stage = Stage::start().await;
    for name in identity_names() {
        stage.check_http2(&spellings(name)).await;
    }
}

#[tokio::test]
async fn an_identity_claimed_under_names_of_one_s_own_never_arrives() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&(upstream.routes() + &CUSTOM.config())).await;
    for name in all_names() {
        let client = spellings(name)
            .iter()
            .fold(Client::anonymous(&gateway), |client, line| client.with(&line.name, &line.value));
        client.get("/open").await.expect(200);
        assert_eq!(identity(&upstream.next_request().await.headers), [], "{name}");
    }
}

#[tokio::test]
async fn an_identity_claimed_with_a_websocket_handshake_never_arrives() {
    let upstream = Upstream::websocket().await;
    let gateway = Gateway::start(&(upstream.routes() + UNLIMITED)).await;
    let received_with = async |request_line: &str, lines: &str| {
        let mut stream = raw(&gateway).await;
        stream
            .send(format!(
                "{request_line} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
            ))
            .await;
        stream.read_response().await.expect(101);
        identity(&upstream.next_request().await.headers)
    };
    let credential = format!("Authorization: {}\r\n", basic(ADMIN, ADMIN_PASSWORD));
    let honest = format!("{credential}Connection: Upgrade\r\n");
    let truth = received_with("GET /", &honest).await;
    assert!(names_the_admin(&truth), "{truth:?}");
    for name in identity_names() {
        let nomination = format!("Connection: Upgrade, {name}\r\n");
        let forged = nomination + &lines(&spellings(name));
        let received = received_with("GET /", &(credential.clone() + &forged)).await;
        assert_eq!(received, truth, "{name}");
        assert_eq!(received_with("GET /open", &forged).await, [], "{name}");
    }
}

#[tokio::test]
async fn an_identity_claimed_in_trailers_never_arrives() {
    let stage = Stage::start().await;
    let mut stream = raw(&stage.gateway).await;
    for name in identity_names() {
        for Forged { name, value } in spellings(name) {
            stream
                .send(format!(
                    "POST /open HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
                     Trailer: x-sum, {name}\r\n\r\n\
                     4\r\nbody\r\n0\r\n{name}: {value}\r\nx-sum: 9\r\n\r\n"
                ))
                .await;
            stream.read_response().await.expect(200);
            let received = stage.upstream.next_request().await;
            assert_eq!(identity(&received.headers), []);
            assert_eq!(received.trailers, fields(&[("x-sum", "9")]), "{name}");
        }
        let (pieces, body) = streaming();
        let upload = Request::post("/open").header(TRAILER, name).body(body).expect("a request");
        let client = Client::anonymous(&stage.gateway).h2();
        let (answer, ()) = tokio::join!(client.request(upload), async {
            pieces.data("body").await;
            let mut trailers = fields(&[("x-sum", "9")]);
            trailers.insert(name, "mallory".parse().expect("a value"));
            pieces.trailers(trailers).await;
        });
        answer.expect(200);
        let received = stage.upstream.next_request().await;
        assert_eq!(identity(&received.trailers), [], "{name}");
    }
}

/// How a forged field travels.
#[derive(Clone, Copy, Debug)]
enum Way {
    Http1,
    /// Named in `Connection`, as if it were no more than a matter of this hop.
    Nominated,
    Trailers,
    Http2,
    Http2Trailers,
    WebSocket,
    NominatedWebSocket,
}
use Way::{Http1, Http2, Http2Trailers, Nominated, NominatedWebSocket, Trailers, WebSocket};

#[derive(Clone, Debug)]
struct Attempt {
    way: Way,
    public: bool,
    forged: Vec<Forged>,
}

/// A name with its case and its separators left to chance, and a value that is hard
/// to overlook.
fn any_spelling() -> impl Strategy<Value = Forged> {
    select(identity_names().collect::<Vec<_>>()).prop_flat_map(|name| {
        let separators = vec(select(vec!['-', '_', '.']), name.len());
        let capitals = vec(any::<bool>(), name.len());
        (Just(name), separators, capitals, "[a-z]{1,8}").prop_map(
            |(name, separators, capitals, value)| {
                let spelled = name.chars().zip(separators).zip(capitals).map(
                    |((letter, separator), capital)| match letter {
                        '-' => separator,
                        letter if capital => letter.to_ascii_uppercase(),
                        letter => letter,
                    },
                );
                Forged { name: spelled.collect(), value }
            },
        )
    })
}

fn any_attempt() -> impl Strategy<Value = Attempt> {
    let ways = [Http1, Nominated, Trailers, Http2, Http2Trailers, WebSocket, NominatedWebSocket];
    // Every name once in a while twice: what removes one line must remove the other.
    let forged = vec(any_spelling(), 1..12).prop_flat_map(|lines| {
        let twice = vec(any::<bool>(), lines.len());
        (Just(lines), twice).prop_map(|(lines, twice)| {
            let again = lines.iter().zip(twice).filter(|(_, twice)| *twice);
            let again: Vec<Forged> = again.map(|(line, _)| line.clone()).collect();
            [lines, again].concat()
        })
    });
    (select(ways.to_vec()), any::<bool>(), forged).prop_map(|(way, public, forged)| Attempt {
        way,
        public,
        forged,
    })
}

/// Two upstreams, one of them for WebSockets, and the truth both are told.
struct Upstreams {
    stage: Stage,
    sockets: Upstream,
    gateway: Gateway,
}

impl Upstreams {
    async fn start() -> Self {
        let stage = Stage::start().await;
        let sockets = Upstream::websocket().await;
        let routes = "[[route]]\npath = \"/socket\"\nupstream = \"sockets\"\n\
                      [[route]]\npath = \"/open/socket\"\npublic = true\nupstream = \"sockets\"\n";
        let config = stage.upstream.routes() + &sockets.section("sockets") + routes + UNLIMITED;
        Self { gateway: Gateway::start(&config).await, stage, sockets }
    }

    async fn check(&self, attempt: Attempt) {
        let Attempt { way, public, forged } = &attempt;
        match way {
            Http2 | Http2Trailers => self.send_http2(&attempt).await,
            _ => self.send_http1(&attempt).await,
        }
        let upstream = match way {
            WebSocket | NominatedWebSocket => &self.sockets,
            _ => &self.stage.upstream,
        };
        let received = upstream.next_request().await;
        let truth = if *public { &[][..] } else { &self.stage.truth[..] };
        let told = identity(&received.headers);
        let known = |name: &str| truth.iter().any(|(truth, _)| truth == name);
        assert!(told.iter().all(|(name, _)| known(name)), "{forged:?} became {told:?}");
        let values = |fields: &[(String, String)]| -> Vec<_> {
            // Accounts have ids of their own at each gateway.
            let same = fields.iter().filter(|(name, _)| name != "x-portcullis-user-id");
            same.cloned().collect()
        };
        assert_eq!((told.len(), values(&told)), (truth.len(), values(truth)), "{forged:?}");
        assert_eq!(identity(&received.trailers), [], "{forged:?}");
        assert_eq!(received.field("x-honest"), Some("1"), "other fields pass");
    }

    async fn send_http1(&self, Attempt { way, public, forged }: &Attempt) {
        let credential = match public {
            true => String::new(),
            false => format!("Authorization: {}\r\n", basic(ADMIN, ADMIN_PASSWORD)),
        };
        let names: Vec<&str> = forged.iter().map(|forged| forged.name.as_str()).collect();
        let names = names.join(", ");
        let lines = lines(forged);
        let open = if *public { "/open" } else { "" };
        let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let (line, rest, status) = match way {
            Nominated => {
                let nomination = format!("Connection: Authorization, {names}\r\n");
                (format!("GET {open}/"), format!("{nomination}{lines}\r\n"), 200)
            }
            Trailers => {
                let head = format!("Transfer-Encoding: chunked\r\nTrailer: {names}\r\n");
                let body = format!("4\r\nbody\r\n0\r\n{lines}\r\n");
                (format!("POST {open}/"), format!("{head}\r\n{body}"), 200)
            }
            WebSocket => {
                let connection = "Connection: Upgrade\r\n";
                (format!("GET {open}/socket"), format!("{connection}{upgrade}{lines}\r\n"), 101)
            }
            NominatedWebSocket => {
                let nomination = format!("Connection: Upgrade, {names}\r\n");
                (format!("GET {open}/socket"), format!("{nomination}{upgrade}{lines}\r\n"), 101)
            }
            _ => (format!("GET {open}/"), format!("{lines}\r\n"), 200),
        };
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nX-Honest: 1\r\n");
        let mut stream = raw(&self.gateway).await;
        stream.send(format!("{head}{credential}{rest}")).await;
        stream.read_response().await.expect(status);
    }

    async fn send_http2(&self, Attempt { way, public, forged }: &Attempt) {
        let client = match public {
            true => Client::anonymous(&self.gateway),
            false => Client::admin(&self.gateway),
        };
        let client = client.h2().with("x-honest", "1");
        let path = if *public { "/open" } else { "/" };
        if let Http2Trailers = way {
            let (pieces, body) = streaming();
            let upload = Request::post(path).body(body).expect("a request");
            let trailers = forged.iter().map(|Forged { name, value }| {
                let name: HeaderName = name.parse().expect("a name");
                (name, value.parse().expect("a value"))
            });
            let (answer, ()) = tokio::join!(client.request(upload), async {
                pieces.data("body").await;
                pieces.trailers(trailers.collect()).await;
            });
            answer.expect(200);
        } else {
            let forging = |client: Client, line: &Forged| client.with(&line.name, &line.value);
            forged.iter().fold(client, forging).get(path).await.expect(200);
        }
    }
}

#[test]
fn no_spelling_on_any_way_makes_an_identity_arrive() {
    property::check(64, &any_attempt(), Upstreams::start(), Upstreams::check);
}
