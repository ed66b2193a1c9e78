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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Entropy as _, SystemEntropy};

    #[test]
    fn no_two_secrets_are_the_same() {
        let entropy = SystemEntropy::default();
        let mut seen = HashSet::from([[0; 32]]);
        for _ in 0..100 {
            let mut bytes = [0; 32];
            entropy.fill(&mut bytes);
            assert!(seen.insert(bytes));
        }
    }

    #[test]
    fn every_byte_of_a_secret_is_random() {
        let entropy = SystemEntropy::default();
        let mut different = [false; 33];
        for _ in 0..100 {
            let mut bytes = [0; 33];
            entropy.fill(&mut bytes);
            for (different, byte) in different.iter_mut().zip(bytes) {
                *different |= byte != 0;
            }
        }
        assert_eq!(different, [true; 33]);
    }
}
