//! What once went wrong. Each test says how it showed.

mod attempts;
mod connections;
mod ends;
mod fields;
mod paths;
mod refusals;
mod secrets;
mod tunnels;
mod upstreams;
