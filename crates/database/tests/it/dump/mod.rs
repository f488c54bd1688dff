//! Dumps of every engine.

mod sqlite;

use std::path::Path;
use std::time::Duration;

use database::dump::Means;

/// What a dump needs, with a directory of the test's own.
pub(crate) fn means(scratch: &Path) -> Means<'_> {
    Means { scratch, path: "/usr/bin", bin: None, limit: Duration::from_secs(30) }
}
