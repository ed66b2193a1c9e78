//! The advisory file: what the health endpoints say beside "healthy" (S1-29).

use std::io;
use std::path::Path;

use crate::files;
use crate::pipeline::Advisory;

const MAX_ADVISORY_BYTES: u64 = 1 << 20;

/// `{"pending_update": "1.2.3", "cves": ["CVE-…"]}`; absent members and an absent
/// file say nothing.
pub(super) fn read_advisory(path: Option<&Path>) -> Advisory {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(default)]
        pending_update: Option<String>,
        #[serde(default)]
        cves: Vec<String>,
    }
    let Some(path) = path else {
        return Advisory::default();
    };
    let read = std::fs::File::open(path)
        .and_then(|file| files::read_at_most(file, MAX_ADVISORY_BYTES))
        .and_then(|bytes| serde_json::from_slice::<File>(&bytes).map_err(io::Error::other));
    match read {
        Ok(File { pending_update, cves }) => Advisory { pending_update, cves },
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "advisory file not read");
            Advisory::default()
        }
    }
}
