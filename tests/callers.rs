//! Black-box tests of what callers are told: the contracts, and what each credential is worth.

extern crate support;

mod audit;
mod contract;
mod credentials;
mod guesses;
mod identity;
mod routes;
mod table;
