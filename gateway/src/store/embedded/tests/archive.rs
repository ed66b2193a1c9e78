//! A file's records, read and written as they are.

use crate::store::archive::conformance::archive_conformance;
use crate::store::embedded::EmbeddedArchive;

archive_conformance!(async { EmbeddedArchive::scratch().unwrap() });
