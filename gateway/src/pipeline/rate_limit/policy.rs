//! A limit of rate, as clients are told of it.

/// What fits into which time, as the `RateLimit-Policy` field says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub name: &'static str,
    pub burst: u32,
    pub window_seconds: u32,
}
