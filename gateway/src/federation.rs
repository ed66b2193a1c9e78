//! Services that vouch for identities: the core's federation port made real.

pub mod github;
mod https;
