//! From an archive to a directory under `releases/`.
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::thread;

use host::Shim;

use crate::archive::{Limits, Unpacker};
use crate::cache::Cache;
use crate::durable::Staging;
use crate::edition::{ReleaseId, published};
use crate::error::ReleaseError;
use crate::identity::Identity;
use crate::layout::{self, BINARY, IDENTITY, MANIFEST, Release};
use crate::origin::Origin;
use crate::pack::pack_builtin;
use crate::run::{self, Asking};

/// The programs of Mainstay that releases need.
#[derive(Debug, Clone, Copy)]
pub struct Programs<'a> {
    /// What the built-in server is made of.
    pub mainstay: &'a Path,
    /// What confines a server that is asked for its version.
    pub confining: &'a Shim,
    /// What somebody says the release is: it counts where the server cannot say it, before 5.28.
    pub told: Option<&'a ReleaseId>,
}

impl<'a> Programs<'a> {
    fn asking(self) -> Asking<'a> {
        Asking { confining: self.confining, told: self.told }
    }
}

/// Unpacks a release into `releases`, an existing directory, under the name that its own binary gives. That binary is run
/// for it, confined: see [`host::confine`].
///
/// Blocks; run it where that is allowed. A failure leaves nothing behind, and the next call removes what a killed one
/// left. A whole release that is there already is returned as it is.
///
/// # Errors
/// The archive is damaged or not a release; the disk refuses; the release is a download, which nothing fetches yet.
pub fn unpack(origin: &Origin, programs: Programs<'_>, releases: &Path) -> Result<Release, ReleaseError> {
    unpack_source(Source::of(origin, programs.mainstay)?, programs.asking(), releases, Limits::default())
}

/// [`unpack`] for the bytes of such a file, as they come. `name` is for errors.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_stream(
    name: &str,
    stream: impl Read,
    confining: &Shim,
    releases: &Path,
    limits: Limits,
) -> Result<Release, ReleaseError> {
    let source = Source::Stream { name: name.to_owned(), stream: Box::new(stream) };
    unpack_source(source, Asking { confining, told: None }, releases, limits)
}

/// Unpacks a release into `root`, an empty directory, to be copied from at once: it is neither synced nor made
/// read-only, and after a failure the caller must remove what is there.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_for_copy(
    origin: &Origin,
    programs: Programs<'_>,
    root: &Path,
) -> Result<Release, ReleaseError> {
    fill(Source::of(origin, programs.mainstay)?, programs.asking(), root, Limits::default())?;
    Release::open(root)
}

/// What is unpacked.
enum Source<'a> {
    File(Cow<'a, Path>),
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
            Origin::File { path } => Ok(Self::File(path.into())),
            Origin::Published { wish, cache } => {
                Ok(Self::File(Cache::at(cache).tarball(&wish.file()).into()))
            }
            Origin::Download { release, url, .. } => {
                Err(ReleaseError::NotFetched { release: release.to_string(), url: url.to_string() })
            }
        }
    }
}

fn unpack_source(
    source: Source<'_>,
    asking: Asking<'_>,
    releases: &Path,
    limits: Limits,
) -> Result<Release, ReleaseError> {
    let staging = Staging::within(releases)?;
    let identity = fill(source, asking, staging.path(), limits)?;
    let root = releases.join(identity.release.to_string());
    if fs::symlink_metadata(&root).is_ok() {
        return Release::open(&root);
    }
    staging.keep_as(&root)?;
    Release::open(&root)
}

/// Unpacks into an empty directory and asks the binary for its identity.
fn fill(
    source: Source<'_>,
    asking: Asking<'_>,
    root: &Path,
    limits: Limits,
) -> Result<Identity, ReleaseError> {
    let from_file = !matches!(source, Source::Builtin(_));
    let name = extract(source, root, limits)?;
    layout::check(root).map_err(|problem| ReleaseError::Refused {
        archive: name,
        entry: None,
        why: problem,
    })?;
    let (identity, _) = run::identify(&root.join(BINARY), asking)?;
    let identity = Identity { from_file, ..identity };
    let kept = root.join(IDENTITY);
    serde_json::to_vec_pretty(&identity)
        .map_err(io::Error::from)
        .and_then(|text| fs::write(&kept, text))
        .map_err(|e| ReleaseError::disk("write", &kept, e))?;
    Ok(identity)
}

/// A release as its own server names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// Which one.
    pub release: ReleaseId,
    /// Which build its server is, as [`host::build::id`] says.
    pub build: String,
    /// What could not be kept from the server while it was asked; each in words, and usually none.
    pub reached: Vec<String>,
}

/// Which release a tarball holds, by asking its binary, confined; unpacks nothing else. `told` counts where the server cannot say it.
///
/// # Errors
/// As [`unpack`].
pub fn identify(
    tarball: &Path,
    confining: &Shim,
    told: Option<&ReleaseId>,
) -> Result<Identified, ReleaseError> {
    let name = tarball.display().to_string();
    let unpacker = Unpacker { name: &name, limits: Limits::default() };
    let scratch = scratch()?;
    let binary = scratch.path().join("mattermost");
    if !unpacker.unpack_one(open(tarball)?, Path::new(BINARY), &binary)? {
        return Err(no_server(name));
    }
    let (identity, reached) = run::identify(&binary, Asking { confining, told })?;
    let build = host::build::id(&binary).map_err(|e| ReleaseError::disk("read", &binary, e))?;
    Ok(Identified { release: identity.release, build, reached })
}

/// Which release a tarball says that it holds, with nothing of it run: by the file's name as Mattermost publishes it, or
/// by its own `manifest.txt`. `None` = neither says it.
///
/// # Errors
/// It is damaged, or has no server.
pub fn claimed(tarball: &Path) -> Result<Option<ReleaseId>, ReleaseError> {
    let name = tarball.display().to_string();
    let unpacker = Unpacker { name: &name, limits: Limits::default() };
    let said = tarball.file_name().and_then(|name| name.to_str()).and_then(published);
    let manifest = Path::new(MANIFEST);
    let found = match &said {
        Some(_) => unpacker.heads(open(tarball)?, &[Path::new(BINARY)])?,
        None => unpacker.heads(open(tarball)?, &[Path::new(BINARY), manifest])?,
    };
    if !found.contains_key(Path::new(BINARY)) {
        return Err(no_server(name));
    }
    let first_line = |text: &Vec<u8>| String::from_utf8_lossy(text).lines().next()?.trim().parse().ok();
    Ok(said.or_else(|| found.get(manifest).and_then(first_line)))
}

fn no_server(archive: String) -> ReleaseError {
    ReleaseError::Refused { archive, entry: None, why: format!("it has no {BINARY}") }
}

/// Unpacks any source; returns its name.
fn extract(source: Source<'_>, into: &Path, limits: Limits) -> Result<String, ReleaseError> {
    match source {
        Source::File(path) => {
            let name = path.display().to_string();
            Unpacker { name: &name, limits }.unpack(open(&path)?, into)?;
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
