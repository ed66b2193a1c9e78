//! Each replica follows the stream of changes: it asks for the next ones, is answered as
//! soon as there are any, and asks again.

use std::time::{Duration, Instant};

use portcullis::auth::standing::Standing;
use portcullis::auth::time::Timestamp;
use portcullis::auth::token::SessionId;
use uuid::Uuid;

use crate::Extent;
use crate::dice::Dice;
use crate::site::WAY;

/// Of each user.
pub const LOGOUTS_A_DAY: u64 = 1;
/// A question without an answer is asked again after this long.
const BLOCK: Duration = Duration::from_millis(200);
const CHANGES: u32 = 100_000;

pub fn print(extent: &Extent) {
    println!(
        "Stream of changes: each user logs out {LOGOUTS_A_DAY} time a day, each replica is told."
    );
    println!(
        "{:>10} {:>10} {:>12} {:>16} {:>16} {:>10} {:>10}",
        "replicas", "users", "logouts/s", "to a replica/s", "from Redis/s", "p50 ms", "p99 ms"
    );
    for &(replicas, users) in extent.crowds {
        let mut dice = Dice(2);
        // Microseconds between two logouts, on average.
        let pause = 86_400_000_000 / (users * LOGOUTS_A_DAY);
        let way = u64::try_from(WAY.as_micros()).expect("short");
        let block = u64::try_from(BLOCK.as_micros()).expect("short");
        let mut delays = Vec::new();
        let (mut committed, mut asked, mut answers) = (0, 0, 0_u64);
        let mut waiting = Vec::new();
        for _ in 0..CHANGES {
            committed += dice.roll(2 * pause + 1);
            // What was asked before this change came is answered without it.
            while asked <= committed {
                let answered =
                    waiting.first().map_or(asked + block, |&first: &u64| first.max(asked));
                if answered > committed {
                    break;
                }
                delays.extend(waiting.drain(..).map(|change| answered + way - change));
                answers += 1;
                asked = answered + 2 * way;
            }
            waiting.push(committed);
        }
        delays.sort_unstable();
        let at = |share: usize| Duration::from_micros(delays[(delays.len() - 1) * share / 100]);
        let each = answers * 1_000_000 / committed;
        println!(
            "{replicas:>10} {users:>10} {:>12} {each:>16} {:>16} {:>10.1} {:>10.1}",
            1_000_000 / pause,
            each * replicas as u64,
            at(50).as_secs_f64() * 1e3,
            at(99).as_secs_f64() * 1e3,
        );
    }
    let standing = Standing::default();
    let begun = Instant::now();
    for number in 0..CHANGES {
        let session = SessionId(Uuid::from_u128(u128::from(number)));
        standing.end_sessions(&[(session, Timestamp(u64::MAX))]);
    }
    println!("A replica takes in one change in {:?}.\n", begun.elapsed() / CHANGES);
}
