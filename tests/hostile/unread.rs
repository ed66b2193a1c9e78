//! What nobody reads, answers and uploads: it holds up nothing but itself.

use bytes::Bytes;
use http::Response;

use crate::support::client::{Client, body};
use crate::support::eventually;
use crate::support::frames::{
    CANCEL, DATA, END_STREAM, Http2, INITIAL_WINDOW_SIZE, NO_FLAGS, Outcome, RST_STREAM, SETTINGS,
    WINDOW_UPDATE,
};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Kind, Script, Upstream, text};

use super::Stage;

const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/open")];

/// More than one upstream connection has streams for.
const UNREAD: u32 = 120;
const ON_EACH_CONNECTION: u32 = 60;

/// Was: a place was free again when the library had the answer, whoever read it.
#[tokio::test]
async fn a_request_has_its_place_until_its_answer_is_taken() {
    for limit in ["requests_per_address", "connections_per_address"] {
        let upstream = Upstream::http1(|_| async { text("ok") }).await;
        let stage = Stage::before(upstream, &format!("{limit} = 1\n")).await;
        let somebody = Client::anonymous(&stage.gateway).from_address("192.0.2.7");
        let mut http2 = Http2::connect(&stage.gateway).await;
        let one = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &1_u32.to_be_bytes()].concat();
        http2.send(SETTINGS, NO_FLAGS, 0, &one).await;
        http2.request(1, &[GET, &[("x-forwarded-for", "192.0.2.7")]].concat()).await;
        assert_eq!(http2.outcome(1).await, Outcome::Answered(200));
        assert_eq!(somebody.get("/open").await.status, 429, "{limit}");
        http2.send(WINDOW_UPDATE, NO_FLAGS, 1, &1_u32.to_be_bytes()).await;
        let served = async || (somebody.get("/open").await.status == 200).then_some(());
        eventually("a place", served).await;
    }
}

/// Was: all clients shared the window of one connection, and five answers that nobody
/// read filled it.
#[tokio::test]
async fn answers_that_nobody_reads_do_not_block_an_http2_upstream() {
    for kind in [Kind::H2c, Kind::TlsHttp2] {
        let large = Bytes::from(vec![b'x'; 60 << 20]);
        let upstream = Upstream::http(kind, move |request| {
            let wanted = request.uri().path() == "/open/small";
            let answer = if wanted { text("ok") } else { Response::new(body(large.clone())) };
            async { answer }
        });
        let stage = Stage::before(upstream.await, "").await;
        let mut unread = Vec::new();
        for _ in 0..UNREAD / ON_EACH_CONNECTION {
            let mut http2 = Http2::connect(&stage.gateway).await;
            for number in 0..ON_EACH_CONNECTION {
                http2.request(2 * number + 1, GET).await;
            }
            // Once the last head is there, the others have all that fits.
            http2.outcome(2 * ON_EACH_CONNECTION - 1).await;
            unread.push(http2);
        }
        let somebody_else = Client::anonymous(&stage.gateway);
        for _ in 0..20 {
            somebody_else.get("/open/small").await.expect(200);
        }
    }
}

/// Was: eight uploads that no upstream read filled the window of their connection, and a
/// byte more was against the protocol.
#[tokio::test]
async fn uploads_that_nobody_reads_do_not_block_another() {
    const WINDOW: usize = 128 << 10;
    const POST: &[(&str, &str)] = &[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/open"),
    ];
    let (mut script, handler) = Script::new();
    let busy = Upstream::http1(handler).await;
    let config = format!(
        "{}max_connections = 1\nconnect_timeout = \"60s\"\n\
         [[route]]\npath = \"/open\"\npublic = true\nupstream = \"busy\"\n\
         [[route]]\npath = \"/echo\"\npublic = true\nupstream = \"echo\"\n",
        busy.section("busy")
    );
    let gateway = Gateway::start(&config).await;
    let mut http2 = Http2::connect(&gateway).await;
    http2.request(1, GET).await;
    // As long as this is not answered, nobody else has a connection to the upstream.
    let _exchange = script.next().await;
    let uploads = (1..=20).map(|number| 2 * number + 1);
    for stream in uploads {
        http2.head(stream, POST).await;
        for _ in 0..WINDOW / (16 << 10) {
            http2.send(DATA, NO_FLAGS, stream, &[b'x'; 16 << 10]).await;
        }
    }
    let mut echo = POST.to_vec();
    echo[3] = (":path", "/echo");
    http2.head(101, &echo).await;
    http2.send(DATA, END_STREAM, 101, b"x").await;
    assert_eq!(http2.outcome(101).await, Outcome::Answered(200));
}

#[tokio::test]
async fn only_so_many_requests_of_an_address_are_under_way() {
    let upstream = Upstream::http1(|request| {
        let large = request.uri().path() != "/open/small";
        let answer = if large { Response::new(body(vec![b'x'; 4 << 20])) } else { text("ok") };
        async { answer }
    });
    let config = "requests_per_address = 3\n";
    let stage = Stage::before(upstream.await, config).await;
    let client = Client::anonymous(&stage.gateway);
    let [somebody, somebody_else] =
        ["192.0.2.7", "192.0.2.8"].map(|it| client.clone().from_address(it));
    let mut http2 = Http2::connect(&stage.gateway).await;
    let unread = [GET, &[("x-forwarded-for", "192.0.2.7")]].concat();
    for stream in [1, 3, 5] {
        http2.request(stream, &unread).await;
        assert_eq!(http2.outcome(stream).await, Outcome::Answered(200));
    }
    let refused = somebody.get("/open/small").await;
    assert_eq!(refused.field("retry-after"), "1");
    refused.refused(429, "TOO_MANY_REQUESTS");
    somebody_else.get("/open/small").await.expect(200);
    // Who all come through the proxy unnamed are not one.
    for stream in [7, 9, 11, 13] {
        http2.request(stream, GET).await;
        assert_eq!(http2.outcome(stream).await, Outcome::Answered(200));
    }
    stage.gateway.counted(&["requests_over_address_limit"], 1).await;
    http2.send(RST_STREAM, NO_FLAGS, 3, &CANCEL.to_be_bytes()).await;
    eventually("a place", async || (somebody.get("/open/small").await.status == 200).then_some(()))
        .await;
}
