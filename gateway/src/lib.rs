//! Portcullis, an authenticating reverse-proxy gateway.
//!
//! The life of a request, in the order in which the modules read:
//!
//! 1. [`edge`] accepts a connection, terminates TLS and lets only well-formed messages
//!    through to hyper.
//! 2. [`pipeline`] takes the request from there, top to bottom: the address's
//!    token bucket, the message's form, our own endpoints, the route, the
//!    credential, the permission, the upstream.
//! 3. [`upstream`] sends what passed, over connections of its own.
//! 4. [`dialect`] speaks the wire contracts of our own endpoints, which [`contract`] lists,
//!    [`console`] to people.
//! 5. [`auth`] decides: accounts, sessions, tokens, keys, tickets. It knows none
//!    of the others.
//! 6. [`store`], [`crypto`] and [`federation`] are the core's ports made real.
//!
//! [`server`] puts it all together; [`cli`] is the command line around it.

pub mod edge;

pub mod http1;

pub mod canonical;

pub mod pipeline;

pub mod upstream;

pub mod console;

pub mod dialect;

pub mod contract;

pub mod auth;

pub mod store;

pub mod crypto;

pub mod federation;

pub mod admin;
pub mod background;
pub mod cli;
pub mod clock;
pub mod config;
pub mod files;
pub mod lifecycle;
pub mod mail;
pub mod panics;
pub mod pem;
pub mod server;
pub mod slots;
pub mod socket;
pub mod telemetry;
pub mod trust;
