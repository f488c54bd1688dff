//! What the log keeps of one request.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::{Method, Request, StatusCode};

use super::path::Kept;

/// Lines that wait in one book, at most: some megabytes. They are taken out a few times a second.
const MOST_WAITING: usize = 8192;

/// One request and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) ended: Instant,
    pub(crate) client: IpAddr,
    /// None where no request could be read.
    pub(crate) method: Option<Method>,
    /// Its beginning, without its query; what is shown of it is decided when the line is written.
    pub(crate) path: Kept,
    pub(crate) status: u16,
    /// Of the answer's body.
    pub(crate) bytes: u64,
    /// From the request's head to the end of the answer.
    pub(crate) ms: u64,
    /// Whether the answer was sent to its end.
    pub(crate) complete: bool,
}

impl Line {
    /// Whether the client got an error, or not all of the answer.
    pub(crate) fn failed(&self) -> bool {
        self.status >= 400 || !self.complete
    }
}

/// The lines that one worker has made since they were last taken out.
#[derive(Debug, Default)]
pub(crate) struct Book {
    lines: Mutex<Vec<Line>>,
    /// Lines for which there was no room.
    lost: AtomicU64,
}

impl Book {
    /// Notes an answer to something that was not a request, or not read.
    pub(crate) fn note_unread(&self, client: IpAddr, status: StatusCode) {
        let (status, path, ended) = (status.as_u16(), Kept::of(""), Instant::now());
        self.write(&Line { ended, client, method: None, path, status, bytes: 0, ms: 0, complete: true });
    }

    fn write(&self, line: &Line) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < MOST_WAITING {
            lines.push(line.clone());
        } else {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// Takes out every line, and how many were lost.
    pub(super) fn take(&self) -> (Vec<Line>, u64) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut *lines), self.lost.swap(0, Relaxed))
    }
}

/// A request under way. Its line is written when the entry is dropped, with the answer.
#[derive(Debug)]
pub(crate) struct Entry {
    line: Line,
    begun: Instant,
    book: Arc<Book>,
}

impl Entry {
    pub(crate) fn begin<B>(book: &Arc<Book>, client: IpAddr, request: &Request<B>) -> Entry {
        let method = Some(request.method().clone());
        let path = Kept::of(request.uri().path());
        let begun = Instant::now();
        let line = Line { ended: begun, client, method, path, status: 0, bytes: 0, ms: 0, complete: true };
        Entry { line, begun, book: Arc::clone(book) }
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.line.status = status.as_u16();
    }

    /// So many bytes of the answer's body were passed on.
    pub(crate) fn passed(&mut self, bytes: usize) {
        self.line.bytes += bytes as u64;
    }

    /// The answer ends before its body does.
    pub(crate) fn cut_off(&mut self) {
        self.line.complete = false;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Without an answer the client has gone: 499, as nginx has it.
        if self.line.status == 0 {
            self.line.status = 499;
            self.line.complete = false;
        }
        self.line.ended = Instant::now();
        let took = self.line.ended.duration_since(self.begun).as_millis();
        self.line.ms = u64::try_from(took).unwrap_or(u64::MAX);
        self.book.write(&self.line);
    }
}
