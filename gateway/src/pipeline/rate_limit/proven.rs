//! What those who wait for their turn may be known by.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The Basic credential that a connection has proven first, as a mark of it.
#[derive(Default)]
pub struct Proven {
    mark: OnceLock<[u8; 32]>,
    /// It was compared with another: whoever sent that gets to know no more.
    doubted: AtomicBool,
}

impl Proven {
    pub(super) fn is_open(&self) -> bool {
        self.mark.get().is_none()
    }

    pub(super) fn note(&self, mark: [u8; 32]) {
        let _ = self.mark.set(mark);
    }

    pub(super) fn is(&self, mark: [u8; 32]) -> bool {
        let Some(proven) = self.mark.get() else { return false };
        if *proven != mark {
            self.doubted.store(true, Ordering::Release);
        }
        !self.doubted.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [u8; 32] = [1; 32];
    const ANOTHER: [u8; 32] = [2; 32];

    #[test]
    fn a_connection_knows_what_it_has_proven_first_and_nothing_else() {
        let proven = Proven::default();
        assert!(proven.is_open() && !proven.is(OURS));
        proven.note(OURS);
        proven.note(ANOTHER);
        assert!(!proven.is_open() && proven.is(OURS) && proven.is(OURS));
    }

    /// Else it would tell whoever shares the connection which of many guesses is right.
    #[test]
    fn a_connection_that_has_brought_another_credential_tells_nothing_any_more() {
        let proven = Proven::default();
        proven.note(OURS);
        assert!(!proven.is(ANOTHER));
        assert!(!proven.is(OURS));
    }
}
