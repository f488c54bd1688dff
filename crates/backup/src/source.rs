//! A [`Set`] as the engine reads it, and what went wrong meanwhile. The engine takes errors for warnings; the [`Trail`] keeps them.
use std::fs::{File, Metadata as FileMetadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes, buf::Reader};
use jiff::Timestamp;
use rustic_core::repofile::{Metadata, Node, NodeType};
use rustic_core::{ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult};
use walkdir::WalkDir;

use crate::error::Error;
use crate::pieces::Pieces;
use crate::set::{Content, Counted, Dump};

/// A part as it is read: a second attempt does not dump the database again.
pub(crate) enum Input {
    /// For the first time.
    New(Content),
    /// The pieces that the [`Trail`] knows; the engine finds them in the snapshot of the attempt before.
    Known,
}
use crate::watch::Watch;

/// What happened while a set was read.
#[derive(Default)]
struct Events {
    /// The first error that makes the snapshot worthless.
    failure: Option<Error>,
    /// Files that changed, shrank or vanished between the look at them and the end of reading.
    changed: Vec<PathBuf>,
    counted: Counted,
    /// The pieces of dumps: they are not read twice.
    pieces: Vec<(PathBuf, Node)>,
}

/// Shared by the source and everything that it has opened.
#[derive(Clone)]
pub(crate) struct Trail {
    events: Arc<Mutex<Events>>,
    watch: Arc<dyn Watch>,
}

impl Trail {
    pub(crate) fn new(watch: Arc<dyn Watch>) -> Trail {
        Trail { events: Arc::default(), watch }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Events) -> T) -> T {
        change(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fail(&self, error: Error) -> io::Error {
        self.change(|events| {
            events.failure.get_or_insert(error);
        });
        io::Error::other("given up")
    }

    /// Whether reading is to end: somebody cancelled, or it failed already.
    fn ended(&self) -> bool {
        if self.watch.cancelled() {
            self.fail(Error::Cancelled);
        }
        self.change(|events| events.failure.is_some())
    }

    /// The failure, if there was one.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.change(|events| events.failure.take())
    }

    /// The files that changed while they were read, and none from now on.
    pub(crate) fn take_changed(&self) -> Vec<PathBuf> {
        self.change(|events| std::mem::take(&mut events.changed))
    }
}

/// A set, to be read once. What was a dump is remembered by the [`Trail`] for the next attempt.
pub(crate) struct Source {
    parts: Mutex<Option<Vec<(String, Input)>>>,
    trail: Trail,
}

impl Source {
    pub(crate) fn new(parts: Vec<(String, Input)>, trail: &Trail) -> Source {
        Source { parts: Mutex::new(Some(parts)), trail: trail.clone() }
    }
}

type Item = RusticResult<ReadSourceEntry<Opening>>;

impl ReadSource for Source {
    type Open = Opening;
    type Iter = Box<dyn Iterator<Item = Item> + Send>;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Self::Iter {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.trail.change(|events| {
            events.counted = Counted { dumped: events.counted.dumped, ..Counted::default() }
        });
        let (trail, watching) = (self.trail.clone(), self.trail.clone());
        let entries = parts.into_iter().flatten().flat_map(move |part| part_entries(part, &trail));
        // An error has been kept by the trail; nothing that comes after it is worth reading.
        Box::new(entries.map_while(move |entry| if watching.ended() { None } else { entry.ok().map(Ok) }))
    }
}

type Entries = Box<dyn Iterator<Item = io::Result<ReadSourceEntry<Opening>>> + Send>;

