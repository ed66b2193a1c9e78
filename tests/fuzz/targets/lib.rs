//! Fuzz targets: each takes any bytes, gives them to one reader of the gateway and
//! asserts what must hold whatever they were. `tests/fuzz/run` mutates the seeds
//! under coverage; `seeds.rs` holds every seed to the same in an ordinary test run.

mod agent;
mod answer;
mod config;
mod credential;
mod dialect;
mod fields;
mod forwarding;
mod framing;
mod path;
mod pieces;
mod pongs;
mod proxy;
mod token;
mod units;

pub type Target = fn(&[u8]);

const TARGETS: &[(&str, Target)] = &[
    ("agent", agent::run),
    ("answer", answer::run),
    ("config", config::run),
    ("credential", credential::run),
    ("dialect", dialect::run),
    ("fields", fields::run),
    ("forwarding", forwarding::run),
    ("framing", framing::run),
    ("path", path::run),
    ("pongs", pongs::run),
    ("proxy", proxy::run),
    ("token", token::run),
    ("units", units::run),
];

#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

/// Every name, in a line.
#[must_use]
pub fn names() -> String {
    TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}
