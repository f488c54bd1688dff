//! Which deployment this is, and which data belongs to it: `deployment.json`, and the marks in the data itself.
//!
//! The data, its settings and its secrets can be lost one by one: a file system is not mounted, a file was deleted, a database was emptied.
//! What was there once must not be taken for what never was, so a deployment has an id, which is kept in its directory, in the directory of
//! its data, in its database, and in the journal.

use std::path::{Path, PathBuf};

use plan::{Journal, Phase};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::state::report::last_pass;
use crate::state::words::{RESTORE, START_EMPTY, UNINSTALL, UP};

/// The version of the file's format.
const FORMAT: u32 = 1;

/// A mark is not longer, in bytes.
const MARK_LIMIT: u64 = 256;

/// How many runs of the journal are looked at.
const RUNS: u32 = 1000;

/// What `deployment.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The version of the format.
    pub format: u32,
    /// Of this deployment alone.
    pub id: String,
    /// When it was first verified, or first recorded, in ms since the epoch.
    pub since: i64,
    /// The database on a server that it uses, the password masked; `None` = the deployment's own file.
    pub database: Option<String>,
    /// Whether its database is the managed one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub managed: bool,
    /// The deployment's directory when this was written.
    pub root: PathBuf,
}

impl Identity {
    /// One that nobody had before.
    pub(crate) fn new(id: Option<String>, database: Option<String>, layout: &Layout) -> Self {
        Self {
            format: FORMAT,
            id: id.unwrap_or_else(fresh_id),
            since: jiff::Timestamp::now().as_millisecond(),
            database,
            managed: false,
            root: layout.root().to_owned(),
        }
    }

    /// The deployment's; `None` where it has none yet.
    ///
    /// # Errors
    /// It cannot be read, or a newer Mainstay wrote it.
    pub(crate) fn read(layout: &Layout) -> Result<Option<Self>, Error> {
        let path = layout.identity();
        let content = match host::disk::read_guarded(&path, FILE_LIMIT) {
            Ok(content) => content,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let identity: Self = serde_json::from_slice(&content.bytes).map_err(|error| {
            Error::new(Exit::Settings, format!("{}:{}: {error}", path.display(), error.line()))
                .hint("put the file back from a backup; without it, `mainstay up` records it anew")
        })?;
        if identity.format > FORMAT {
            let what =
                format!("{} has format {}, which a newer Mainstay wrote", path.display(), identity.format);
            return Err(Error::new(Exit::Refused, what).hint("use the newer Mainstay again"));
        }
        Ok(Some(identity))
    }

    /// Writes it, for its owner alone.
    pub(crate) fn write(&self, layout: &Layout) -> Result<(), Error> {
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
        text.push(b'\n');
        Ok(host::disk::atomic_write(&layout.identity(), &text, 0o600, None)?)
    }
}

/// 128 random bits as text.
pub(crate) fn fresh_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The id that the directory of the data carries.
///
/// # Errors
/// The mark is there and cannot be read.
pub(crate) fn data_mark(layout: &Layout) -> Result<Option<String>, Error> {
    match host::disk::read_guarded(&layout.data_mark(), MARK_LIMIT) {
        Ok(content) => Ok(Some(String::from_utf8_lossy(&content.bytes).trim().to_owned())),
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// That a deployment was used, and when it was last known to be well, in ms since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    pub last: i64,
}

/// Whether people may have used the deployment: an `up` has ended well, and it was neither removed nor begun anew since.
///
/// # Errors
/// A file cannot be read.
pub(crate) async fn used(layout: &Layout) -> Result<Option<Used>, Error> {
    let verified = last_pass(layout);
    if let Some(identity) = Identity::read(layout)? {
        return Ok(Some(Used { last: verified.unwrap_or(identity.since) }));
    }
    // A deployment of a Mainstay that kept no identity yet.
    match newest(layout).await? {
        Some((operation, at)) if [UP, RESTORE].contains(&&*operation) => {
            Ok(Some(Used { last: verified.unwrap_or(at) }))
        }
        Some(_) => Ok(None),
        None => Ok(verified.map(|last| Used { last })),
    }
}

/// The newest finished run that says whether there is a deployment, and when it ended.
async fn newest(layout: &Layout) -> Result<Option<(String, i64)>, Error> {
    if !layout.journal().exists() {
        return Ok(None);
    }
    let journal = Journal::open_read_only(&layout.journal()).await.map_err(Error::of_reader)?;
    let runs = journal.runs(RUNS).await.map_err(Error::of_reader)?;
    let tells = |operation: &str| [UP, RESTORE, UNINSTALL, START_EMPTY].contains(&operation);
    let found = runs.into_iter().find(|run| run.state.phase == Phase::Done && tells(&run.plan.operation));
    Ok(found.map(|run| {
        let at = run.finished_at.unwrap_or(run.started_at);
        (run.plan.operation, at.as_millisecond())
    }))
}

/// The deployment that this one's directory was copied from, if that is still there.
pub(crate) fn original(identity: &Identity, layout: &Layout) -> Option<Layout> {
    let there = Layout::new(&identity.root);
    let is_another = identity.root != layout.root() && !is_same(&identity.root, layout.root());
    let same_id = |other: Identity| other.id == identity.id;
    (is_another && Identity::read(&there).ok().flatten().is_some_and(same_id)).then_some(there)
}

fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let of = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    of(one).is_some() && of(one) == of(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden file is never edited: a newer program reads what an older one wrote.
    #[test]
    fn the_first_format_is_read_for_ever() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        assert_eq!(Identity::read(&layout).expect("none"), None);
        let golden = include_str!("../../tests/golden/deployment-1.json");
        std::fs::write(layout.identity(), golden).expect("written");
        let identity = Identity::read(&layout).expect("it is read").expect("there is one");
        assert_eq!(
            (&*identity.id, identity.root.as_path()),
            ("0123456789abcdef0123456789abcdef", Path::new("/srv/chat"))
        );
        identity.write(&layout).expect("written");
        assert_eq!(std::fs::read_to_string(layout.identity()).expect("text"), golden);
        std::fs::write(layout.identity(), golden.replace("\"format\": 1", "\"format\": 2")).expect("written");
        assert_eq!(Identity::read(&layout).expect_err("a newer one").exit, Exit::Refused);
    }
}
