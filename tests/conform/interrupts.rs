//! A run that does not come to its end leaves nothing behind for long.

use std::sync::Arc;

use rustix::process::Signal;
use serde_json::json;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::within;

use super::liar::{Hold, Liar, Lie};
use super::{ADMIN_OF_CALLERS, ALL_HELD, CANNOT_RUN, QUICK, conform, shipped, whole};

const LISTS: [&str; 4] = ["users", "servers", "workspaces", "keys"];

/// What of a run is still there.
async fn left(admin: &Client) -> Vec<String> {
    let mut left = Vec::new();
    for list in LISTS {
        let found = admin.get(&format!("/api/admin/{list}")).await.expect(200).json();
        let items = found["items"].as_array().expect("a list").clone();
        let ours = items.iter().filter(|item| item.to_string().contains("conform"));
        left.extend(ours.map(ToString::to_string));
    }
    left
}

#[tokio::test]
async fn an_interrupted_run_removes_what_it_has_made() {
    let gateway = Gateway::start(&shipped(&[QUICK, ADMIN_OF_CALLERS])).await;
    for signal in [Signal::INT, Signal::TERM] {
        let run = conform(&gateway, gateway.address(), &[]);
        let begun = run.stdout.find(|lines| (lines.len() > 3).then_some(()));
        within("the first verdicts", begun).await.expect("it runs");
        run.signal(signal);
        let ended = whole(run).await;
        assert_eq!(ended.status.code(), CANNOT_RUN, "{ended:?}");
        assert!(ended.stderr.contains("interrupted"), "{ended:?}");
        assert_eq!(left(&Client::admin(&gateway)).await, Vec::<String>::new());
    }
}

/// Was: an account whose creation was under way came after the removal of the others.
#[tokio::test]
async fn an_interrupt_does_not_overtake_what_is_being_made() {
    let gateway = Gateway::start(&shipped(&[QUICK, ADMIN_OF_CALLERS])).await;
    for (made, only) in [
        ("POST /api/admin/users", "S1-02"),
        ("POST /api/admin/servers", "S0-15"),
        ("POST /api/admin/workspaces", "S2-22"),
        ("POST /api/auth/register", "S2-10"),
    ] {
        let hold = Arc::new(Hold::default());
        let liar = Liar::start(&gateway, made, Lie::Held(Arc::clone(&hold))).await;
        let run = conform(&gateway, liar.address, &["--only", only]);
        within("the request", hold.arrived.notified()).await;
        run.signal(Signal::INT);
        hold.released.notify_one();
        let ended = whole(run).await;
        assert_eq!(ended.status.code(), CANNOT_RUN, "{made}: {ended:?}");
        assert_eq!(left(&Client::admin(&gateway)).await, Vec::<String>::new(), "{made}");
    }
}

/// Nobody can clean up after SIGKILL but the next run.
#[tokio::test]
async fn a_run_removes_what_a_killed_one_has_left() {
    let gateway = Gateway::start(&shipped(&[QUICK, ADMIN_OF_CALLERS])).await;
    let admin = Client::admin(&gateway);
    let made = async |name: &str| {
        let user = json!({ "username": name, "password": "a password of theirs" });
        let user = admin.post_json("/api/admin/users", &user).await.expect(201).json();
        let key = json!({ "owner": user["id"], "name": name });
        admin.post_json("/api/admin/keys", &key).await.expect(201);
        for list in ["servers", "workspaces"] {
            let path = format!("/api/admin/{list}");
            admin.post_json(&path, &json!({ "name": name })).await.expect(201);
        }
    };
    // A run of long ago, one that may still be under way, and what is none of ours.
    let now = jiff::Timestamp::now().as_second();
    let running = format!("conform-{now:08x}-0a0b0c0d-1");
    made("conform-60000000-0a0b0c0d-1").await;
    made(&running).await;
    made("conform-team").await;
    let run = conform(&gateway, gateway.address(), &["--only", "S1-08"]);
    assert_eq!(whole(run).await.status.code(), ALL_HELD);
    let left = left(&admin).await;
    let of = |name: &str| left.iter().filter(|item| item.contains(name)).count();
    assert_eq!((of(&running), of("conform-team")), (LISTS.len(), LISTS.len()), "{left:#?}");
    assert_eq!(left.len(), 2 * LISTS.len(), "{left:#?}");
}

/// The administrator's own sign-in is no exception.
#[tokio::test]
async fn no_session_of_a_run_is_left_open() {
    let gateway = Gateway::start(&shipped(&[QUICK, ADMIN_OF_CALLERS])).await;
    let run = conform(&gateway, gateway.address(), &["--only", "S1-08"]);
    assert_eq!(whole(run).await.status.code(), ALL_HELD);
    let sessions = Client::admin(&gateway).get("/api/admin/sessions").await.expect(200).json();
    assert_eq!(sessions["items"], json!([]));
}
