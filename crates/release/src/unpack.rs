//! From an archive to a directory under `releases/`.
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::thread;

use crate::archive::{Limits, Unpacker};
use crate::durable::Staging;
use crate::edition::ReleaseId;
use crate::error::ReleaseError;
use crate::identity::Identity;
use crate::layout::{self, BINARY, IDENTITY, Release};
use crate::origin::Origin;
use crate::pack::pack_builtin;
use crate::run;

/// Unpacks a release into `releases`, an existing directory, under the name that its own binary gives. The built-in
/// server is made of `mainstay`.
///
/// Blocks; run it where that is allowed. A failure leaves nothing behind, and the next call removes what a killed one
/// left. A whole release that is there already is returned as it is.
///
/// # Errors
/// The archive is damaged or not a release; the disk refuses; the release is a download, which nothing fetches yet.
pub fn unpack(origin: &Origin, mainstay: &Path, releases: &Path) -> Result<Release, ReleaseError> {
    unpack_source(Source::of(origin, mainstay)?, releases, Limits::default())
}

/// [`unpack`] for the bytes of such a file, as they come. `name` is for errors.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_stream(
    name: &str,
    stream: impl Read,
    releases: &Path,
    limits: Limits,
) -> Result<Release, ReleaseError> {
    unpack_source(Source::Stream { name: name.to_owned(), stream: Box::new(stream) }, releases, limits)
}

/// Unpacks a release into `root`, an empty directory, to be copied from at once: it is neither synced nor made
/// read-only, and after a failure the caller must remove what is there.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_for_copy(origin: &Origin, mainstay: &Path, root: &Path) -> Result<Release, ReleaseError> {
    fill(Source::of(origin, mainstay)?, root, Limits::default())?;
    Release::open(root)
}

/// What is unpacked.
enum Source<'a> {
    File(&'a Path),
    /// Packed and unpacked without compression.
    Builtin(&'a Path),
    Stream {
        name: String,
        stream: Box<dyn Read + 'a>,
    },
}

impl<'a> Source<'a> {
    fn of(origin: &'a Origin, mainstay: &'a Path) -> Result<Self, ReleaseError> {
        match origin {
            Origin::Builtin => Ok(Self::Builtin(mainstay)),
            Origin::File { path } => Ok(Self::File(path)),
            Origin::Download { release, url, .. } => {
                Err(ReleaseError::NotFetched { release: release.to_string(), url: url.to_string() })
            }
        }
    }
}

fn unpack_source(source: Source<'_>, releases: &Path, limits: Limits) -> Result<Release, ReleaseError> {
    let staging = Staging::within(releases)?;
    let identity = fill(source, staging.path(), limits)?;
    let root = releases.join(identity.release.to_string());
    if fs::symlink_metadata(&root).is_ok() {
        return Release::open(&root);
    }
    staging.keep_as(&root)?;
    Release::open(&root)
}

/// Unpacks into an empty directory and asks the binary for its identity.
fn fill(source: Source<'_>, root: &Path, limits: Limits) -> Result<Identity, ReleaseError> {
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
fn extract(source: Source<'_>, into: &Path, limits: Limits) -> Result<String, ReleaseError> {
    match source {
        Source::File(path) => {
            let name = path.display().to_string();
            Unpacker { name: &name, limits }.unpack(open(path)?, into)?;
            Ok(name)
        }
        Source::Stream { name, stream } => {
            Unpacker { name: &name, limits }.unpack(stream, into)?;
            Ok(name)
        }
        Source::Builtin(binary) => {
            let name = "the built-in server".to_owned();
            let (reader, writer) = io::pipe().map_err(|e| ReleaseError::disk("read", binary, e))?;
            thread::scope(|scope| {
                let packing = scope.spawn(|| pack_builtin(binary, writer));
                let unpacked = Unpacker { name: &name, limits }.unpack(reader, into);
                match (packing.join(), unpacked) {
                    // A failed disk here breaks the pipe there: report the cause.
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
