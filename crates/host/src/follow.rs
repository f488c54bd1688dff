//! Reads a log while it is written and rotated.
//!
//! A follower keeps its file open. At the end of the file it looks up the name that the file has now. If it is still
//! `NAME`, there is nothing more yet; if it is `NAME.3`, the next lines are in `NAME.2`; if it is gone, the oldest file
//! comes next.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::disk::DiskError;
use crate::log::numbered;

/// The time between two looks at a log without new lines.
const PERIOD: Duration = Duration::from_millis(100);
const BLOCK: u64 = 64 * 1024;

/// The last `lines` lines of the log, oldest first, including its rotated files. A log that does not exist yet has none.
pub fn tail(path: &Path, lines: usize) -> Result<Vec<String>, DiskError> {
    let mut follow = Follow::at(path, lines, CancellationToken::new())?;
    let mut tail = Vec::new();
    while let Some(line) = follow.ready()? {
        tail.push(line);
    }
    tail.extend(follow.unfinished());
    Ok(tail)
}

/// The last `lines` lines, then every new line until `cancel`. The log need not exist yet.
pub fn follow(path: &Path, lines: usize, cancel: CancellationToken) -> Result<Follow, DiskError> {
    Follow::at(path, lines, cancel)
}

/// A position in a growing log: see [`follow`].
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    file: Option<File>,
    /// Bytes that were read and not yet returned.
    buffer: Vec<u8>,
    cancel: CancellationToken,
}

impl Follow {
    fn at(path: &Path, lines: usize, cancel: CancellationToken) -> Result<Self, DiskError> {
        let file = last_lines(path, lines).map_err(|e| DiskError::new("read", path, e))?;
        Ok(Self { path: path.to_path_buf(), file, buffer: Vec::new(), cancel })
    }

    /// Waits for the next line, without its end. `None` once cancelled.
    ///
    /// Files are read on this thread, because the part that is read is small and in the page cache.
    pub async fn next(&mut self) -> Result<Option<String>, DiskError> {
        loop {
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            if let Some(line) = self.ready()? {
                return Ok(Some(line));
            }
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = self.cancel.cancelled() => return Ok(None),
            }
        }
    }

    /// The next complete line that is already there.
    pub fn ready(&mut self) -> Result<Option<String>, DiskError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            if !self.read_more().map_err(|e| DiskError::new("read", &self.path, e))? {
                return Ok(None);
            }
        }
    }

    /// The last line, if its end was not written.
    fn unfinished(self) -> Option<String> {
        (!self.buffer.is_empty()).then(|| String::from_utf8_lossy(&self.buffer).into_owned())
    }

    /// Reads on, in the next file if this one was rotated. False if there is nothing new.
    fn read_more(&mut self) -> io::Result<bool> {
        let Some(file) = &mut self.file else {
            // There was no log at the start: begin with the oldest file.
            let Some(first) = open(&numbered(&self.path, oldest(&self.path)))? else { return Ok(false) };
            // It was rotated in between: look again.
            if place_of(&self.path, &first)?.number() == Some(oldest(&self.path)) {
                self.file = Some(first);
            }
            return Ok(true);
        };
        // First the name, then the end of the file: it may be written and rotated in between.
        let place = place_of(&self.path, file)?;
        if file.take(BLOCK).read_to_end(&mut self.buffer)? > 0 {
            return Ok(true);
        }
        let next = match place {
            Place::Current => {
                // The file was truncated (`> server.log`): start over.
                if file.metadata()?.len() < file.stream_position()? {
                    file.rewind()?;
                    return Ok(true);
                }
                return Ok(false);
            }
            Place::Rotated(n) => n - 1,
            Place::Gone { oldest: Some(n) } => n,
            Place::Gone { oldest: None } => return Ok(false),
        };
        // The name may belong to another file by now: the next round looks again.
        let next = open(&numbered(&self.path, next))?;
        if next.is_none() || place_of(&self.path, file)? != place {
            return Ok(false);
        }
        self.file = next;
        if !self.buffer.is_empty() {
            self.buffer.push(b'\n');
        }
        Ok(true)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Current,
    Rotated(u32),
    Gone { oldest: Option<u32> },
}

impl Place {
    fn number(self) -> Option<u32> {
        match self {
            Self::Current => Some(0),
            Self::Rotated(n) => Some(n),
            Self::Gone { .. } => None,
        }
    }
}

/// The highest number in use; 0 if there is only the newest file or none.
fn oldest(path: &Path) -> u32 {
    (1..).take_while(|n| numbered(path, *n).exists() || numbered(path, n + 1).exists()).last().unwrap_or(0)
}

/// Finds the number of an open file. Counts upwards, in the direction of a rotation, so that a file that is being moved is
/// not missed.
fn place_of(path: &Path, file: &File) -> io::Result<Place> {
    let ours = file.metadata()?;
    let mut oldest = None;
    let mut missing = 0;
    for n in 0.. {
        match std::fs::metadata(numbered(path, n)) {
            Ok(found) if (found.dev(), found.ino()) == (ours.dev(), ours.ino()) => {
                return Ok(if n == 0 { Place::Current } else { Place::Rotated(n) });
            }
            Ok(_) => {
                oldest = Some(n);
                missing = 0;
            }
            // Between two renames of a rotation one number is unused.
            Err(e) if e.kind() == io::ErrorKind::NotFound && missing == 0 => missing = 1,
            Err(e) if e.kind() == io::ErrorKind::NotFound => break,
            Err(e) => return Err(e),
        }
    }
    Ok(Place::Gone { oldest })
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Opens the file in which the last `lines` lines begin, at that position. `None` if there is no log.
fn last_lines(path: &Path, lines: usize) -> io::Result<Option<File>> {
    let mut wanted = lines;
    let mut best = None;
    for n in 0.. {
        let Some(mut file) = open(&numbered(path, n))? else { break };
        let (start, found) = start_of_last(&mut file, wanted)?;
        file.seek(SeekFrom::Start(start))?;
        best = Some(file);
        wanted -= found;
        if wanted == 0 {
            break;
        }
    }
    Ok(best)
}

/// The position at which the last `wanted` lines of a file begin, and how many there are (at most `wanted`).
fn start_of_last(file: &mut File, wanted: usize) -> io::Result<(u64, usize)> {
    let end = file.metadata()?.len();
    if wanted == 0 || end == 0 {
        return Ok((end, 0));
    }
    let mut found = 0;
    let mut at = end;
    while at > 0 {
        let from = at.saturating_sub(BLOCK);
        let mut block = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.take(at - from).read_to_end(&mut block)?;
        for (i, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = from + i as u64 + 1;
            // No line begins after the last newline.
            if after == end {
                continue;
            }
            found += 1;
            if found == wanted {
                return Ok((after, found));
            }
        }
        at = from;
    }
    Ok((0, found + 1))
}
