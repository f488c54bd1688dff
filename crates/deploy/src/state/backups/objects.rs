//! A place in object storage.

use std::path::PathBuf;

/// A bucket of object storage, and how it is reached. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objects {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The address of the storage; `None` = Amazon's.
    pub endpoint: Option<String>,
    /// The region; `None` = what the environment or the profile says.
    pub region: Option<String>,
    /// Whether the bucket is in the path.
    pub path_style: bool,
    /// A file with credentials; `None` = AWS's own chain.
    pub credentials: Option<PathBuf>,
}
