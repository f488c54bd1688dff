//! From an archive to a directory under `releases/`.
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use crate::archive::{Limits, Unpacker};
use crate::durable::Staging;
use crate::edition::ReleaseId;
use crate::error::ReleaseError;
use crate::identity::Identity;
use crate::layout::{self, BINARY, IDENTITY, Release};
use crate::pack::pack_builtin;
use crate::run;

/// Where a release comes from.
pub enum Source {
    /// A `.tar.gz` or `.tar` file.
    Tarball(PathBuf),
    /// The built-in server: the `mainstay` binary itself, packed and unpacked without compression.
    Builtin {
        /// The binary that will be `bin/mattermost`.
        binary: PathBuf,
    },
    /// A stream of such a file.
    Reader {
        /// What errors call it.
        name: String,
        /// Its bytes.
        reader: Box<dyn Read + Send>,
    },
}

/// Unpacks a release into `releases`, an existing directory, under the name its own binary gives.
///
/// Blocks; run it where that is allowed. Nothing stays on failure, and what a killed run left is removed by the
/// next. A whole release that is there already is returned as it is.
pub fn unpack(source: Source, releases: &Path) -> Result<Release, ReleaseError> {
    unpack_within(source, releases, Limits::default())
}

/// [`unpack`] with limits of one's own.
pub fn unpack_within(source: Source, releases: &Path, limits: Limits) -> Result<Release, ReleaseError> {
    let staging = Staging::within(releases)?;
    let identity = fill(source, staging.path(), limits)?;
    let root = releases.join(identity.release.to_string());
    if fs::symlink_metadata(&root).is_ok() {
        return Release::open(&root);
    }
    staging.keep_as(&root)?;
    Release::open(&root)
}

/// Unpacks a release into `root`, an empty directory, to be copied from at once: it is neither synced nor made
/// read-only, and what a failure leaves there is the caller's to remove.
pub fn unpack_for_copy(source: Source, root: &Path) -> Result<Release, ReleaseError> {
    fill(source, root, Limits::default())?;
    Release::open(root)
}

/// Fills an empty directory with a whole release, which says who it is.
fn fill(source: Source, root: &Path, limits: Limits) -> Result<Identity, ReleaseError> {
    let name = extract(source, root, limits)?;
    layout::check(root).map_err(|problem| ReleaseError::Refused {
        archive: name,
        entry: None,
        why: problem,
    })?;
    let scratch = scratch()?;
    let identity = run::identify(&root.join(BINARY), scratch.path())?;
    let kept = root.join(IDENTITY);
    serde_json::to_vec_pretty(&identity)
        .map_err(io::Error::from)
        .and_then(|text| fs::write(&kept, text))
        .map_err(|e| ReleaseError::disk("write", &kept, e))?;
    Ok(identity)
}

/// Which release a tarball holds, by asking its binary; unpacks nothing else.
pub fn identify(tarball: &Path) -> Result<ReleaseId, ReleaseError> {
    let name = tarball.display().to_string();
    let unpacker = Unpacker { name: &name, limits: Limits::default() };
    let scratch = scratch()?;
    let binary = scratch.path().join("mattermost");
    if !unpacker.unpack_one(open(tarball)?, Path::new(BINARY), &binary)? {
        return Err(ReleaseError::Refused { archive: name, entry: None, why: format!("it has no {BINARY}") });
    }
    Ok(run::identify(&binary, scratch.path())?.release)
}

/// Unpacks any source; returns its name.
fn extract(source: Source, into: &Path, limits: Limits) -> Result<String, ReleaseError> {
    match source {
        Source::Tarball(path) => {
            let name = path.display().to_string();
            Unpacker { name: &name, limits }.unpack(open(&path)?, into)?;
            Ok(name)
        }
        Source::Reader { name, reader } => {
            Unpacker { name: &name, limits }.unpack(reader, into)?;
            Ok(name)
        }
        Source::Builtin { binary } => {
            let name = "the built-in server".to_owned();
            let (reader, writer) = io::pipe().map_err(|e| ReleaseError::disk("read", &binary, e))?;
            thread::scope(|scope| {
                let packing = scope.spawn(|| pack_builtin(&binary, writer));
                let unpacked = Unpacker { name: &name, limits }.unpack(reader, into);
                match (packing.join(), unpacked) {
                    // A failed disk on this side breaks the pipe on the other: the cause comes first.
                    (_, Err(error @ ReleaseError::Disk { .. })) => Err(error),
                    (Ok(Err(error)), _) => Err(error),
                    (_, unpacked) => unpacked,
                }
            })?;
            Ok(name)
        }
    }
}

fn open(path: &Path) -> Result<File, ReleaseError> {
    let file = File::open(path).map_err(|e| ReleaseError::disk("read", path, e))?;
    match file.metadata() {
        Ok(meta) if meta.is_dir() => {
            Err(ReleaseError::disk("read", path, io::Error::from(io::ErrorKind::IsADirectory)))
        }
        _ => Ok(file),
    }
}

fn scratch() -> Result<tempfile::TempDir, ReleaseError> {
    tempfile::tempdir().map_err(|e| ReleaseError::disk("write in", &std::env::temp_dir(), e))
}
