//! Black-box tests of what is forwarded, and comes back.

extern crate support;

mod agents;
mod clients;
mod forward;
mod websocket;
