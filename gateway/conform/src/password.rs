//! The administrator's password: no `Display`, an empty `Debug`, wiped on drop.

use zeroize::Zeroizing;

#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The content. The name makes every use easy to find in a review.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_debug_output() {
        let shown = format!("{:?}", Password::new("hunter2".to_owned()));
        assert_eq!(shown, "Password(…)");
    }
}