fn part_entries((name, input): (String, Input), trail: &Trail) -> Entries {
    let name = PathBuf::from(name);
    let trail = trail.clone();
    let content = match input {
        Input::New(content) => content,
        Input::Known => {
            let pieces = trail.change(|events| events.pieces.clone()).into_iter();
            let pieces = pieces.filter(move |(path, _)| path.starts_with(&name));
            return Box::new(pieces.map(|(path, node)| Ok(ReadSourceEntry { path, node, open: None })));
        }
    };
    match content {
        Content::Dump(dump) => dump_entries(name, dump, trail),
        Content::File(path) => Box::new(std::iter::once_with(move || {
            let meta =
                std::fs::symlink_metadata(&path).map_err(|error| trail.fail(unreadable(&path, &error)))?;
            Ok(file_entry(name, path, &meta, &trail))
        })),
        Content::Tree { root, skip } => tree_entries(name, &root, skip, trail),
        Content::Last(make) => Box::new(std::iter::once_with(move || {
            let counted = trail.change(|events| events.counted);
            let bytes = make(counted).map_err(|error| trail.fail(error))?;
            Ok(memory_entry(name, bytes.into()))
        })),
    }
}

/// The pieces of a dump; the check of its end stands where the next piece would be.
fn dump_entries(folder: PathBuf, dump: Box<dyn Dump>, trail: Trail) -> Entries {
    let mut pieces = Pieces::new(dump);
    let mut number = 0u32;
    let mut ended = false;
    Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        match pieces.next() {
            Some(Ok(piece)) => {
                number += 1;
                let entry = memory_entry(folder.join(format!("{number:06}")), piece.clone());
                trail.change(|events| {
                    events.counted.dumped += piece.len() as u64;
                    events.pieces.push((entry.path.clone(), entry.node.clone()));
                });
                Some(Ok(entry))
            }
            Some(Err(error)) => {
                ended = true;
                Some(Err(trail.fail(Error::Dump(finding::disk::explained(&error)))))
            }
            None => {
                ended = true;
                pieces.stream().finish().err().map(|why| Err(trail.fail(Error::Dump(why))))
            }
        }
    }))
}

fn tree_entries(name: PathBuf, root: &Path, skip: Vec<PathBuf>, trail: Trail) -> Entries {
    let below = root.to_owned();
    let walk = WalkDir::new(root).sort_by_file_name().into_iter();
    let walk = walk.filter_entry(move |entry| !skip.iter().any(|path| path == entry.path()));
    Box::new(walk.filter_map(move |entry| {
        let gone = |error: &walkdir::Error| {
            error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        let entry = match entry {
            Ok(entry) => entry,
            // It was removed after its directory was listed, or there is no such tree at all.
            Err(error) if gone(&error) => return None,
            Err(error) => {
                let path = error.path().unwrap_or(&below).to_owned();
                let error = error.into_io_error().unwrap_or_else(|| io::Error::other("a loop of links"));
                return Some(Err(trail.fail(unreadable(&path, &error))));
            }
        };
        let path = entry.path();
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            Err(error) if gone(&error) => return None,
            Err(error) => {
                let error = error.into_io_error().unwrap_or_else(|| io::Error::other("a loop of links"));
                return Some(Err(trail.fail(unreadable(path, &error))));
            }
        };
        let place = name.join(path.strip_prefix(&below).unwrap_or(path));
        // `join` of nothing leaves a slash at the end.
        let place: PathBuf = place.components().collect();
        if meta.is_dir() {
            return Some(Ok(entry_of(place, NodeType::Dir, &meta, None)));
        }
        if meta.is_file() {
            return Some(Ok(file_entry(place, path.to_owned(), &meta, &trail)));
        }
        if meta.is_symlink() {
            return match std::fs::read_link(path) {
                Ok(target) => Some(Ok(entry_of(place, NodeType::from_link(&target), &meta, None))),
                Err(error) => Some(Err(trail.fail(unreadable(path, &error)))),
            };
        }
        None
    }))
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::Unreadable { path: path.to_owned(), why: finding::disk::explained(error) }
}

fn file_entry(place: PathBuf, path: PathBuf, meta: &FileMetadata, trail: &Trail) -> ReadSourceEntry<Opening> {
    trail.change(|events| {
        events.counted.files += 1;
        events.counted.bytes += meta.len();
    });
    let opening = Opening::File(Reading { path, seen: Seen::of(meta), trail: trail.clone() });
    entry_of(place, NodeType::File, meta, Some(opening))
}

