//! A layer: a set of entries, written as one compressed tarball.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use flate2::{Compression as Level, GzBuilder};

use crate::digest::{Digest, Hashing};
use crate::entry::{Content, Entry, Owner};
use crate::error::OciError;
use crate::meter::Meter;
use crate::stack::Stack;
use crate::tarball::{Kind, Member, Tarball};

/// How hard to compress a layer: slower is smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// gzip level 1: for images that stay on this machine.
    Fast,
    /// gzip level 6, gzip's own default.
    #[default]
    Balanced,
    /// gzip level 9: for images that are pulled often.
    Small,
}

/// One layer of an image. It holds paths, not bytes: files are read when the layer is written.
#[derive(Debug, Clone)]
pub struct Layer {
    entries: BTreeMap<String, Entry>,
    mtime: u64,
    compression: Compression,
}

/// The digests and size of a written layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerDigests {
    /// Of the uncompressed tarball: the image's configuration lists this one.
    pub(crate) diff_id: Digest,
    /// Of the compressed tarball: the blob's name.
    pub(crate) digest: Digest,
    /// Of the compressed tarball, in bytes.
    pub(crate) size: u64,
}

/// Bytes read from a file at a time: enough that system calls cost little.
const CHUNK: usize = 256 * 1024;

impl Layer {
    /// A layer of these entries, in any order. Every modification time is 1970-01-01 unless [`Layer::mtime`] sets one.
    ///
    /// Refuses the same path twice (except two equal directories), a path below a file or a link, and malformed
    /// entries.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Result<Self, OciError> {
        let mut sorted: BTreeMap<String, Entry> = BTreeMap::new();
        for entry in entries {
            entry.check()?;
            match sorted.get(&entry.path) {
                Some(same) if *same == entry && entry.content == Content::Directory => {}
                Some(_) => return Err(OciError::entry(entry.path, "this path is given twice")),
                None => drop(sorted.insert(entry.path.clone(), entry)),
            }
        }
        let layer = Self { entries: sorted, mtime: 0, compression: Compression::default() };
        Stack::default().add(layer.entries())?;
        Ok(layer)
    }

    /// Sets the modification time of every entry, in seconds since the epoch.
    #[must_use]
    pub fn mtime(self, seconds: u64) -> Self {
        Self { mtime: seconds, ..self }
    }

    /// Sets the compression.
    #[must_use]
    pub fn compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// Its entries, sorted by path.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The sizes of its files added up, in bytes: the total of a progress bar.
    pub fn bytes(&self) -> Result<u64, OciError> {
        self.entries().try_fold(0, |sum, entry| match &entry.content {
            Content::File(source) => {
                let meta = fs::metadata(source).map_err(|e| OciError::disk("read", source, e))?;
                Ok(sum + meta.len())
            }
            Content::Bytes(bytes) => Ok(sum + bytes.len() as u64),
            Content::Directory | Content::Symlink(_) => Ok(sum),
        })
    }

    /// Writes it to `out` as a separate `.tar.gz`, which a Dockerfile's `ADD` unpacks. Errors call `out` by `name`.
    /// Returns `out`, and the digest and size in bytes of what was written.
    pub fn write_alone<W: Write>(
        &self,
        out: W,
        name: &Path,
        meter: &Meter,
    ) -> Result<(W, Digest, u64), OciError> {
        let members = Stack::default().add(self.entries())?;
        let (out, LayerDigests { digest, size, .. }) = self.write(&members, out, name, meter)?;
        Ok((out, digest, size))
    }

    /// Writes the compressed tarball to `out` in one pass, with bounded memory. Errors call `out` by `name`.
    /// `members` is what [`Stack::add`] returned for this layer.
    pub(crate) fn write<W: Write>(
        &self,
        members: &BTreeMap<&str, Option<&Entry>>,
        out: W,
        name: &Path,
        meter: &Meter,
    ) -> Result<(W, LayerDigests), OciError> {
        let level = match self.compression {
            Compression::Fast => Level::new(1),
            Compression::Balanced => Level::new(6),
            Compression::Small => Level::new(9),
        };
        // 255 is "unknown system": by default the library writes the system it was compiled on.
        let gzip: GzEncoder<_> = GzBuilder::new().operating_system(255).write(Hashing::new(out), level);
        let mut writing = Writing {
            tarball: Tarball::new(Hashing::new(gzip), self.mtime),
            name,
            meter,
            chunk: vec![0; CHUNK],
        };
        for (path, entry) in members {
            writing.member(path, *entry)?;
        }
        let failed = |e| OciError::disk("write", name, e);
        let (gzip, diff_id, _) = writing.tarball.finish().map_err(failed)?.finish();
        let (out, digest, size) = gzip.finish().map_err(failed)?.finish();
        Ok((out, LayerDigests { diff_id, digest, size }))
    }
}

struct Writing<'a, W: Write> {
    tarball: Tarball<W>,
    name: &'a Path,
    meter: &'a Meter,
    chunk: Vec<u8>,
}

impl<W: Write> Writing<'_, W> {
    fn member(&mut self, path: &str, entry: Option<&Entry>) -> Result<(), OciError> {
        let path = path.trim_start_matches('/');
        let Some(entry) = entry else {
            return self.header(path, 0o755, Owner::ROOT, Kind::Directory);
        };
        let (mode, owner) = (entry.mode, entry.owner);
        match &entry.content {
            Content::Directory => self.header(path, mode, owner, Kind::Directory),
            Content::Symlink(target) => self.header(path, mode, owner, Kind::Symlink(target)),
            Content::Bytes(bytes) => {
                let size = bytes.len() as u64;
                self.header(path, mode, owner, Kind::File(size))?;
                self.meter.add(size);
                self.tarball
                    .write_all(bytes)
                    .and_then(|()| self.tarball.pad(size))
                    .map_err(|e| self.failed(e))
            }
            Content::File(source) => {
                let (file, size) = open(source)?;
                self.header(path, mode, owner, Kind::File(size))?;
                self.file(file, size, source)
            }
        }
    }

    fn header(&mut self, path: &str, mode: u32, owner: Owner, kind: Kind<'_>) -> Result<(), OciError> {
        self.tarball.header(&Member { path, mode, owner, kind }).map_err(|e| self.failed(e))
    }

    /// Copies exactly `size` bytes, the number that the header gives.
    fn file(&mut self, mut file: File, size: u64, source: &Path) -> Result<(), OciError> {
        let mut left = size;
        loop {
            let read = match file.read(&mut self.chunk) {
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(OciError::disk("read", source, e)),
            };
            if read as u64 > left || (read == 0 && left > 0) {
                return Err(OciError::Changed { path: source.to_path_buf(), was: size });
            }
            if read == 0 {
                return self.tarball.pad(size).map_err(|e| self.failed(e));
            }
            self.tarball.write_all(&self.chunk[..read]).map_err(|e| self.failed(e))?;
            self.meter.add(read as u64);
            left -= read as u64;
        }
    }

    fn failed(&self, error: io::Error) -> OciError {
        OciError::disk("write", self.name, error)
    }
}

/// Opens a regular file. The type is checked before: opening a pipe would block until something writes to it.
pub(crate) fn open(source: &Path) -> Result<(File, u64), OciError> {
    let read = |e| OciError::disk("read", source, e);
    if !fs::metadata(source).map_err(read)?.is_file() {
        return Err(read(io::Error::other("it is not a regular file")));
    }
    let file = File::open(source).map_err(read)?;
    let size = file.metadata().map_err(read)?.len();
    Ok((file, size))
}
