//! How long sessions of browsers live.

use super::time::Seconds;

/// How long a browser's session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLife {
    /// Without a request; at most one life of an access token longer.
    pub idle: Seconds,
    /// From the sign-in, however it is used.
    pub absolute: Seconds,
}

impl SessionLife {
    /// Of a renewal token that comes with an access token.
    #[must_use]
    pub fn renewal_ttl(self, access_ttl: Seconds) -> Seconds {
        Seconds(self.idle.0.saturating_add(access_ttl.0)).min(self.absolute)
    }
}
