//! The way of a mail to the mail server: bounded, and with further attempts.

use std::sync::Arc;
use std::time::Duration;

use ::mail::{MailServer, Message};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

use crate::bounds::{MAILS_BYTES, MAILS_WAITING};

/// After these times an attempt is repeated: greylisting ends within minutes, and a mail server that stopped is back within hours.
const AGAIN: [Duration; 6] = [
    Duration::from_secs(2),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
];

/// Which mails go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Somebody waits for it: a link to verify an address, to choose a password, to join a team.
    Urgent,
    /// Notifications.
    Bulk,
}

/// A mail on its way.
struct Letter {
    /// For the log.
    kind: &'static str,
    message: Message,
    /// Its share of the bytes of all notifications.
    _share: Option<OwnedSemaphorePermit>,
}

/// Where mails are put.
pub(crate) struct Outbox {
    urgent: mpsc::Sender<Letter>,
    bulk: mpsc::Sender<Letter>,
    /// The bytes that further notifications may take.
    bytes: Arc<Semaphore>,
}

/// The other end: delivers what is put into the [`Outbox`]. See [`Delivery::run`].
pub(crate) struct Delivery {
    server: MailServer,
    urgent: mpsc::Receiver<Letter>,
    bulk: mpsc::Receiver<Letter>,
    /// Mails that the server did not take for the moment.
    again: Vec<Waiting>,
}

struct Waiting {
    letter: Letter,
    attempts: usize,
    due: Instant,
}

impl Outbox {
    pub(super) fn new(server: MailServer) -> (Outbox, Delivery) {
        let (urgent, urgent_letters) = mpsc::channel(MAILS_WAITING);
        let (bulk, bulk_letters) = mpsc::channel(MAILS_WAITING);
        let delivery = Delivery { server, urgent: urgent_letters, bulk: bulk_letters, again: Vec::new() };
        (Outbox { urgent, bulk, bytes: Arc::new(Semaphore::new(MAILS_BYTES)) }, delivery)
    }

    /// Puts a mail into the outbox; returns at once. If it is full, the mail is dropped, and the log says so.
    pub(super) fn put(&self, lane: Lane, kind: &'static str, message: Message) {
        // The domain is reserved (RFC 2606): nobody gets mail there. The acceptance test's accounts are in it.
        if message.to.ends_with(".invalid") {
            return;
        }
        let to = message.to.clone();
        let sent = match lane {
            Lane::Urgent => self.urgent.try_send(Letter { kind, message, _share: None }).is_ok(),
            Lane::Bulk => {
                let bytes = message.text.len() + message.html.as_ref().map_or(0, String::len);
                let share = u32::try_from(bytes).ok();
                let share = share.and_then(|n| Arc::clone(&self.bytes).try_acquire_many_owned(n).ok());
                let letter = |share| Letter { kind, message, _share: Some(share) };
                share.is_some_and(|share| self.bulk.try_send(letter(share)).is_ok())
            }
        };
        if !sent {
            tracing::error!(kind, to, "a mail was dropped: too many others wait");
        }
    }
}

impl Delivery {
    /// Delivers until every [`Outbox`] is dropped and each mail has been tried once more.
    pub(crate) async fn run(mut self) {
        while let Some(waiting) = self.next().await {
            self.attempt(waiting).await;
        }
        for waiting in std::mem::take(&mut self.again) {
            self.attempt(waiting).await;
        }
        for Waiting { letter, .. } in self.again {
            tracing::error!(
                kind = letter.kind,
                to = letter.message.to,
                "the server stops, and a mail was not sent"
            );
        }
    }

    /// The mail to try next; `None` if no new ones come.
    async fn next(&mut self) -> Option<Waiting> {
        let first = |letter| Waiting { letter, attempts: 0, due: Instant::now() };
        let (mut urgent_is_open, mut bulk_is_open) = (true, true);
        while urgent_is_open || bulk_is_open {
            let due = self.again.iter().enumerate().min_by_key(|(_, waiting)| waiting.due);
            let due = due.map(|(place, waiting)| (place, waiting.due));
            let wait = sleep_until(due.map_or_else(Instant::now, |(_, due)| due));
            tokio::select! {
                biased;
                letter = self.urgent.recv(), if urgent_is_open => match letter {
                    Some(letter) => return Some(first(letter)),
                    None => urgent_is_open = false,
                },
                () = wait, if due.is_some() => {
                    return due.map(|(place, _)| self.again.swap_remove(place));
                }
                letter = self.bulk.recv(), if bulk_is_open => match letter {
                    Some(letter) => return Some(first(letter)),
                    None => bulk_is_open = false,
                },
            }
        }
        None
    }

    async fn attempt(&mut self, Waiting { letter, attempts, .. }: Waiting) {
        let (kind, to) = (letter.kind, letter.message.to.clone());
        let Err(error) = ::mail::send(&self.server, &letter.message).await else {
            tracing::info!(kind, to, "a mail was sent");
            return;
        };
        match AGAIN.get(attempts).filter(|_| error.is_temporary() && self.again.len() < MAILS_WAITING) {
            Some(pause) => {
                tracing::warn!(kind, to, %error, "a mail was not sent; the next attempt is in {pause:?}");
                self.again.push(Waiting { letter, attempts: attempts + 1, due: Instant::now() + *pause });
            }
            None => tracing::error!(kind, to, %error, "a mail was not sent and is given up"),
        }
    }
}
