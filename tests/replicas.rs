//! Several gateways with one store, reached through Redis.

mod bench;
mod history;
