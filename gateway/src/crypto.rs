//! The core's ports that need cryptography, all on aws-lc-rs or on the hash
//! crates: tokens, digests, passwords, randomness.

pub mod entropy;
pub mod jwt;
pub mod passwords;
