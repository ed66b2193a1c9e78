//! A file's records, read and written as they are.

use crate::store::archive::conformance::archive_conformance;
use crate::store::embedded::EmbeddedArchive;

async fn scratch() -> EmbeddedArchive {
    EmbeddedArchive::scratch().unwrap()
}

archive_conformance!(scratch());
