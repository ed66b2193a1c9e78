//! Three replicas at work while the store, the ways to it and the replicas themselves
//! fail at random; what the callers saw is judged after every round.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::UNLIMITED;
use super::caller::{Caller, Record};
use super::fleet::{Fleet, REPLICAS, is_live};
use super::history::{Event, History, Outcome, STALENESS};
use super::work::{PASSWORD, Task, Worker};
use crate::support::dice::Dice;
use crate::support::fault_proxy::Fault;
use crate::support::redis::talk::Reply;

/// So long a replica that lost its way may take to notice.
const NOTICED: Duration = Duration::from_millis(500);

const CONFIG: &str = r#"
[auth]
registration = "open"
refresh_grace = "1h"
ticket_ttl = "1h"
[store]
timeout = "1s"
[[route]]
upstream = "echo"
[[route]]
path = "/socket"
upstream = "echo"
ws_token = true
"#;

#[derive(Debug, Clone, Copy)]
enum Trouble {
    Frozen,
    Killed,
    /// `CLIENT PAUSE`: of everything or of writes.
    Paused(&'static str),
    /// The way of one replica, or of all.
    Wire(Option<usize>, Harm),
    GatewayKilled(usize),
    /// An empty database answers in place of the gateways', as after FLUSHALL, until the
    /// right one is there again.
    Exchanged,
    /// The server answers and takes no changes.
    Refusing,
}

#[derive(Debug, Clone, Copy)]
enum Harm {
    Cut,
    Lasting(Fault),
}

impl Trouble {
    fn any(dice: &mut Dice) -> Self {
        let replica = dice.below(REPLICAS);
        let late = Fault::Late(Duration::from_millis(50 + dice.number() % 700));
        let harms = [
            Harm::Cut,
            Harm::Lasting(Fault::Refused),
            Harm::Lasting(late),
            Harm::Lasting(Fault::Swallowed),
            Harm::Lasting(Fault::Garbled),
        ];
        let harm = harms[dice.below(harms.len())];
        let troubles = [
            Self::Frozen,
            Self::Killed,
            Self::Paused("ALL"),
            Self::Paused("WRITE"),
            Self::Wire(None, harm),
            Self::Wire(Some(replica), harm),
            Self::Wire(Some(replica), harm),
            Self::GatewayKilled(replica),
            Self::Exchanged,
            Self::Refusing,
        ];
        troubles[dice.below(troubles.len())]
    }

    fn strikes(self, replica: usize) -> bool {
        match self {
            Self::Frozen
            | Self::Killed
            | Self::Paused(_)
            | Self::Wire(None, _)
            | Self::Exchanged => true,
            // They go on to hear of everything there is.
            Self::Refusing => false,
            Self::Wire(Some(struck), _) | Self::GatewayKilled(struck) => struck == replica,
        }
    }

