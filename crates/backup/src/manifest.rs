//! What a snapshot says of itself: `mainstay.json` in its root.
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The newest format. A manifest of a newer one is refused, one of an older one is read.
pub const FORMAT: u32 = 1;

/// Everything that must be known of a snapshot before it is restored. No secret is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// See [`FORMAT`].
    pub format: u32,
    /// Mainstay's version.
    pub made_by: String,
    /// When the dump began: what was acknowledged before is in the snapshot.
    pub taken: Timestamp,
    /// The deployment's id.
    pub deployment: String,
    /// Its directory.
    pub directory: String,
    /// Who took it, and why: a line of the user's, or the operation's name.
    pub why: String,
    /// The release that wrote the data.
    pub release: ReleaseName,
    /// The database's dump.
    pub database: DatabaseDump,
    /// Files of the deployment beside the dump.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the release's own tree is in the snapshot, too.
    pub with_release: bool,
    /// Why the uploaded files are not in the snapshot; `None`: they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_files: Option<String>,
}

/// The release that wrote what is in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseName {
    /// Its name under `releases/`: `11.6.0-team`.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its edition.
    pub edition: String,
}

/// What the dump is and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseDump {
    /// `sqlite`, `postgres` or `mysql`.
    pub engine: String,
    /// The version of the database server.
    pub server: String,
    /// The newest migration in `db_migrations`, if there is such a table.
    pub migration: Option<i64>,
    /// Bytes of the dump.
    pub bytes: u64,
    /// Rows by table, counted in what was dumped.
    pub rows: BTreeMap<String, u64>,
}
