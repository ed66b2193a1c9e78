//! Bodies on their way through: streamed, counted, bounded, never collected.

pub mod progress;
pub mod request;
pub mod response;
