//! A folder of a snapshot, written back to a directory.
//!
//! Not by the engine's own restore: it ends the thread with a panic where a pack is damaged or the disk is full, and takes what the
//! file system refuses for a warning.
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustic_core::repofile::{Node, NodeType};
use rustic_core::{IndexedFullStatus, LsOptions};

use super::Repository;
use crate::error::Error;
use crate::parallel;
use crate::watch::Watch;

/// What was written, and looked at afterwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there already, with the size and the time of the snapshot: an interrupted restore goes on.
    pub kept: u64,
}

type Engine = rustic_core::Repository<IndexedFullStatus>;

impl Repository {
    /// Makes `into` what the folder is in the snapshot. What is there besides is removed; a file that is there with its size and
    /// its time is kept. Files belong to whoever runs this, with the modes of the snapshot.
    ///
    /// What is read is proven by the repository's authentication; afterwards each file's kind, size and time are looked at. The caller
    /// has the file system write them to the disk, once for all folders.
    ///
    /// # Errors
    /// There is no such snapshot or folder; the repository is damaged; the disk refuses; a file is not as it should be; it was
    /// cancelled.
    pub fn restore(&self, id: &str, folder: &str, into: &Path, watch: &dyn Watch) -> Result<Restored, Error> {
        let snapshot = self.file_of(id)?;
        let engine = self.indexed()?;
        let node = self.node(&engine, &snapshot, folder)?;
        if !node.is_dir() {
            let given = format!("{}:{folder} is a file; a folder", &snapshot.id.to_hex().as_str()[..8]);
            return Err(Error::NoSnapshot { given, nearest: None });
        }
        let listed = engine.ls(&node, &LsOptions::default()).map_err(|error| self.fail(&error))?;
        let items: Vec<(PathBuf, Node)> = listed
            .map(|item| item.map(|(path, node)| (into.join(path), node)).map_err(|error| self.fail(&error)))
            .collect::<Result<_, _>>()?;

        make_room(into, &items).map_err(|(path, error)| cannot_write(&path, &error))?;
        let restored = self.write_files(&engine, &items, watch)?;
        // The deepest first: writing in a directory changes its time.
        for (path, node) in items.iter().rev().filter(|(_, node)| node.is_dir()) {
            let mode = node.meta.mode.unwrap_or(0o700);
            fs::set_permissions(path, Permissions::from_mode(mode))
                .and_then(|()| set_time(&File::open(path)?, node))
                .map_err(|error| cannot_write(path, &error))?;
        }
        items.iter().try_for_each(|(path, node)| compare(path, node))?;
        Ok(restored)
    }

    /// Writes single files of a snapshot to new files, for their owner alone: all of them, or none.
    ///
    /// # Errors
    /// There is no such snapshot or file; something is there already; the repository is damaged; the disk refuses; it was cancelled.
    pub fn extract(&self, id: &str, files: &[(String, PathBuf)], watch: &dyn Watch) -> Result<u64, Error> {
        let snapshot = self.file_of(id)?;
        let engine = self.indexed()?;
        // By the trees once, and not from the root for each.
        let root = self.node(&engine, &snapshot, "")?;
        let listed = engine.ls(&root, &LsOptions::default()).map_err(|error| self.fail(&error))?;
        let nodes: HashMap<PathBuf, Node> =
            listed.collect::<Result<_, _>>().map_err(|error| self.fail(&error))?;
        let mut items = Vec::with_capacity(files.len());
        for (name, to) in files {
            let given = |what: &str| format!("{}:{name}{what}", &snapshot.id.to_hex().as_str()[..8]);
            let missing = |what| Error::NoSnapshot { given: given(what), nearest: None };
            let mut node = nodes.get(Path::new(name)).cloned().ok_or_else(|| missing(""))?;
            if !node.is_file() {
                return Err(missing(" is no file; a file"));
            }
            if to.symlink_metadata().is_ok() {
                return Err(cannot_write(to, &io::Error::from(io::ErrorKind::AlreadyExists)));
            }
            node.meta.mode = Some(0o600);
            if let Some(parent) = to.parent() {
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
                made.map_err(|error| cannot_write(parent, &error))?;
            }
            items.push((to.clone(), node));
        }
        let written = self.write_files(&engine, &items, watch);
        if written.is_err() {
            // None of them was there before, and half a file looks like a whole one.
            items.iter().for_each(|(path, _)| drop(fs::remove_file(path)));
        }
        let restored = written?;
        if let Some((path, _)) = items.first() {
            let file = File::open(path).map_err(|error| cannot_write(path, &error))?;
            rustix::fs::syncfs(file).map_err(|error| cannot_write(path, &error.into()))?;
        }
        items.iter().try_for_each(|(path, node)| compare(path, node))?;
        Ok(restored.bytes)
    }

