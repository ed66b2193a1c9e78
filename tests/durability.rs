//! What was acknowledged is there after a kill, a full disk and a restart; a store
//! that is damaged or in use is refused.

mod damage;
mod full_disk;
mod kill;
mod one_owner;
mod size;

use crate::support::gateway::ECHO;

/// Limits that these tests do not meet.
const UNLIMITED: &str = "\n[limits]\nrequests_per_second = 100000\nburst = 100000\n\
                         max_login_attempts = 100000\n";

fn unlimited_echo() -> String {
    format!("{ECHO}{UNLIMITED}")
}
