//! Passwords that the gateway makes up, for the first account.

use crate::auth::ports::Entropy;
use crate::auth::secret::Secret;

const SYMBOLS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// Whether a password has the form of those that are made up here.
pub(super) fn is_made_up(password: &str) -> bool {
    let is_group =
        |group: &str| group.len() == 5 && group.bytes().all(|byte| SYMBOLS.contains(&byte));
    let groups: Vec<&str> = password.split('-').collect();
    groups.len() == 4 && groups.into_iter().all(is_group)
}

/// Twenty letters and digits that are not easily mistaken, 100 bits.
pub(super) fn random_password(entropy: &dyn Entropy) -> Secret {
    let mut bytes = [0; 20];
    entropy.fill(&mut bytes);
    let mut text = String::with_capacity(23);
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(SYMBOLS[usize::from(byte % 32)]));
    }
    Secret::new(text)
}
