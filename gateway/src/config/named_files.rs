//! Files that keys name, and whether they have to be there.

use std::path::PathBuf;

use crate::pem::{self, Wanted};

use super::document::Section;
use super::reader::Located;

/// Whether the certificate files that are named have to be there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// Traffic will need them.
    Needed,
    /// A command on the store does without.
    #[default]
    NotNeeded,
}

/// Notes a PEM file that is not there or holds nothing of its kind.
pub(super) fn check_pem(
    section: &Section<'_>,
    key: &str,
    found: &Located<PathBuf>,
    wanted: Wanted,
) {
    // A path that is none leads to no file.
    if section.is_noted(&found.origin) {
        return;
    }
    let read = match wanted {
        Wanted::Certificate => pem::certificates(&found.value).map(drop),
        Wanted::PrivateKey => pem::private_key(&found.value).map(drop),
    };
    if let Err(error) = read {
        let help = error.remedy().or_else(|| section.missing_file_help(found));
        let help = help
            .unwrap_or_else(|| format!("name the file of a {wanted}, which this user can read"));
        section.note(found.origin.clone(), key, error.message(), help);
    }
}
