//! What is wrong with a configuration, as readers note it.

use std::ops::Range;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Bytes of the file.
    File(Range<usize>),
    Environment(String),
    CommandLine(&'static str),
    /// Nothing was written; the place where it is missing, if there is one.
    Absent,
}

#[derive(Debug, Clone)]
pub struct Problem {
    pub origin: Origin,
    /// The key, with its tables: `limits.burst`. Empty for syntax errors.
    pub key: String,
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}