fn memory_entry(place: PathBuf, bytes: Bytes) -> ReadSourceEntry<Opening> {
    let now = Timestamp::now();
    let meta = Metadata {
        mode: Some(0o600),
        mtime: Some(now),
        ctime: Some(now),
        size: bytes.len() as u64,
        links: 1,
        ..Metadata::default()
    };
    let node = Node::new_node(place.file_name().unwrap_or_default(), NodeType::File, meta);
    ReadSourceEntry { path: place, node, open: Some(Opening::Memory(bytes)) }
}

fn entry_of(
    place: PathBuf,
    kind: NodeType,
    meta: &FileMetadata,
    open: Option<Opening>,
) -> ReadSourceEntry<Opening> {
    let time =
        |second: i64, nanosecond: i64| Timestamp::new(second, i32::try_from(nanosecond).unwrap_or(0)).ok();
    let metadata = Metadata {
        mode: Some(meta.permissions().mode() & 0o777),
        mtime: time(meta.mtime(), meta.mtime_nsec()),
        atime: None,
        ctime: time(meta.ctime(), meta.ctime_nsec()),
        uid: Some(meta.uid()),
        gid: Some(meta.gid()),
        inode: meta.ino(),
        size: if meta.is_file() { meta.len() } else { 0 },
        links: meta.nlink(),
        ..Metadata::default()
    };
    let node = Node::new_node(place.file_name().unwrap_or_default(), kind, metadata);
    ReadSourceEntry { path: place, node, open }
}

/// What tells whether a file is the one that was looked at, and still as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Seen {
    fn of(meta: &FileMetadata) -> Seen {
        Seen {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
        }
    }
}

/// What the engine opens when it comes to an entry.
pub(crate) enum Opening {
    Memory(Bytes),
    File(Reading),
}

pub(crate) struct Reading {
    path: PathBuf,
    seen: Seen,
    trail: Trail,
}

impl ReadSourceOpen for Opening {
    type Reader = Opened;

    fn open(self) -> RusticResult<Opened> {
        match self {
            Opening::Memory(bytes) => Ok(Opened::Memory(bytes.reader())),
            Opening::File(reading) => reading.open().map(Opened::File).map_err(|error| {
                RusticError::with_source(ErrorKind::InputOutput, "a file cannot be read", error)
            }),
        }
    }
}

impl Reading {
    fn open(self) -> io::Result<Whole> {
        // Neither a link nor a pipe that was put there meanwhile.
        let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
        let opened = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(&self.path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.changed()),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Err(self.changed());
            }
            Err(error) => return Err(self.trail.fail(unreadable(&self.path, &error))),
        };
        let now = file.metadata().map_err(|error| self.trail.fail(unreadable(&self.path, &error)))?;
        if !now.is_file() || Seen::of(&now) != self.seen {
            return Err(self.changed());
        }
        Ok(Whole { left: self.seen.size, file, reading: self })
    }

    fn changed(&self) -> io::Error {
        self.trail.change(|events| events.changed.push(self.path.clone()));
        io::Error::other("it changed")
    }
}

/// A file that is read to the size that it had, and looked at again at its end.
pub(crate) struct Whole {
    file: File,
    left: u64,
    reading: Reading,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let trail = &self.reading.trail;
        if trail.ended() {
            return Err(io::Error::other("given up"));
        }
        if self.left == 0 {
            let now = self.file.metadata()?;
            return if Seen::of(&now) == self.reading.seen { Ok(0) } else { Err(self.reading.changed()) };
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read(&mut buffer[..most]);
        let read = read.map_err(|error| trail.fail(unreadable(&self.reading.path, &error)))?;
        if read == 0 {
            return Err(self.reading.changed());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// What the engine reads.
pub(crate) enum Opened {
    Memory(Reader<Bytes>),
    File(Whole),
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Opened::Memory(reader) => reader.read(buffer),
            Opened::File(whole) => whole.read(buffer),
        }
    }
}
