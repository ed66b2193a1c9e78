//! What every black-box test stands on: a gateway of its own, callers of every kind, and
//! a deadline on everything that is waited for. The gateway is the real binary as a child
//! process, behind real TLS sockets; nothing looks inside.
//!
//! A crate, so that a change of one test compiles the tests of its binary only.
#![expect(clippy::return_self_not_must_use, reason = "tests chain what they build")]
#![expect(clippy::new_without_default, reason = "what is new makes files or listens")]

pub mod admin;
pub mod backends;
pub mod balancer;
pub mod certificate;
pub mod client;
pub mod dice;
pub mod fault_proxy;
pub mod frames;
pub mod gateway;
pub mod github;
pub mod installation;
pub mod nginx;
pub mod process;
pub mod property;
pub mod raw;
pub mod redis;
pub mod site;
pub mod socket;
pub mod streaming;
pub mod token;
pub mod tunnel;
pub mod upstream;
pub mod websocket;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dice::Dice;

/// Longer than anything takes on a busy machine; reaching it is a failure.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Between two looks at something that no event announces.
const POLL: Duration = Duration::from_millis(20);

/// The build under test. Cargo names it to the tests of its own package, of which this crate
/// is none, and puts it into the directory above theirs.
pub fn portcullis() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a file");
    let built = test.parent().and_then(Path::parent).expect("it lies below the target directory");
    built.join("portcullis")
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The outcome of `event`, which is expected to come.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    within_time(DEADLINE, what, event).await
}

/// As [`within`], for what others' timers decide.
pub async fn within_time<T>(deadline: Duration, what: &str, event: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(deadline, event).await;
    outcome.unwrap_or_else(|_| panic!("waited {deadline:?} in vain for {what}"))
}

/// Asks until there is an answer.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, answered(ask)).await
}

/// Asks on and on until there is an answer.
pub async fn answered<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// An address of 127.0.0.0/8 that nobody else has, so that a server finds its port free
/// after every restart.
pub fn fresh_host() -> IpAddr {
    let [a, b, c, ..] = Dice::any_seed().to_be_bytes();
    Ipv4Addr::new(127, 64 | a, b, c | 1).into()
}
