//! The snapshots of a repository.
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustic_core::repofile::{Node, SnapshotFile};
use rustic_core::{IndexedFullStatus, LsOptions};

use super::{DAMAGED, INCOMPLETE, OF, Repository};
use crate::error::Error;
use crate::manifest::{FORMAT, Manifest};
use crate::watch::Silent;

/// The manifest's name in a snapshot. It is the last part.
pub(super) const MANIFEST: &str = "mainstay.json";
/// No manifest is larger.
const LARGEST_MANIFEST: u64 = 4 << 20;
/// How far the clocks of two machines may differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_hours(1);

/// A snapshot that is complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Its id, in full; the first eight digits are enough for people.
    pub id: String,
    /// When it was taken.
    pub time: Timestamp,
    /// The host that it was taken on.
    pub host: String,
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that the repository grew by.
    pub added: u64,
    /// Whether [`Repository::repair`] found that it has lost data: it is not restored, and what is left of it can be extracted.
    pub damaged: bool,
}

/// Whether it is complete and holds what we write.
pub(super) fn of_ours(snapshot: &SnapshotFile) -> bool {
    !snapshot.tags.contains(INCOMPLETE)
}

/// Whether a repair found that it has lost data.
pub(super) fn is_damaged(snapshot: &SnapshotFile) -> bool {
    snapshot.tags.contains(DAMAGED)
}

/// The deployment that a snapshot names; empty where it names none.
fn deployment_of(snapshot: &SnapshotFile) -> &str {
    snapshot.tags.iter().find_map(|tag| tag.strip_prefix(OF)).unwrap_or_default()
}

/// Refuses a snapshot that is dated after now as the newest: there may be a newer one that was dated by a clock which was right.
fn refuse_ahead(newest: &SnapshotFile, now: Timestamp) -> Result<(), Error> {
    let time = newest.time.timestamp();
    match time.duration_since(now) > CLOCKS_DIFFER {
        false => Ok(()),
        true => Err(Error::Ahead { id: newest.id.to_hex().as_str()[..8].to_owned(), time, now }),
    }
}

impl Snapshot {
    pub(super) fn of(file: &SnapshotFile) -> Snapshot {
        let summary = file.summary.clone().unwrap_or_default();
        Snapshot {
            id: file.id.to_hex().to_string(),
            time: file.time.timestamp(),
            host: file.hostname.clone(),
            files: summary.total_files_processed,
            bytes: summary.total_bytes_processed,
            added: summary.data_added_packed,
            damaged: is_damaged(file),
        }
    }
}

/// When a moment, as people write it, has ended: a day at midnight, a minute after its last second. `None` = it is no moment.
fn end_of(given: &str) -> Option<Timestamp> {
    // An id has digits and letters alone.
    if !given.contains('-') {
        return None;
    }
    if let Ok(moment) = given.parse::<Timestamp>() {
        return moment.checked_add(SignedDuration::from_secs(1)).ok();
    }
    let here = jiff::tz::TimeZone::system();
    let (date, time) = given.split_once(['T', ' ']).map_or((given, None), |(date, time)| (date, Some(time)));
    let date: jiff::civil::Date = date.parse().ok()?;
    let end = match time {
        None => date.tomorrow().ok()?.to_datetime(jiff::civil::Time::midnight()),
        Some(time) => {
            let time: jiff::civil::Time = time.parse().ok()?;
            let span = if given.matches(':').count() < 2 { 60 } else { 1 };
            date.to_datetime(time).checked_add(SignedDuration::from_secs(span)).ok()?
        }
    };
    here.to_timestamp(end).ok()
}

