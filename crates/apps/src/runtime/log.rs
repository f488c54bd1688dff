//! What functions print, each line with the call that it belongs to.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use host::{Log, Rotating};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How much of what one call prints is kept, in bytes.
const CALL_MAX: usize = 1 << 20;
/// Longest line that is kept whole, in bytes.
const LINE_MAX: usize = 16 << 10;

/// One line of a function's log file, which is JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub timestamp: Timestamp,
    /// The function's name in the manifest.
    pub function: String,
    /// Which of its processes, counted from 1.
    pub instance: u32,
    /// The id of the call; none while the process starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Whether the function printed it, or Mainstay says it of the function.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ours: bool,
    /// The text.
    pub text: String,
}

/// The log of one function.
#[derive(Debug)]
pub(super) struct FunctionLog {
    function: String,
    file: Mutex<Rotating>,
}

impl FunctionLog {
    pub(super) fn new(function: &str, path: &Path) -> Self {
        let log = Log { counts_floods: false, ..Log::at(path) };
        Self { function: function.to_owned(), file: Mutex::new(Rotating::new(log)) }
    }

    /// Something that Mainstay says of a process of the function.
    pub(super) fn say(&self, instance: u32, request: Option<&str>, text: &str) {
        self.write(instance, request, true, text);
    }

    fn write(&self, instance: u32, request: Option<&str>, ours: bool, text: &str) {
        let entry = Entry {
            timestamp: Timestamp::now(),
            function: self.function.clone(),
            instance,
            request: request.map(str::to_owned),
            ours,
            text: text.to_owned(),
        };
        if let Ok(mut line) = serde_json::to_vec(&entry) {
            line.push(b'\n');
            self.file.lock().unwrap_or_else(PoisonError::into_inner).write_lines(&line);
        }
    }
}

/// Cuts what one process prints into lines, and keeps no more of a call than [`CALL_MAX`].
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
    request: Option<String>,
    kept: usize,
    dropped: u64,
}

impl Lines {
    /// From here on, what is printed belongs to this call, or to none.
    pub(super) fn belong_to(&mut self, request: Option<&str>, instance: u32, log: &FunctionLog) {
        self.flush(instance, log);
        self.request = request.map(str::to_owned);
        self.kept = 0;
    }

    pub(super) fn push(&mut self, bytes: &[u8], instance: u32, log: &FunctionLog) {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        for piece in lines.flat_map(|line| line.chunks(LINE_MAX)) {
            if self.kept > CALL_MAX {
                self.dropped += u64::from(piece.ends_with(b"\n"));
                continue;
            }
            self.rest.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.rest.len() >= LINE_MAX {
                self.line(instance, log);
            }
        }
    }

    fn line(&mut self, instance: u32, log: &FunctionLog) {
        let line = std::mem::take(&mut self.rest);
        self.kept += line.len();
        let text = String::from_utf8_lossy(&line);
        log.write(instance, self.request.as_deref(), false, text.trim_end_matches(['\r', '\n']));
    }

    /// The last line, if it has no end; and how many were not kept.
    pub(super) fn flush(&mut self, instance: u32, log: &FunctionLog) {
        if !self.rest.is_empty() {
            self.line(instance, log);
        }
        if self.kept > CALL_MAX {
            let dropped = std::mem::take(&mut self.dropped);
            let text =
                format!("{dropped} more lines were not kept: one call may print {} MiB", CALL_MAX >> 20);
            log.say(instance, self.request.as_deref(), &text);
            self.kept = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(path: &Path) -> Vec<Entry> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn lines_belong_to_their_call() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.log");
        let log = FunctionLog::new("f", &path);
        let mut lines = Lines::default();
        lines.push(b"starting", 1, &log);
        lines.belong_to(Some("one"), 1, &log);
        lines.push(b"a\nb", 1, &log);
        lines.push(b"c\n", 1, &log);
        lines.belong_to(None, 1, &log);
        let said: Vec<_> =
            entries(&path).into_iter().map(|entry| (entry.request, entry.text, entry.ours)).collect();
        let one = || Some("one".to_owned());
        assert_eq!(
            said,
            [
                (None, "starting".to_owned(), false),
                (one(), "a".to_owned(), false),
                (one(), "bc".to_owned(), false)
            ]
        );
    }

    #[test]
    fn a_call_that_prints_without_end_fills_no_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.log");
        let log = FunctionLog::new("f", &path);
        let mut lines = Lines::default();
        lines.belong_to(Some("one"), 1, &log);
        for _ in 0..300 {
            lines.push(&b"yes yes yes yes\n".repeat(1000), 1, &log);
        }
        lines.belong_to(Some("two"), 1, &log);
        lines.push(b"again\n", 1, &log);
        let all = entries(&path);
        let [.., note, again] = &all[..] else { panic!() };
        assert!(note.ours && note.text.contains("more lines were not kept"), "{note:?}");
        assert_eq!((again.request.as_deref(), again.text.as_str()), (Some("two"), "again"));
        assert!(all.len() < 80_000, "{}", all.len());
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.log");
        let log = FunctionLog::new("f", &path);
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; 4 << 20], 1, &log);
        assert!(lines.rest.len() < LINE_MAX);
    }
}
