//! What operators see: events, access lines and counters.
//!
//! Nothing here may delay a request. Lines go through a bounded queue to a
//! thread of their own; when it is full they are dropped and counted.

pub mod access_log;
pub mod counters;
pub mod log;
pub mod sink;