    async fn strike(self, fleet: &mut Fleet, time: Duration) {
        match self {
            Self::Frozen => {
                fleet.redis.freeze();
                tokio::time::sleep(time).await;
                fleet.redis.thaw();
            }
            Self::Killed => {
                fleet.redis.kill();
                tokio::time::sleep(time).await;
                fleet.redis.restart().await;
            }
            Self::Paused(what) => {
                let length = time.as_millis().to_string();
                fleet.redis.tell(&["CLIENT", "PAUSE", &length, what]).await;
                tokio::time::sleep(time).await;
            }
            Self::Wire(struck, harm) => {
                let wires = fleet.wires.iter().enumerate();
                let wires = wires.filter(|(wire, _)| struck.is_none_or(|struck| struck == *wire));
                let wires: Vec<_> = wires.map(|(_, wire)| wire).collect();
                match harm {
                    Harm::Cut => wires.iter().for_each(|wire| wire.cut()),
                    Harm::Lasting(fault) => {
                        for wire in &wires {
                            wire.set(fault);
                        }
                        tokio::time::sleep(time).await;
                        for wire in &wires {
                            wire.set(Fault::None);
                        }
                    }
                }
            }
            Self::Exchanged => {
                fleet.redis.tell(&["SWAPDB", "0", "1"]).await;
                tokio::time::sleep(time).await;
                let written = fleet.redis.tell(&["KEYS", "*"]).await;
                assert_eq!(written, Reply::List(Vec::new()), "somebody wrote to it");
                fleet.redis.tell(&["SWAPDB", "0", "1"]).await;
            }
            Self::Refusing => {
                let replicas = |number| ["CONFIG", "SET", "min-replicas-to-write", number];
                fleet.redis.tell(&replicas("1")).await;
                tokio::time::sleep(time).await;
                fleet.redis.tell(&replicas("0")).await;
            }
            Self::GatewayKilled(struck) => {
                fleet.gateways[struck].kill();
                tokio::time::sleep(time / 4).await;
                fleet.gateways[struck].restart().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_keep_their_promises_through_every_trouble() {
    let seed = std::env::var("FAULT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(Dice::any_seed);
    let mut dice = Dice::seeded(seed);
    let mut fleet = Fleet::start(&format!("{CONFIG}{UNLIMITED}")).await;
    let mut workers = engage(&fleet).await;
    for round in 0..rounds() {
        let trouble = Trouble::any(&mut dice);
        let place = format!("FAULT_SEED={seed}, round {round}: {trouble:?}");
        let (history, mut broken) =
            survive(trouble, &mut fleet, &mut workers, &mut dice, &place).await;
        broken.extend(history.broken());
        broken.truncate(4);
        assert!(broken.is_empty(), "{place}: {broken:#?}\n{}", fleet.events().join("\n"));
        let done = history
            .operations
            .iter()
            .filter(|one| matches!(one.event, Event::Made(_) | Event::Ended(_, Outcome::Done)));
        let done = done.count();
        assert!(done > 10, "{place}: little was done");
        report(&format!("{place}: {} operations, {done} changes", history.operations.len()));
    }
}

/// Adds a line to the file that `FAULT_REPORT` names, if it does.
fn report(line: &str) {
    if let Some(path) = std::env::var_os("FAULT_REPORT") {
        let file = File::options().append(true).create(true).open(path);
        file.and_then(|mut file| writeln!(file, "{line}")).expect("FAULT_REPORT can be written");
    }
}

fn rounds() -> usize {
    let rounds = std::env::var("FAULT_ROUNDS").unwrap_or_else(|_| "6".to_owned());
    rounds.parse().expect("FAULT_ROUNDS is a number")
}

async fn engage(fleet: &Fleet) -> Vec<Worker> {
    let mut workers = Vec::new();
    for (name, task) in [
        ("ann", Task::Sessions),
        ("ben", Task::Sessions),
        ("cai", Task::Passwords),
        ("dan", Task::Passwords),
        ("eva", Task::Keys),
        ("fay", Task::Tickets),
        ("gil", Task::Registrations),
    ] {
        fleet.gateways[0].add_user(name, PASSWORD, &[]).await;
        workers.push(Worker::new(task, name));
    }
    fleet.settle().await;
    workers
}

/// A round: the trouble in the middle of work, and a look at everything afterwards.
async fn survive(
    trouble: Trouble,
    fleet: &mut Fleet,
    workers: &mut Vec<Worker>,
    dice: &mut Dice,
    place: &str,
) -> (History, Vec<String>) {
    let record = Arc::new(Record::new());
    let stop = Arc::new(AtomicBool::new(false));
    let mut working = JoinSet::new();
    for mut worker in workers.drain(..) {
        let mut caller = Caller::new(&fleet.gateways, &record);
        let (mut dice, stop) = (Dice::seeded(dice.number()), stop.clone());
        working.spawn(async move {
            worker.begin(&caller);
            while !stop.load(Ordering::Relaxed) {
                worker.turn(&mut caller, &mut dice).await;
            }
            worker
        });
    }
    let a_while = |dice: &mut Dice| Duration::from_millis(100 + dice.number() % 1100);
    tokio::time::sleep(a_while(dice)).await;
    let began = record.now();
    trouble.strike(fleet, a_while(dice)).await;
    let healed = record.now();
    let mut history = History::default();
    for (replica, gateway) in fleet.gateways.iter().enumerate() {
        if trouble.strikes(replica) {
            is_live(gateway).await;
            history.cut_off.push((replica, began, record.now().max(healed + NOTICED)));
        }
        if matches!(trouble, Trouble::GatewayKilled(_)) && trouble.strikes(replica) {
            history.kills.push((replica, began, record.now()));
        }
    }
    tokio::time::sleep(a_while(dice)).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = working.join_next().await {
        workers.push(done.unwrap_or_else(|error| panic!("{place}: {error}")));
    }
    fleet.settle().await;
    history.settled.push(record.now());
    tokio::time::sleep(STALENESS).await;
    let mut caller = Caller::new(&fleet.gateways, &record);
    let mut put_off = Vec::new();
    for worker in workers {
        put_off.extend(worker.finish(&mut caller).await);
    }
    history.operations = record.operations();
    (history, put_off)
}
