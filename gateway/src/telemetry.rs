//! What operators see: events, access lines and counters.
//!
//! Nothing here may delay a request. Lines go through bounded queues to a
//! thread of their own; when one is full they are dropped and counted.

pub mod access_log;
pub mod audit;
pub mod counters;
pub mod events;
pub mod log;
pub mod recent;
pub mod request_scope;
pub mod sink;
