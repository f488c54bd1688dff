//! What a tool prints: the end of it is kept, and lines are passed on as they come.

use std::collections::VecDeque;

use secrecy::{ExposeSecret as _, SecretString};

/// A longer line is passed on in pieces, in bytes.
const LONGEST_LINE: usize = 8 * 1024;
/// A shorter secret is not masked: it would tear words apart.
const SHORTEST_SECRET: usize = 4;

/// The end of what a tool printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Of its standard output. Whole lines if the beginning was discarded.
    pub stdout: String,
    /// Of its standard error.
    pub stderr: String,
    /// How many bytes were discarded.
    pub discarded: u64,
}

impl Output {
    /// Both streams, standard output first.
    pub fn text(&self) -> String {
        let parts = [self.stdout.trim(), self.stderr.trim()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// The last line with text in it: of standard error, otherwise of standard output.
    pub fn last_line(&self) -> Option<&str> {
        [&self.stderr, &self.stdout]
            .into_iter()
            .find_map(|text| text.lines().map(str::trim).rfind(|line| !line.is_empty()))
    }

    /// The same without the secrets.
    pub(super) fn masked(self, mask: &Mask) -> Self {
        Self { stdout: mask.apply(self.stdout), stderr: mask.apply(self.stderr), ..self }
    }
}

/// Replaces secrets in texts.
#[derive(Default)]
pub(super) struct Mask(Vec<SecretString>);

impl Mask {
    pub(super) fn new(secrets: impl Iterator<Item = SecretString>) -> Self {
        Self(secrets.filter(|secret| secret.expose_secret().len() >= SHORTEST_SECRET).collect())
    }

    pub(super) fn apply(&self, text: String) -> String {
        let mut masked = text;
        for secret in &self.0 {
            if masked.contains(secret.expose_secret()) {
                masked = masked.replace(secret.expose_secret(), "***");
            }
        }
        masked
    }
}

/// The end of one stream.
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    most: usize,
    discarded: u64,
}

impl Tail {
    pub(super) fn new(most: usize) -> Self {
        Self { bytes: VecDeque::new(), most, discarded: 0 }
    }

    pub(super) fn push(&mut self, new: &[u8]) {
        let new = if new.len() > self.most {
            let cut = new.len() - self.most;
            self.discarded += cut as u64;
            &new[cut..]
        } else {
            new
        };
        let over = (self.bytes.len() + new.len()).saturating_sub(self.most);
        self.bytes.drain(..over);
        self.discarded += over as u64;
        self.bytes.extend(new);
    }

    /// The text that was kept, and how many bytes were discarded.
    pub(super) fn finish(mut self) -> (String, u64) {
        // The first line is cut somewhere.
        if self.discarded > 0
            && let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n')
        {
            self.bytes.drain(..=end);
            self.discarded += end as u64 + 1;
        }
        (String::from_utf8_lossy(self.bytes.make_contiguous()).into_owned(), self.discarded)
    }
}

/// Cuts one stream into lines. A carriage return ends a line too, as in progress bars.
#[derive(Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    pub(super) fn push(&mut self, new: &[u8], mut on_line: impl FnMut(String)) {
        for piece in new.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            for part in piece.chunks(LONGEST_LINE) {
                self.0.extend_from_slice(part);
                if matches!(self.0.last(), Some(b'\n' | b'\r')) || self.0.len() >= LONGEST_LINE {
                    self.flush(&mut on_line);
                }
            }
        }
    }

    pub(super) fn flush(&mut self, mut on_line: impl FnMut(String)) {
        let line = String::from_utf8_lossy(&self.0).trim_end().to_owned();
        self.0.clear();
        if !line.is_empty() {
            on_line(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_in_whole_lines() {
        let mut tail = Tail::new(12);
        for part in ["first line\n", "second\n", "th", "ird\n"] {
            tail.push(part.as_bytes());
        }
        // 24 bytes: 12 kept, of which the first 5 are the end of a cut line.
        let (kept, discarded) = tail.finish();
        assert_eq!((kept.as_str(), discarded), ("third\n", 18));
        let mut tail = Tail::new(4);
        tail.push(b"0123456789");
        assert_eq!(tail.finish(), ("6789".to_owned(), 6));
        let mut tail = Tail::new(100);
        tail.push(b"all of it");
        assert_eq!(tail.finish(), ("all of it".to_owned(), 0));
    }

    #[test]
    fn lines_come_whole_and_long_ones_in_pieces() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for part in ["one\ntw", "o\n\n 10%\r 20%\r", "rest"] {
            lines.push(part.as_bytes(), |line| seen.push(line));
        }
        lines.flush(|line| seen.push(line));
        assert_eq!(seen, ["one", "two", " 10%", " 20%", "rest"]);
        let mut seen = Vec::new();
        lines.push(&[b'x'; 3 * LONGEST_LINE + 1], |line| seen.push(line));
        assert_eq!(seen.iter().map(String::len).collect::<Vec<_>>(), [LONGEST_LINE; 3]);
    }

    #[test]
    fn the_last_line_is_of_standard_error_if_it_has_one() {
        let output = |stdout: &str, stderr: &str| Output {
            stdout: stdout.into(),
            stderr: stderr.into(),
            discarded: 0,
        };
        assert_eq!(output("a\nb\n", "c\n \n").last_line(), Some("c"));
        assert_eq!(output("a\nb\n", "\n").last_line(), Some("b"));
        assert_eq!(output("", "").last_line(), None);
        assert_eq!(output("a\n", "b\n").text(), "a\nb");
    }

    #[test]
    fn secrets_are_masked() {
        let mask = Mask::new(["hunter2".into(), "a".into()].into_iter());
        assert_eq!(mask.apply("login as hunter2 at a".into()), "login as *** at a");
    }
}
