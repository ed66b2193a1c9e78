//! Text that must never be shown: no `Display`, an empty `Debug`, wiped on drop.

use zeroize::Zeroizing;

use super::ports::entropy::Entropy;

/// A password, key or token on its way through the core.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// `N` random bytes as hexadecimal digits.
    pub fn random_hex<const N: usize>(entropy: &dyn Entropy) -> Self {
        use std::fmt::Write;
        let mut random = Zeroizing::new([0u8; N]);
        entropy.fill(random.as_mut_slice());
        let mut text = String::with_capacity(N * 2);
        for byte in random.iter() {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self::new(text)
    }

    /// The content. The name makes every use easy to find in a review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
