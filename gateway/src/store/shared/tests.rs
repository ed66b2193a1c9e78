//! The shared engine: the common suite on a real server, and what only several
//! replicas can show.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::*;
use crate::crypto::entropy::SystemEntropy;
use crate::store::conformance::{Engine as Suite, TOKEN_TTL, conformance};

/// A server for all tests of this process; each test has a prefix of its own.
struct Server {
    port: u16,
    /// When this process is gone its end of the pipe is, and the server follows.
    _process: Child,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("sh")
            .args(["-c", "redis-server \"$@\" & cat; kill -9 $!", "sh"])
            .args(["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("there is a shell");
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Server { port, _process: process }
    })
}

fn settings(prefix: &str) -> Settings {
    let address = Address { host: "127.0.0.1".to_owned(), port: server().port };
    Settings {
        topology: Topology::Single(address),
        tls: None,
        username: None,
        password: None,
        database: 0,
        prefix: prefix.to_owned(),
        durability: Durability::Fast,
        timeout: Duration::from_secs(5),
        token_ttl: TOKEN_TTL,
    }
}

async fn replica(prefix: &str) -> Suite {
    let standing = Arc::new(Standing::default());
    let entropy = Arc::new(SystemEntropy::default());
    let store = SharedStore::open(settings(prefix), Arc::clone(&standing), entropy).await.unwrap();
    assert_eq!(store.engine.health().state, StoreState::Live);
    Suite { store: Arc::new(store), standing }
}

fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn on_redis() -> Suite {
    tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(async { replica(&prefix()).await })
    })
}

conformance!(on_redis);
