//! The one form in which paths and hosts are compared, whether they come from a
//! request or from the configuration. Pure: it knows nobody.

pub mod host;
pub mod path;
