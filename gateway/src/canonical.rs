//! The one form in which methods, hosts and paths are compared, whether they come from a
//! request or from the configuration. Pure: it knows nobody.

pub mod host;
pub mod method;
pub mod path;
