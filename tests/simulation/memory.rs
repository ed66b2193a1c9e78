//! What a replica holds in memory of its users: all of them, since any may come to it.

use std::hint::black_box;

use portcullis::auth::account::{Account, AccountId, HashedPassword, Username};
use portcullis::auth::standing::Standing;
use portcullis::auth::time::Timestamp;
use portcullis::auth::token::SessionId;
use uuid::Uuid;

use crate::Extent;
use crate::stream::LOGOUTS_A_DAY;

/// How long the end of a session is remembered: as long as a refresh token lives.
const DAYS: u64 = 7;

pub fn print(extent: &Extent) {
    let standing = Standing::default();
    let before = resident();
    for number in 0..extent.measured_users {
        standing.put_account(account(number));
    }
    let filled = resident();
    for number in 0..extent.measured_users {
        let session = SessionId(Uuid::from_u128(u128::from(number) << 64));
        standing.end_sessions(&[(session, Timestamp(u64::MAX))]);
    }
    let ended = resident();
    black_box(&standing);
    let per_account = (filled - before) / extent.measured_users;
    let per_ended = (ended - filled) / extent.measured_users;
    println!(
        "Memory of a replica: {per_account} bytes for an account, {per_ended} for an ended session \
         (measured with {}, multiplied), remembered {DAYS} days.",
        extent.measured_users
    );
    println!("{:>10} {:>14} {:>14} {:>14}", "users", "accounts MB", "sessions MB", "together MB");
    for &(_, users) in extent.crowds {
        let (accounts, ended) = (users * per_account, users * LOGOUTS_A_DAY * DAYS * per_ended);
        let megabytes = |bytes: u64| bytes / 1_000_000;
        println!(
            "{users:>10} {:>14} {:>14} {:>14}",
            megabytes(accounts),
            megabytes(ended),
            megabytes(accounts + ended)
        );
    }
}

fn account(number: u64) -> Account {
    let name = format!("user{number}");
    let id = AccountId(Uuid::from_u128(u128::from(number) << 64 | 7));
    let username = Username::parse(&name).expect("a valid name");
    Account {
        email: Some(format!("{name}@example.com")),
        password: Some(HashedPassword(format!("$2b$12${}", "x".repeat(53)))),
        ..Account::new(id, username, Timestamp(1_700_000_000_000))
    }
}

/// Bytes of memory this process holds.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.expect("a process has resident memory") * 1024
}