impl Repository {
    /// All complete snapshots, oldest first.
    ///
    /// # Errors
    /// The place refuses; the repository is damaged.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        let mut all: Vec<Snapshot> = self.complete_ones()?.iter().map(Snapshot::of).collect();
        all.sort_by_key(|snapshot| snapshot.time);
        Ok(all)
    }

    pub(super) fn complete_ones(&self) -> Result<Vec<SnapshotFile>, Error> {
        let all = self.engine(Arc::new(Silent))?.get_all_snapshots().map_err(|error| self.fail(&error))?;
        Ok(all.into_iter().filter(of_ours).collect())
    }

    /// The complete snapshot whose id begins so; `latest` is the newest that has lost nothing, and a moment (`2026-11-27`, `2026-11-27T14:30`, with or
    /// without an offset) is the newest that was taken before it ended. Of several deployments that share the repository, the one that uses it counts.
    ///
    /// # Errors
    /// There is none, or several.
    pub fn snapshot(&self, given: &str) -> Result<Snapshot, Error> {
        self.file_of(given).map(|file| Snapshot::of(&file))
    }

    pub(super) fn file_of(&self, given: &str) -> Result<SnapshotFile, Error> {
        let mut all = self.complete_ones()?;
        let sound = |mut all: Vec<SnapshotFile>| {
            all.retain(|file| !is_damaged(file));
            all
        };
        if given == "latest" {
            return self.newest(given, sound(all));
        }
        if let Some(end) = end_of(given) {
            all = sound(all);
            all.retain(|file| file.time.timestamp() < end);
            return self.newest(given, all);
        }
        let id = |file: &SnapshotFile| file.id.to_hex().to_string();
        let ids: Vec<String> = all.iter().map(id).collect();
        all.retain(|file| !given.is_empty() && id(file).starts_with(given));
        match all.len() {
            1 => Ok(all.remove(0)),
            0 => {
                let short = |id: &String| id[..8].to_owned();
                let shorts: Vec<String> = ids.iter().map(short).collect();
                let nearest = finding::nearest(given, shorts.iter().map(String::as_str)).map(str::to_owned);
                Err(Error::NoSnapshot { given: given.to_owned(), nearest })
            }
            count => Err(Error::Ambiguous { given: given.to_owned(), count }),
        }
    }

    /// The newest of this deployment. Where it has none, or where no deployment asks: the newest, as long as all are of one.
    fn newest(&self, given: &str, mut all: Vec<SnapshotFile>) -> Result<SnapshotFile, Error> {
        if all.iter().any(|file| self.is_own(file)) {
            all.retain(|file| self.is_own(file));
        }
        let deployments: BTreeSet<&str> = all.iter().map(deployment_of).collect();
        if deployments.len() > 1 {
            return Err(Error::Shared { given: given.to_owned(), count: deployments.len() });
        }
        let newest = all.into_iter().max_by(|one, other| one.time.cmp(&other.time));
        let newest = newest.ok_or_else(|| Error::NoSnapshot { given: given.to_owned(), nearest: None })?;
        refuse_ahead(&newest, Timestamp::now())?;
        Ok(newest)
    }

    /// Whether a snapshot names the deployment that uses this repository.
    pub(super) fn is_own(&self, file: &SnapshotFile) -> bool {
        self.deployment.as_deref().is_some_and(|id| !id.is_empty() && deployment_of(file) == id)
    }

    /// What a snapshot says of itself.
    ///
    /// # Errors
    /// It is not one of ours, or of a newer format.
    pub fn manifest(&self, id: &str) -> Result<Manifest, Error> {
        self.manifest_of(&self.file_of(id)?)
    }

    pub(super) fn manifest_of(&self, file: &SnapshotFile) -> Result<Manifest, Error> {
        let unreadable = |why: String| Error::Manifest { id: file.id.to_hex().as_str()[..8].to_owned(), why };
        let engine = self.indexed()?;
        let node = engine.node_from_path(file.tree, Path::new(MANIFEST)).map_err(|error| {
            match self.fail(&error) {
                // A pack that is gone is damage, and not a snapshot of somebody else's.
                Error::Damaged { why, .. } if !why.ends_with("is missing") => {
                    unreadable(format!("it has no {MANIFEST}: Mainstay did not make it"))
                }
                error => error,
            }
        })?;
        if node.meta.size > LARGEST_MANIFEST {
            return Err(unreadable(format!("{MANIFEST} has {} bytes", node.meta.size)));
        }
        let mut text = Vec::new();
        engine.dump(&node, &mut text).map_err(|error| self.fail(&error))?;
        /// Read first: what a newer format has besides is not for us to judge.
        #[derive(serde::Deserialize)]
        struct Format {
            format: u32,
        }
        let format: Format = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        if format.format > FORMAT {
            let why =
                format!("it has format {}; this version of Mainstay reads up to {FORMAT}", format.format);
            return Err(unreadable(why));
        }
        serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))
    }

    /// Files and folders below `folder` (`""`: all) of a snapshot, by name, with their sizes in bytes.
    ///
    /// # Errors
    /// There is no such folder; the repository is damaged.
    pub fn files(&self, id: &str, folder: &str) -> Result<Vec<(String, u64)>, Error> {
        let file = self.file_of(id)?;
        let engine = self.indexed()?;
        let node = self.node(&engine, &file, folder)?;
        let listed = engine.ls(&node, &LsOptions::default()).map_err(|error| self.fail(&error))?;
        listed
            .filter(|item| item.as_ref().map_or(true, |(_, node)| node.is_file()))
            .map(|item| {
                let (path, node) = item.map_err(|error| self.fail(&error))?;
                Ok((path.to_string_lossy().into_owned(), node.meta.size))
            })
            .collect()
    }

    /// Writes a file of a snapshot to `out`, or a folder's pieces one after the other: a dump.
    ///
    /// # Errors
    /// There is no such name; the repository is damaged; `out` refuses.
    pub fn dump(&self, id: &str, name: &str, out: &mut impl Write) -> Result<u64, Error> {
        let file = self.file_of(id)?;
        let engine = self.indexed()?;
        let node = self.node(&engine, &file, name)?;
        let listed = engine.ls(&node, &LsOptions::default()).map_err(|error| self.fail(&error))?;
        let mut written = 0;
        for item in listed {
            let (_, node) = item.map_err(|error| self.fail(&error))?;
            if node.is_file() {
                engine.dump(&node, out).map_err(|error| self.fail(&error))?;
                written += node.meta.size;
            }
        }
        Ok(written)
    }

    pub(super) fn indexed(&self) -> Result<rustic_core::Repository<IndexedFullStatus>, Error> {
        self.engine(Arc::new(Silent))?.to_indexed().map_err(|error| self.fail(&error))
    }

    /// The node of a name in a snapshot; `""` is its root.
    pub(super) fn node(
        &self,
        engine: &rustic_core::Repository<IndexedFullStatus>,
        file: &SnapshotFile,
        name: &str,
    ) -> Result<Node, Error> {
        engine.node_from_path(file.tree, Path::new(name)).map_err(|_| Error::NoSnapshot {
            given: format!("{}:{name}", &file.id.to_hex().as_str()[..8]),
            nearest: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_dated_after_now_is_not_the_newest() {
        let dated = |text: &str| {
            let time = text.parse::<Timestamp>().expect("a moment").to_zoned(jiff::tz::TimeZone::UTC);
            rustic_core::SnapshotOptions::default().time(time).to_snapshot().expect("a snapshot")
        };
        let now = "2026-11-27T12:00:00Z".parse().expect("a moment");
        for text in ["1970-01-01T00:00:00Z", "2026-11-27T12:00:00Z", "2026-11-27T12:59:00Z"] {
            refuse_ahead(&dated(text), now).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        let refused = refuse_ahead(&dated("2027-11-27T12:00:00Z"), now).expect_err("a year ahead");
        assert!(refused.to_string().contains("which one is the newest cannot be told"), "{refused}");
    }

    #[test]
    fn a_moment_is_told_from_an_id() {
        for text in ["latest", "2026", "20261127", "0a1b2c3d", "2026-13-01", "a-b", "2026-11-27T25:00"] {
            assert_eq!(end_of(text), None, "{text}");
        }
        let end = |text: &str| end_of(text).unwrap_or_else(|| panic!("{text}")).to_string();
        assert_eq!(end("2026-11-27T14:30:05Z"), "2026-11-27T14:30:06Z");
        assert_eq!(end("2026-11-27T14:30:05+02:00"), "2026-11-27T12:30:06Z");
        assert!(end_of("2026-11-27") > end_of("2026-11-27 14:30"));
        assert!(end_of("2026-11-27 14:30") > end_of("2026-11-27T14:30:05"));
    }
}
