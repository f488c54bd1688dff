//! What stands between a program's output and the disk: bounded in bytes, with room of their own for errors.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::digest::{self, Digest};

/// How much may wait for the disk, bytes.
const QUEUE: usize = 4 << 20;
/// How much may wait besides, where it tells of an error.
const RESERVE: usize = 1 << 20;

pub(super) enum Message {
    Lines(Vec<u8>),
    /// Answered when everything before it is written.
    Flush(oneshot::Sender<()>),
}

/// Hands lines to the writing thread, or drops them when it cannot keep up.
#[derive(Clone)]
pub(super) struct Queue {
    messages: Sender<Message>,
    pub(super) room: Arc<Room>,
}

/// What the queue and the writing thread share.
#[derive(Default)]
pub(super) struct Room {
    /// Bytes that wait for the disk.
    pub(super) waiting: AtomicUsize,
    /// Lines that did not fit, until the writer takes them into its count.
    pub(super) refused: AtomicU64,
    /// Decides which lines are written; `None` = all are.
    pub(super) digest: Option<Mutex<Digest>>,
}

impl Queue {
    pub(super) fn new(messages: Sender<Message>, counts_floods: bool) -> Self {
        let digest = counts_floods.then(Mutex::default);
        Self { messages, room: Arc::new(Room { digest, ..Room::default() }) }
    }

    pub(super) fn flush(&self, done: oneshot::Sender<()>) {
        // The writing thread ends after the last queue.
        let _ = self.messages.send(Message::Flush(done));
    }

    pub(super) fn offer(&self, lines: Vec<u8>) {
        let mut lines = match &self.room.digest {
            Some(digest) => {
                let (mut digest, now) = (locked(digest), Instant::now());
                chosen(&lines, |line| digest.admits(line, now))
            }
            None => lines,
        };
        let mut lost = 0;
        if !self.has_room(&lines, QUEUE) {
            let errors = chosen(&lines, digest::is_error);
            lost = super::count(&lines) - super::count(&errors);
            lines = errors;
        }
        if !self.has_room(&lines, QUEUE + RESERVE) {
            lost += super::count(&lines);
            lines = Vec::new();
        }
        self.room.refused.fetch_add(lost, Ordering::Relaxed);
        if !lines.is_empty() {
            self.room.waiting.fetch_add(lines.len(), Ordering::Relaxed);
            let _ = self.messages.send(Message::Lines(lines));
        }
    }

    fn has_room(&self, lines: &[u8], limit: usize) -> bool {
        self.room.waiting.load(Ordering::Relaxed) + lines.len() <= limit
    }
}

/// The lines that are `wanted`.
fn chosen(lines: &[u8], mut wanted: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| wanted(line)).collect::<Vec<_>>().concat()
}

/// No code that holds the lock can leave the counts half changed, so a panic elsewhere does not spoil them.
pub(super) fn locked(digest: &Mutex<Digest>) -> MutexGuard<'_, Digest> {
    digest.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// A queue before a disk that takes nothing.
    fn stuck(counts_floods: bool) -> (Queue, Receiver<Message>) {
        let (messages, receiver) = channel();
        (Queue::new(messages, counts_floods), receiver)
    }

    fn waiting(messages: &Receiver<Message>) -> Vec<String> {
        let lines = messages.try_iter().filter_map(|message| match message {
            Message::Lines(lines) => Some(String::from_utf8(lines).expect("text")),
            Message::Flush(_) => None,
        });
        lines.collect::<String>().lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_that_are_only_counted_take_no_room() {
        let (queue, messages) = stuck(true);
        let anonymous =
            r#"{"level":"INFO","fields":{"message":"a request was refused","client":"203.0.113.9"}}"#;
        for _ in 0..2 * QUEUE / anonymous.len() {
            queue.offer(format!("{anonymous}\n").into_bytes());
        }
        let rare = r#"{"level":"INFO","fields":{"message":"signed in","client":"198.51.100.1"}}"#;
        queue.offer(format!("{rare}\n").into_bytes());
        assert_eq!(queue.room.refused.load(Ordering::Relaxed), 0);
        let waiting = waiting(&messages);
        assert_eq!((waiting.len(), &*waiting[20]), (21, rare));
    }

    #[test]
    fn other_lines_never_displace_an_error_and_all_that_are_lost_are_counted() {
        let (queue, messages) = stuck(false);
        let (line, offered) = (format!("{{\"level\":\"info\",\"msg\":\"{}\"}}", "x".repeat(1000)), 5 << 10);
        for _ in 0..offered {
            queue.offer(format!("{line}\n").into_bytes());
        }
        let error = r#"{"level":"error","msg":"the disk is gone"}"#;
        queue.offer(format!("{line}\n{error}\n{line}\n").into_bytes());
        queue.offer(b"panic: and where\n".to_vec());
        let lost = queue.room.refused.load(Ordering::Relaxed);
        assert!(queue.room.waiting.load(Ordering::Relaxed) <= QUEUE + RESERVE);
        let mut waiting = waiting(&messages);
        assert_eq!(waiting.pop().as_deref(), Some("panic: and where"));
        assert_eq!(waiting.pop().as_deref(), Some(error));
        assert!(lost > 1000, "{lost}");
        assert_eq!(waiting.len() as u64 + lost, offered + 2);
    }
}
