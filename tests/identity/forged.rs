//! What callers say about themselves in the gateway's name: none of it arrives.

use http::Request;
use http::header::TRAILER;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::support::client::{Client, basic};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
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
    let spelled = [
        name.to_owned(),
        name.to_ascii_uppercase(),
        title(),
        name.replace('-', "_"),
        name.replace('-', "."),
        name.replacen('-', "_", 1),
        title().replace('-', "_"),
        name.to_ascii_uppercase().replace('-', "."),
    ];
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

#[test]
fn no_spelling_at_all_makes_an_identity_arrive() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let stage = runtime.block_on(Stage::start());
    let config =
        Config { cases: 24, max_shrink_iters: 64, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&vec(any_spelling(), 1..12), |forged| {
        runtime.block_on(async {
            let mut stream = raw(&stage.gateway).await;
            stage.check_http1(&mut stream, &forged).await;
            stage.check_http2(&forged).await;
        });
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
