//! Which passwords may be set.

mod change;

/// Characters a password needs at least.
pub const MIN_CHARS: usize = 8;
/// Bytes a password may have at most: bcrypt reads no more, and we never truncate.
pub const MAX_BYTES: usize = 72;

/// Why a proposed password cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unacceptable {
    TooShort,
    TooLong,
    HoldsNul,
    NoSpecial,
    /// A hash from elsewhere that cannot be worked with here.
    ForeignHash,
}

impl Unacceptable {
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Unacceptable::TooShort => "password_too_short",
            Unacceptable::TooLong => "password_too_long",
            Unacceptable::HoldsNul => "password_holds_nul",
            Unacceptable::NoSpecial => "password_no_special",
            Unacceptable::ForeignHash => "password_foreign_hash",
        }
    }

    /// The rule in words a user can act on.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Unacceptable::TooShort => "The password must have at least 8 characters",
            Unacceptable::TooLong => "The password must have at most 72 bytes",
            Unacceptable::HoldsNul => "The password must not contain a NUL character",
            Unacceptable::NoSpecial => {
                "The password must include a character that is neither letter, digit nor space"
            }
            Unacceptable::ForeignHash => "The hash must be a bcrypt hash",
        }
    }
}

/// What a contract asks of a password beyond the floor (C10).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PasswordRule {
    /// At least one character that is neither letter, digit nor space (S2-08).
    pub special: bool,
}

impl PasswordRule {
    /// # Errors
    /// The first rule that is broken, the floor's first.
    pub fn check(self, password: &str) -> Result<(), Unacceptable> {
        check_acceptable(password)?;
        let special = |c: char| !c.is_alphanumeric() && !c.is_whitespace();
        if self.special && !password.chars().any(special) {
            return Err(Unacceptable::NoSpecial);
        }
        Ok(())
    }
}

/// The floor under every dialect's own rules.
///
/// # Errors
/// The first rule that is broken.
pub fn check_acceptable(password: &str) -> Result<(), Unacceptable> {
    if password.len() > MAX_BYTES {
        Err(Unacceptable::TooLong)
    } else if password.contains('\0') {
        Err(Unacceptable::HoldsNul)
    } else if password.chars().count() < MIN_CHARS {
        Err(Unacceptable::TooShort)
    } else {
        Ok(())
    }
}

/// Whether a presented password could have been set at all.
pub(super) fn is_presentable(password: &str) -> bool {
    password.len() <= MAX_BYTES && !password.contains('\0')
}

#[cfg(test)]
mod tests;
