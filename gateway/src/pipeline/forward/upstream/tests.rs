use bytes::Bytes;
use http::HeaderMap;
use http::uri::Authority;
use http_body_util::Empty;
use hyper_util::rt::TokioExecutor;
use tokio::task::AbortHandle;

use super::*;
use crate::auth::ports::Source;
use crate::config::{Target, UpstreamTls};
use crate::pipeline::slots::Holder;

fn request(method: &Method, fields: &[(&'static str, &'static str)]) -> Parts {
    let mut request =
        Request::builder().method(method).uri("https://evil.example/").body(()).unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    request.into_parts().0
}

fn fields(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let mut fields: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    fields.sort_unstable();
    fields
}

const HOST: HeaderValue = HeaderValue::from_static("app.example");

#[test]
fn a_request_without_a_body_says_so_where_one_is_expected() {
    for (method, length) in [
        (Method::GET, None),
        (Method::HEAD, None),
        (Method::OPTIONS, None),
        (Method::DELETE, None),
        (Method::POST, Some("0")),
        (Method::PUT, Some("0")),
        (Method::PATCH, Some("0")),
    ] {
        // What the client said of its framing is never copied.
        let mut parts =
            request(&method, &[("content-length", "7"), ("transfer-encoding", "chunked")]);
        frame_http1(&mut parts, &RequestBody::none(), &HOST, &PathAndQuery::from_static("/a?b"));
        let expected = length.map(|length| ("content-length", length)).into_iter();
        let expected: Vec<_> = expected.chain([("host", "app.example")]).collect();
        assert_eq!(fields(&parts.headers), expected, "{method}");
        assert_eq!((parts.version, parts.uri.to_string()), (Version::HTTP_11, "/a?b".to_owned()));
    }
}

#[test]
fn trailers_are_asked_for_on_this_connection_but_not_beside_a_handshake() {
    let framed = |fields: &[_]| {
        let mut parts = request(&Method::GET, fields);
        frame_http1(&mut parts, &RequestBody::none(), &HOST, &PathAndQuery::from_static("/"));
        parts.headers.get("connection").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(framed(&[]), None);
    assert_eq!(framed(&[("te", "trailers")]).as_deref(), Some("te"));
    let handshake = [("te", "trailers"), ("upgrade", "websocket"), ("connection", "Upgrade")];
    assert_eq!(framed(&handshake).as_deref(), Some("Upgrade"));
}

/// A connection of the other kind may have turned out closed before.
#[test]
fn over_http2_nothing_is_left_of_the_framing_of_http1() {
    let mut parts = request(&Method::POST, &[("te", "trailers"), ("x-kept", "1")]);
    frame_http1(&mut parts, &RequestBody::none(), &HOST, &PathAndQuery::from_static("/a?b"));
    frame_http2(&mut parts, &HOST, "https", &PathAndQuery::from_static("/a?b")).unwrap();
    assert_eq!(fields(&parts.headers), [("te", "trailers"), ("x-kept", "1")]);
    assert_eq!(parts.version, Version::HTTP_2);
    assert_eq!(parts.uri.to_string(), "https://app.example/a?b");
}

/// Without a body, too, a request may do something each time it comes.
#[test]
fn only_what_changes_nothing_is_sent_twice() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        assert!(is_repeatable(&method, &RequestBody::none()), "{method}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        assert!(!is_repeatable(&method, &RequestBody::none()), "{method}");
    }
}

const SOMEBODY: Holder = Holder::Address(Source::V4(1));

/// Of at most four connections, that speaks HTTP/2.
fn multiplexing() -> Arc<Upstream> {
    let target = HttpTarget {
        authority: Authority::from_static("app.example"),
        tls: UpstreamTls::Off,
        protocol: UpstreamProtocol::Http2,
    };
    let config = config::Upstream {
        name: "app".to_owned(),
        target: Target::Http(target.clone()),
        host: UpstreamHost::Pass,
        field_names: FieldNames::Strict,
        connect_timeout: Duration::from_millis(10),
        idle_timeout: Duration::from_secs(60),
        max_connections: 4,
        max_connections_per_account: None,
    };
    Arc::new(Upstream::new(&config, target, None))
}

/// What one account gets.
async fn share(upstream: &Upstream) -> usize {
    let mut held = Vec::new();
    while let Ok(place) = upstream.shares.take(SOMEBODY).await {
        held.push(place);
    }
    held.len()
}

/// A connection whose other end allows so many streams; it ends with what is returned.
async fn connect(upstream: &Arc<Upstream>, streams: u32) -> AbortHandle {
    let (near, far) = tokio::io::duplex(1 << 10);
    let service = hyper::service::service_fn(|_| async {
        Ok::<_, std::convert::Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(streams)
        .serve_connection(TokioIo::new(far), service);
    let serving = tokio::spawn(serving).abort_handle();
    let permit = Arc::clone(&upstream.permits).try_acquire_owned().expect("a connection");
    // The lease of the first stream ends here.
    drop(upstream.handshake(near, Need::Any, true, permit).await.expect("a connection"));
    serving
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(Duration::from_secs(10), waiting).await.is_ok(), "{what}");
}

/// Was: the last SETTINGS of any connection counted, and none at all was one.
#[tokio::test]
async fn an_account_s_share_follows_the_connection_that_carries_most() {
    let upstream = multiplexing();
    assert_eq!(share(&upstream).await, 4 * 100 / 2);
    let carried = async |streams: usize| share(&upstream).await == 4 * streams / 2;
    let ten = connect(&upstream, 10).await;
    eventually("ten streams", async || carried(10).await).await;
    let two = connect(&upstream, 2).await;
    let none = connect(&upstream, 0).await;
    let settled = async || {
        let mut allowed: Vec<_> =
            lock(&upstream.shared).iter().map(|one| one.allowed.load(Ordering::Acquire)).collect();
        allowed.sort_unstable();
        allowed == [0, 2, 10]
    };
    eventually("the settings of all", settled).await;
    assert!(carried(10).await);
    ten.abort();
    eventually("those of the others", async || carried(2).await).await;
    two.abort();
    none.abort();
    let ended = async || lock(&upstream.shared).iter().all(|one| one.sender.is_closed());
    eventually("no connection", ended).await;
    assert!(carried(2).await, "until another says more");
}
