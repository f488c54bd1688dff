//! One connection: its queue of events, and their sequence numbers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::bounds::{QUEUED_BYTES, QUEUED_EVENTS, SENT_BYTES, SENT_EVENTS};
use crate::event::Event;
use crate::id::Id;

/// The bytes of all events that some connection still holds.
#[derive(Default, Clone)]
pub(super) struct Total(Arc<AtomicUsize>);

impl Total {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// An event that connections share, counted in a [`Total`] until the last of them drops it.
pub(super) struct Held {
    pub(super) event: Event,
    total: Total,
}

impl Held {
    pub(super) fn new(event: Event, total: &Total) -> Arc<Held> {
        total.0.fetch_add(event.bytes(), Ordering::Relaxed);
        Arc::new(Held { event, total: total.clone() })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.0.fetch_sub(self.event.bytes(), Ordering::Relaxed);
    }
}

/// One client's stream of numbered events.
pub(crate) struct Connection {
    pub(crate) id: Id,
    pub(crate) user: Id,
    pub(crate) session: Id,
    queue: Mutex<Queue>,
    /// Wakes the socket's task: there is an event, or the connection ended.
    pub(crate) wake: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Held>>,
    waiting_bytes: usize,
    /// The last sent events; the newest has the number before `next`.
    sent: VecDeque<Arc<Held>>,
    sent_bytes: usize,
    /// The number of the next event.
    next: u64,
    /// The number of the socket that holds the connection. It grows with each new socket, so that the former one's task
    /// notices that it was replaced.
    holder: u64,
    ended: bool,
    /// The channel, and the thread's channel, that the client said it shows.
    looking_at: [Id; 2],
}

/// The number of a socket that holds a connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder(u64);

/// The next thing that a socket's task has to do.
pub(crate) enum Next {
    /// An event's JSON, in two parts; the first one is shared.
    Event(Bytes, String),
    Nothing,
    /// The connection ended, or another socket holds it now.
    Gone,
}

impl Connection {
    /// A new connection whose first event is `hello`.
    pub(super) fn new(id: Id, user: Id, session: Id, hello: Arc<Held>) -> Connection {
        let mut queue = Queue::default();
        queue.wait(hello);
        Connection { id, user, session, queue: Mutex::new(queue), wake: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an event. A connection whose client does not read fast enough ends here.
    pub(super) fn push(&self, held: &Arc<Held>) {
        let mut queue = self.lock();
        let event = &held.event;
        if queue.ended || (event.scoped && !queue.looks_at(event.broadcast.channel_id)) {
            return;
        }
        let is_full = queue.waiting.len() >= QUEUED_EVENTS
            || (queue.waiting_bytes + event.bytes() > QUEUED_BYTES && !queue.waiting.is_empty());
        if is_full {
            queue.end();
        } else {
            queue.wait(Arc::clone(held));
        }
        drop(queue);
        self.wake.notify_one();
    }

    pub(super) fn end(&self) {
        self.lock().end();
        self.wake.notify_one();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// The bytes of the events in its queue, sent ones included.
    pub(super) fn bytes(&self) -> usize {
        let queue = self.lock();
        queue.waiting_bytes + queue.sent_bytes
    }

    /// Whether `holder` is the socket that holds the connection.
    pub(super) fn is_held_by(&self, holder: Holder) -> bool {
        self.lock().holder == holder.0
    }

    /// Takes the next event from the queue and gives it its number.
    pub(crate) fn next(&self, holder: Holder) -> Next {
        let mut queue = self.lock();
        if queue.ended || queue.holder != holder.0 {
            return Next::Gone;
        }
        let Some(held) = queue.waiting.pop_front() else {
            if queue.waiting.capacity() > 32 {
                queue.waiting = VecDeque::new();
            }
            return Next::Nothing;
        };
        queue.waiting_bytes -= held.event.bytes();
        let number = queue.next;
        queue.next += 1;
        queue.keep_sent(Arc::clone(&held));
        drop(queue);
        let (head, tail) = held.event.json(number);
        Next::Event(head, tail)
    }

    /// Goes back to the event with the number `next`, for a new holder.
    pub(super) fn rewind(&self, next: u64) -> Option<Holder> {
        self.lock().rewind(next)
    }

    /// Notes which channel (`place` 0) or thread's channel (`place` 1) the client shows.
    pub(crate) fn look_at(&self, place: usize, channel: Id) {
        if let Some(looking_at) = self.lock().looking_at.get_mut(place) {
            *looking_at = channel;
        }
    }
}

impl Queue {
    fn wait(&mut self, held: Arc<Held>) {
        self.waiting_bytes += held.event.bytes();
        self.waiting.push_back(held);
    }

    /// Keeps a sent event, and forgets the oldest beyond the bounds.
    fn keep_sent(&mut self, held: Arc<Held>) {
        self.sent_bytes += held.event.bytes();
        self.sent.push_back(held);
        while self.sent.len() > SENT_EVENTS || self.sent_bytes > SENT_BYTES {
            let Some(oldest) = self.sent.pop_front() else { break };
            self.sent_bytes -= oldest.event.bytes();
        }
    }

    /// Ends the connection and drops its events.
    fn end(&mut self) {
        self.ended = true;
        (self.waiting, self.sent) = Default::default();
        (self.waiting_bytes, self.sent_bytes) = (0, 0);
    }

    fn looks_at(&self, channel: Id) -> bool {
        self.looking_at == [Id::NONE; 2] || self.looking_at.contains(&channel)
    }

    /// Goes back to the event with the number `next`, for a new holder.
    fn rewind(&mut self, next: u64) -> Option<Holder> {
        let again = usize::try_from(self.next.checked_sub(next)?).ok()?;
        if self.ended || again > self.sent.len() {
            return None;
        }
        for _ in 0..again {
            if let Some(held) = self.sent.pop_back() {
                self.sent_bytes -= held.event.bytes();
                self.waiting_bytes += held.event.bytes();
                self.waiting.push_front(held);
            }
        }
        self.next = next;
        self.holder += 1;
        Some(Holder(self.holder))
    }
}
