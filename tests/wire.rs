//! Black-box tests of what strangers send, and how connections begin and end.

extern crate support;

mod connections;
mod edge;
mod hostile;
