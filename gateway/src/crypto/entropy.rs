//! Random bytes from aws-lc-rs.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use crate::auth::ports::Entropy;

pub struct SystemEntropy(SystemRandom);

impl Default for SystemEntropy {
    fn default() -> Self {
        Self(SystemRandom::new())
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("the system's random source has failed; no secret can be made");
    }
}
