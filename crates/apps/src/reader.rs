//! A part of a file or of memory, read at a position of its own: several readers of one file do not disturb each other.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

#[derive(Debug)]
enum Backing {
    File(File),
    Memory(Vec<u8>),
}

/// A part of a file or of memory.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    backing: Arc<Backing>,
    start: u64,
    length: u64,
    position: u64,
}

impl Reader {
    /// All of a file.
    pub(crate) fn of_file(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { backing: Arc::new(Backing::File(file)), start: 0, length, position: 0 })
    }

    /// All of some bytes.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        Self { backing: Arc::new(Backing::Memory(bytes)), start: 0, length, position: 0 }
    }

    /// How many bytes there are.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// A part of this; shorter where this ends before.
    pub(crate) fn part(&self, start: u64, length: u64) -> Self {
        let start = start.min(self.length);
        Self {
            backing: Arc::clone(&self.backing),
            start: self.start + start,
            length: length.min(self.length - start),
            position: 0,
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let (buffer, at) = (&mut buffer[..most], self.start + self.position);
        let read = match &*self.backing {
            Backing::File(file) => file.read_at(buffer, at)?,
            Backing::Memory(bytes) => {
                let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                let most = most.min(rest.len());
                buffer[..most].copy_from_slice(&rest[..most]);
                most
            }
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(by) => (self.length, by),
            SeekFrom::Current(by) => (self.position, by),
        };
        let position = from.checked_add_signed(by);
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
