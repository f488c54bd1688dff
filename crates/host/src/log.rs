//! Rotating logs that a full disk cannot turn against the program that writes them.
//!
//! `NAME` is the newest file, `NAME.1` the one before, up to the number kept. A line is never split over two
//! files. Whoever writes is never blocked for long: between pipe and disk stands a bounded queue, and what
//! does not fit is dropped, counted, and noted in the log once there is room again. A program that repeats itself cannot
//! push out what it wrote before: see [`digest`], which decides before the queue, so that what is only counted takes no
//! room in it. Errors have room of their own: other lines never displace them.
mod digest;
mod queue;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use queue::{Message, Queue, Room, locked};

/// Longest line kept whole, bytes; a longer one is cut into lines of this length.
const LONGEST_LINE: usize = 64 * 1024;
/// How long the writing thread waits for lines before it looks whether there is a count to write.
const PERIOD: Duration = Duration::from_secs(1);

/// Where a log is and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The newest file.
    pub path: PathBuf,
    /// Bytes in one file.
    pub limit: u64,
    /// Older files kept beside it.
    pub keep: u32,
    /// Whether a supervised program's lines are counted instead of written when it repeats itself.
    pub counts_floods: bool,
    /// Whose lines they are: each line of a supervised program is written as JSON then, see [`Log::of_speaker`].
    pub speaker: Option<&'static str>,
}

impl Log {
    /// 10 MiB a file, five older ones; floods are counted.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), limit: 10 << 20, keep: 5, counts_floods: true, speaker: None }
    }

    /// Each line of a supervised program is written as a JSON object with its time and this name:
    /// `{"timestamp": ..., "function": SPEAKER, "instance": 1, "text": LINE}`.
    #[must_use]
    pub fn of_speaker(self, speaker: &'static str) -> Self {
        Self { speaker: Some(speaker), ..self }
    }
}

/// A line as JSON, with its time.
fn spoken(speaker: &str, line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\r', '\n']);
    let line = serde_json::json!({ "timestamp": jiff::Timestamp::now(), "function": speaker, "instance": 1, "text": text });
    format!("{line}\n")
}

/// `NAME.n`; `NAME` itself for 0.
pub(crate) fn numbered(path: &Path, n: u32) -> PathBuf {
    if n == 0 {
        return path.to_path_buf();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

/// The writing end of a log. As an [`io::Write`] it takes whole lines and never fails.
#[derive(Debug)]
pub struct Rotating {
    log: Log,
    file: Option<File>,
    size: u64,
    /// The last write was cut in the middle of a line.
    torn: bool,
    /// Lines lost since the last note.
    unnoted: u64,
    last_error: String,
    dropped: Arc<AtomicU64>,
}

impl Rotating {
    /// Opens lazily: a disk that is full now may have room later.
    pub fn new(log: Log) -> Self {
        Self {
            log,
            file: None,
            size: 0,
            torn: false,
            unnoted: 0,
            last_error: String::new(),
            dropped: Arc::default(),
        }
    }

    /// Rotates a file that is full, for a program that will write to it by itself.
    pub fn make_room(mut self) {
        if fs::metadata(&self.log.path).is_ok_and(|file| file.len() >= self.log.limit) {
            self.rotate();
        }
    }

    /// Counts every line lost since the beginning.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.dropped.clone()
    }

    /// Writes whole lines (ending in a newline), or drops and counts them.
    pub fn write_lines(&mut self, lines: &[u8]) {
        if let Err(e) = self.try_write(lines) {
            self.lose(count(lines), e.to_string());
        }
    }

    /// Notes how many lines were lost, if any were, without waiting for a line that can be written.
    fn tell_lost(&mut self) {
        if self.unnoted > 0 {
            self.write_lines(b"");
        }
    }

    /// Counts lost lines, for the caller and for the note in the log.
    fn lose(&mut self, lines: u64, why: String) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        self.unnoted += lines;
        self.last_error = why;
    }

    fn try_write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + lines.len() as u64 > self.log.limit {
            self.rotate();
        }
        if self.torn {
            self.append(b"\n")?;
            self.torn = false;
        }
        if self.unnoted > 0 {
            let note = format!("mainstay: {} log lines were lost: {}\n", self.unnoted, self.last_error);
            self.append(note.as_bytes())?;
            self.unnoted = 0;
        }
        self.append(lines)
    }

    fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.log.path)?;
                self.size = file.metadata()?.len();
                self.file.insert(file)
            }
        };
        let mut written = 0;
        while !bytes.is_empty() {
            match file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    written += n;
                    self.size += n as u64;
                    bytes = &bytes[n..];
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.torn |= written > 0;
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    /// Shifts every file by one, the oldest out. Where renaming is refused, the file keeps growing: a long
    /// log is better than none.
    fn rotate(&mut self) {
        for n in (0..self.log.keep).rev() {
            let from = numbered(&self.log.path, n);
            match fs::rename(&from, numbered(&self.log.path, n + 1)) {
                Err(e) if n == 0 => {
                    tracing::warn!(path = %from.display(), error = %e, "cannot rotate this log");
                    return;
                }
                _ => {}
            }
        }
        if self.log.keep == 0 {
            let _ = fs::remove_file(&self.log.path);
        }
        self.file = None;
        self.size = 0;
        self.torn = false;
    }
}

