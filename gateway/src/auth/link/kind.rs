//! What a link is for, and one that was made.

use crate::auth::secret::Secret;
use crate::auth::time::Timestamp;

/// What a link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// The address is verified.
    Address = 1,
    /// A password is set.
    Password = 2,
    /// Both: who has it got it at the address.
    Both = 3,
}

impl LinkKind {
    pub(super) const ALL: [Self; 3] = [LinkKind::Address, LinkKind::Password, LinkKind::Both];

    /// As the audit log writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LinkKind::Address => "address",
            LinkKind::Password => "password",
            LinkKind::Both => "invitation",
        }
    }

    #[must_use]
    pub fn sets_password(self) -> bool {
        matches!(self, LinkKind::Password | LinkKind::Both)
    }

    pub(super) fn verifies_address(self) -> bool {
        matches!(self, LinkKind::Address | LinkKind::Both)
    }
}

/// A link that was made.
#[derive(Debug)]
pub struct Link {
    /// The whole of it, a secret until it is followed.
    pub url: Secret,
    pub expires: Timestamp,
}
