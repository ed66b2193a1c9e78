use bytes::Bytes;
use http::Response;
use http::uri::Authority;
use http_body_util::Empty;
use hyper_util::rt::TokioExecutor;
use tokio::task::AbortHandle;

use super::*;
use crate::auth::source::Source;
use crate::config::{FieldNames, Target, UpstreamHost, UpstreamTls};
use crate::slots::Holder;
use crate::upstream::Upstream;

const SOMEBODY: Holder = Holder::Address(Source::V4(1));

/// Of at most four connections, that speaks HTTP/2.
fn multiplexing() -> Upstream {
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
    Upstream::new(&config, target, None)
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
async fn connect(pool: &Arc<Pool>, streams: u32) -> AbortHandle {
    let (near, far) = tokio::io::duplex(1 << 10);
    let service = hyper::service::service_fn(|_| async {
        Ok::<_, std::convert::Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(streams)
        .serve_connection(TokioIo::new(far), service);
    let serving = tokio::spawn(serving).abort_handle();
    let permit = Arc::clone(&pool.permits).try_acquire_owned().expect("a connection");
    // The lease of the first stream ends here.
    drop(pool.handshake(near, Need::Any, true, permit).await.expect("a connection"));
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
    let pool = upstream.endpoints.pick().expect("an endpoint").pool();
    assert_eq!(share(&upstream).await, 4 * 100 / 2);
    let carried = async |streams: usize| share(&upstream).await == 4 * streams / 2;
    let ten = connect(pool, 10).await;
    eventually("ten streams", async || carried(10).await).await;
    let two = connect(pool, 2).await;
    let none = connect(pool, 0).await;
    let settled = async || {
        let mut allowed: Vec<_> =
            lock(&pool.shared).iter().map(|one| one.allowed.load(Ordering::Acquire)).collect();
        allowed.sort_unstable();
        allowed == [0, 2, 10]
    };
    eventually("the settings of all", settled).await;
    assert!(carried(10).await);
    ten.abort();
    eventually("those of the others", async || carried(2).await).await;
    two.abort();
    none.abort();
    let ended = async || lock(&pool.shared).iter().all(|one| one.sender.is_closed());
    eventually("no connection", ended).await;
    assert!(carried(2).await, "until another says more");
}