impl Write for Rotating {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.write_lines(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log with a thread that does the writing, so that a slow disk holds up nobody.
pub(crate) struct Sink {
    queue: Queue,
    dropped: Arc<AtomicU64>,
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

impl Sink {
    /// Fails only when no thread can be started.
    pub(crate) fn open(log: &Log) -> io::Result<Self> {
        let writer = Rotating::new(log.clone());
        let dropped = writer.dropped();
        let (sender, messages) = channel();
        let queue = Queue::new(sender, log.counts_floods);
        let room = queue.room.clone();
        thread::Builder::new().name("log".into()).spawn(move || write_all(&messages, &room, writer))?;
        Ok(Self { queue, dropped })
    }

    pub(crate) fn dropped(&self) -> Arc<AtomicU64> {
        self.dropped.clone()
    }

    /// A line of our own among those of the program.
    pub(crate) fn note(&self, text: &str) {
        self.queue.offer(format!("mainstay: {text}\n").into_bytes());
    }

    /// Waits until everything so far is written, at most `patience`.
    pub(crate) async fn flush(&self, patience: Duration) {
        let written = async {
            let (done, written) = oneshot::channel();
            self.queue.flush(done);
            // The writer drops the sender when it comes to it.
            let _ = written.await;
        };
        let _ = timeout(patience, written).await;
    }

    /// Reads a program's output into the log, line by line, to its end or until `leave`; then what is unread comes back.
    pub(crate) fn reader(
        &self,
        output: Unread,
        leave: CancellationToken,
    ) -> impl Future<Output = Option<Unread>> + Send + 'static {
        let queue = self.queue.clone();
        async move {
            let mut lines = Lines { rest: output.line };
            let mut chunk = vec![0; LONGEST_LINE];
            let mut output = match pipe::Receiver::from_owned_fd(output.pipe) {
                Ok(output) => output,
                Err(e) => {
                    tracing::error!(error = %e, "cannot read the program's output");
                    return None;
                }
            };
            loop {
                let read = tokio::select! {
                    biased;
                    () = leave.cancelled() => {
                        let pipe = output.into_nonblocking_fd().ok()?;
                        return Some(Unread { pipe, line: lines.rest });
                    }
                    read = output.read(&mut chunk) => read,
                };
                let Ok(n @ 1..) = read else { break };
                if let Some(whole) = lines.push(&chunk[..n]) {
                    queue.offer(whole);
                }
            }
            if let Some(rest) = lines.end() {
                queue.offer(rest);
            }
            None
        }
    }
}

/// The output of a program, and the beginning of its next line, which was read already.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) pipe: OwnedFd,
    pub(crate) line: Vec<u8>,
}

fn write_all(messages: &Receiver<Message>, room: &Room, mut writer: Rotating) {
    let speaker = writer.log.speaker;
    let write = move |writer: &mut Rotating, lines: &[u8]| match speaker {
        Some(speaker) => {
            let lines = lines.split_inclusive(|byte| *byte == b'\n');
            writer.write_lines(lines.map(|line| spoken(speaker, line)).collect::<String>().as_bytes());
        }
        None => writer.write_lines(lines),
    };
    loop {
        let message = messages.recv_timeout(PERIOD);
        let ends = matches!(message, Ok(Message::Flush(_)) | Err(RecvTimeoutError::Disconnected));
        if let Ok(Message::Lines(lines)) = &message {
            room.waiting.fetch_sub(lines.len(), Ordering::Relaxed);
            write(&mut writer, lines);
        }
        let lost = room.refused.swap(0, Ordering::Relaxed);
        if lost > 0 {
            writer.lose(lost, "the disk is slower than the program writes".into());
        }
        let notes = room.digest.as_ref().map(|digest| locked(digest).notes(Instant::now(), ends));
        for note in notes.unwrap_or_default() {
            write(&mut writer, note.as_bytes());
        }
        writer.tell_lost();
        match message {
            Ok(Message::Flush(done)) => drop(done),
            Ok(Message::Lines(_)) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Cuts a stream of bytes into whole lines.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Everything up to the last newline so far; None while there is no whole line.
    fn push(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let cut = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut whole = Vec::new();
        if cut > 0 {
            whole = std::mem::take(&mut self.rest);
            whole.extend_from_slice(&bytes[..cut]);
        }
        self.rest.extend_from_slice(&bytes[cut..]);
        if self.rest.len() >= LONGEST_LINE {
            whole.append(&mut self.rest);
            whole.push(b'\n');
        }
        (!whole.is_empty()).then_some(whole)
    }

    /// What is left of a last line without a newline.
    fn end(self) -> Option<Vec<u8>> {
        let mut rest = self.rest;
        if rest.is_empty() {
            return None;
        }
        rest.push(b'\n');
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_whole_whatever_the_chunks() {
        let text = b"one\ntwo\n\nthree";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut all = Vec::new();
            for chunk in text.chunks(size) {
                if let Some(whole) = lines.push(chunk) {
                    assert!(whole.ends_with(b"\n"));
                    all.extend(whole);
                }
            }
            all.extend(lines.end().into_iter().flatten());
            assert_eq!(all, b"one\ntwo\n\nthree\n", "chunks of {size}");
        }
    }

    #[test]
    fn what_was_lost_is_told_although_nothing_else_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut log = Rotating::new(Log::at(dir.path().join("log")));
        log.lose(7, "no room".into());
        log.tell_lost();
        log.tell_lost();
        let text = fs::read_to_string(dir.path().join("log")).expect("a log");
        assert_eq!(text, "mainstay: 7 log lines were lost: no room\n");
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::default();
        let cut = lines.push(&vec![b'x'; LONGEST_LINE]).map(|l| l.len());
        assert_eq!(cut, Some(LONGEST_LINE + 1));
        assert_eq!(lines.end(), None);
    }
}
