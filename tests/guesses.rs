//! Which refusals are failed attempts of an address, and which are not; and guesses from
//! many addresses.

mod counted;
mod crowd;
mod former;
