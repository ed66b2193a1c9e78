//! Engines behind the core's store port.
//!
//! Every engine passes the suite in `conformance`; what an engine cannot promise it must
//! refuse, never approximate.

pub mod archive;
pub mod embedded;
mod failures;
#[cfg(test)]
pub(crate) mod in_memory;
mod pending_revocations;
mod record;
mod replica;
pub mod shared;

#[cfg(test)]
pub(crate) mod conformance;
