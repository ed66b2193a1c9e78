//! Black-box tests of what is kept, through crashes and moves, and by several replicas.

extern crate support;

mod durability;
mod earlier;
mod moving;
mod replicas;
