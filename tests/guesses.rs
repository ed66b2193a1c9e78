//! Which refusals are failed attempts of an address, and which are not.

mod counted;
mod former;
