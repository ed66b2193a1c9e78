//! Writers at work, SIGKILL at any moment, and a look at everything afterwards.
//!
//! Each writer keeps what was acknowledged and what was under way. What was
//! acknowledged must be found; what was under way is there whole or not at all.

mod accounts;
mod keys;
mod sessions;
mod tickets;

use std::time::Duration;

use portcullis::store::embedded::{EmbeddedStore, Location};
use serde_json::json;
use tokio::task::JoinSet;

use super::UNLIMITED;
use crate::support::dice::Dice;
use crate::support::gateway::Gateway;
use crate::support::websocket::Upstream;

use crate::support::site::Site;
use accounts::Accounts;
use keys::Keys;
use sessions::Sessions;
use tickets::Tickets;

const PASSWORD: &str = "a password to begin with";

/// Of a token, key, ticket or session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good,
    Ended,
    /// Its end was asked for and not answered.
    Unknown,
}

enum Writer {
    Sessions(Sessions),
    Accounts(Accounts),
    Keys(Keys),
    Tickets(Tickets),
}

impl Writer {
    /// Makes changes until the gateway has gone; answers how many it acknowledged.
    async fn work(&mut self, mut site: Site, mut dice: Dice) -> usize {
        for acknowledged in 0.. {
            let change = match self {
                Writer::Sessions(writer) => writer.change(&mut site, &mut dice).await,
                Writer::Accounts(writer) => writer.change(&mut site, &mut dice).await,
                Writer::Keys(writer) => writer.change(&mut site, &mut dice).await,
                Writer::Tickets(writer) => writer.change(&mut site, &mut dice).await,
            };
            if change.is_none() {
                return acknowledged;
            }
        }
        unreachable!("the gateway is killed")
    }

    async fn verify(&mut self, mut site: Site, mut dice: Dice) {
        match self {
            Writer::Sessions(writer) => writer.verify(&mut site, &mut dice).await,
            Writer::Accounts(writer) => writer.verify(&mut site).await,
            Writer::Keys(writer) => writer.verify(&mut site).await,
            Writer::Tickets(writer) => writer.verify(&mut site).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills_where_refresh_tokens_rotate() {
    survive(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills_where_refresh_tokens_stay() {
    survive(false).await;
}

/// Rounds of each of the two tests; `KILL_ROUNDS` is for both.
fn rounds() -> usize {
    let rounds = std::env::var("KILL_ROUNDS").unwrap_or_else(|_| "100".to_owned());
    rounds.parse::<usize>().expect("KILL_ROUNDS is a number").div_ceil(2)
}

async fn survive(rotate: bool) {
    let seed = Dice::any_seed();
    let mut dice = Dice::seeded(seed);
    let upstream = Upstream::start().await;
    let mut gateway = Gateway::start(&config(rotate, &upstream.url)).await;
    let mut writers = engage(&gateway, rotate).await;
    let mut acknowledged = 0;
    for round in 0..rounds() {
        let place = format!("seed {seed}, round {round}");
        let mut working = JoinSet::new();
        for mut writer in writers.drain(..) {
            let (site, dice) = (Site::of(&gateway), Dice::seeded(dice.number()));
            working.spawn(async move { (writer.work(site, dice).await, writer) });
        }
        tokio::time::sleep(Duration::from_millis(2 + dice.number() % 149)).await;
        gateway.kill();
        while let Some(done) = working.join_next().await {
            let (changes, writer) = done.unwrap_or_else(|error| panic!("{place}: {error}"));
            acknowledged += changes;
            writers.push(writer);
        }
        check_copy(&gateway);
        gateway.restart().await;
        let mut verifying = JoinSet::new();
        for mut writer in writers.drain(..) {
            let (site, dice) = (Site::of(&gateway), Dice::seeded(dice.number()));
            verifying.spawn(async move {
                writer.verify(site, dice).await;
                writer
            });
        }
        while let Some(done) = verifying.join_next().await {
            writers.push(done.unwrap_or_else(|error| panic!("{place}: {error}")));
        }
    }
    assert!(acknowledged > rounds(), "{acknowledged} changes");
}

fn config(rotate: bool, upstream: &str) -> String {
    format!(
        "[[route]]\nupstream = \"echo\"\n\
         [[route]]\npath = \"/socket\"\nupstream = \"{upstream}\"\nws_token = true\n\
         [auth]\nrefresh_grace = \"1h\"\nticket_ttl = \"1h\"\n\
         [dialect.status]\nrotate_refresh = {rotate}\n{UNLIMITED}"
    )
}

/// Each writer has an account of its own, so that one's changes are not another's.
async fn engage(gateway: &Gateway, rotate: bool) -> Vec<Writer> {
    let make = |name: &str| match name {
        "ann" | "ben" => Writer::Sessions(Sessions::new(name, rotate)),
        "cai" | "dan" | "eva" => Writer::Accounts(Accounts::new(name, rotate)),
        "fay" | "gil" => Writer::Keys(Keys::new(name)),
        _ => Writer::Tickets(Tickets::new(name)),
    };
    let mut writers = Vec::new();
    for name in ["ann", "ben", "cai", "dan", "eva", "fay", "gil", "hal"] {
        let user = json!({
            "command": "add_user", "name": name, "email": null, "roles": [], "password": PASSWORD,
        });
        Site::of(gateway).manage(&user).await.expect("the gateway runs");
        writers.push(make(name));
    }
    writers
}

/// Looks at the file as the kill left it. A copy: looking repairs, and that is left
/// to the gateway.
fn check_copy(gateway: &Gateway) {
    let copies = tempfile::tempdir().expect("a directory can be made");
    let copy = copies.path().join("portcullis.redb");
    std::fs::copy(gateway.path("data/portcullis.redb"), &copy).expect("the store can be copied");
    let checked = EmbeddedStore::check(&Location::File(copy)).expect("the store can be read");
    assert_eq!(checked.faults, Vec::<String>::new());
}
