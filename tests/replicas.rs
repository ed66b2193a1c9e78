//! Several gateways with one store, reached through Redis.

mod activity;
mod administrators;
mod bench;
mod caller;
mod cluster;
mod durability;
mod faults;
mod fleet;
mod history;
mod limits;
mod lost;
mod sentinel;
mod single;
mod start;
mod work;

/// So that only the store decides.
const UNLIMITED: &str = "\n[limits]\nrequests_per_second = 1000000\nburst = 1000000\n\
                         max_login_attempts = 1000000\nuser_attempts = 1000000\n\
                         registrations = 1000000\nsessions_per_account = 100000\n";