    fn write_files(
        &self,
        engine: &Engine,
        items: &[(PathBuf, Node)],
        watch: &dyn Watch,
    ) -> Result<Restored, Error> {
        let kept = AtomicU64::new(0);
        parallel::for_each(
            parallel::FILES,
            items,
            |(_, node)| node.meta.size,
            watch,
            |(path, node)| {
                if node.is_file() && compare(path, node).is_ok() {
                    kept.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                self.write_item(engine, path, node)
            },
        )?;
        let files = items.iter().filter(|(_, node)| node.is_file());
        let bytes = items.iter().map(|(_, node)| node.meta.size).sum();
        Ok(Restored { files: files.count() as u64, bytes, kept: kept.into_inner() })
    }

    fn write_item(&self, engine: &Engine, path: &Path, node: &Node) -> Result<(), Error> {
        let fail = |error: io::Error| cannot_write(path, &error);
        match &node.node_type {
            NodeType::File => {
                let mode = node.meta.mode.unwrap_or(0o600);
                let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                let mut out = Remembering { to: BufWriter::new(opened.map_err(fail)?), failure: None };
                let read = engine.dump(node, &mut out).map_err(|error| self.fail(&error));
                // The engine's error hides the file's own.
                if let Some(error) = out.failure {
                    return Err(fail(error));
                }
                read?;
                let file = out.to.into_inner().map_err(|error| fail(error.into_error()))?;
                file.set_permissions(Permissions::from_mode(mode)).map_err(fail)?;
                // Last: the time says that the file is whole.
                set_time(&file, node).map_err(fail)
            }
            NodeType::Symlink { .. } => {
                std::os::unix::fs::symlink(node.node_type.to_link(), path).map_err(fail)
            }
            _ => Ok(()),
        }
    }
}

/// A writer that keeps its error.
struct Remembering<W> {
    to: W,
    failure: Option<io::Error>,
}

impl<W: Write> Write for Remembering<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.to.write(buffer).map_err(|error| {
            let same = io::Error::from(error.kind());
            self.failure.get_or_insert(error);
            same
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    Error::Unwritable { path: path.to_owned(), why: finding::disk::explained(error) }
}

fn set_time(file: &File, node: &Node) -> io::Result<()> {
    let Some(time) = node.meta.mtime else { return Ok(()) };
    let since = Duration::try_from(time.as_duration()).unwrap_or_default();
    file.set_modified(SystemTime::UNIX_EPOCH + since)
}

/// Makes the directories, and removes what is in the way: what the snapshot does not have, and files that are not as it has them.
fn make_room(into: &Path, items: &[(PathBuf, Node)]) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let directory = |path: &Path| match fs::symlink_metadata(path) {
        // Until it is complete nobody else reads it.
        Ok(meta) if meta.is_dir() => fs::set_permissions(path, Permissions::from_mode(0o700)),
        Ok(_) => fs::remove_file(path).and_then(|()| fs::DirBuilder::new().mode(0o700).create(path)),
        Err(_) => fs::DirBuilder::new().recursive(true).mode(0o700).create(path),
    };
    directory(into).map_err(at(into))?;
    let wanted: HashMap<&Path, &Node> = items.iter().map(|(path, node)| (path.as_path(), node)).collect();
    let mut walk = walkdir::WalkDir::new(into).min_depth(1).into_iter();
    while let Some(entry) = walk.next() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(into).to_owned();
            (path, error.into_io_error().unwrap_or_else(|| io::Error::other("a loop of links")))
        })?;
        let path = entry.path();
        let is_directory = entry.file_type().is_dir();
        match wanted.get(path) {
            Some(node) if is_directory && node.is_dir() => {}
            Some(node) if !is_directory && node.is_file() && compare(path, node).is_ok() => {}
            _ if is_directory => {
                walk.skip_current_dir();
                fs::remove_dir_all(path).map_err(at(path))?;
            }
            _ => fs::remove_file(path).map_err(at(path))?,
        }
    }
    items.iter().filter(|(_, node)| node.is_dir()).try_for_each(|(path, _)| directory(path).map_err(at(path)))
}

/// Whether what lies on the disk is what the snapshot has.
fn compare(path: &Path, node: &Node) -> Result<(), Error> {
    let unlike = |why: String| Error::Unlike { path: path.to_owned(), why };
    let meta = path.symlink_metadata().map_err(|error| unlike(finding::disk::explained(&error)))?;
    let same = match &node.node_type {
        NodeType::Dir => meta.is_dir(),
        NodeType::File => meta.is_file(),
        NodeType::Symlink { .. } => {
            let target = fs::read_link(path).map_err(|error| unlike(error.to_string()))?;
            meta.is_symlink() && target == node.node_type.to_link()
        }
        _ => return Ok(()),
    };
    if !same {
        return Err(unlike("it is of another kind".to_owned()));
    }
    if node.is_file() {
        if meta.len() != node.meta.size {
            return Err(unlike(format!("it has {} bytes, not {}", meta.len(), node.meta.size)));
        }
        let time = node.meta.mtime.map(|time| (time.as_second(), i64::from(time.subsec_nanosecond())));
        if time.is_some_and(|time| time != (meta.mtime(), meta.mtime_nsec())) {
            return Err(unlike("its time of change is another".to_owned()));
        }
    }
    Ok(())
}
