//! The hub: every authenticated websocket connection, its queue of events, and their sequence numbers.
//!
//! A connection stays for a while after its socket closed: events still enter its queue, and a client that returns with
//! the connection's id and the next number it expects gets the events that it missed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::event::{Audience, Event};
use crate::id::Id;

/// The most events waiting in a connection's queue. A connection with more is ended, and its client begins a new one.
const QUEUE: usize = 256;

/// How many sent events are kept to be sent again.
const KEPT: usize = 128;

/// How long a connection without a socket is kept.
const PARKED: Duration = Duration::from_secs(5 * 60);

/// The most connections without a socket that one user may have; the oldest are dropped first.
const PARKED_PER_USER: usize = 10;

/// All authenticated connections, by their user.
#[derive(Default)]
pub(crate) struct Hub {
    users: RwLock<Users>,
}

type Users = HashMap<Id, UserConnections>;

/// The connections of one user. There may be ten thousand, so opening, parking and resuming one does not loop over them.
#[derive(Default)]
struct UserConnections {
    connections: HashMap<Id, Arc<Connection>>,
    /// The connections without a socket, and since when; oldest first. There are only a few.
    parked: VecDeque<(Instant, Id)>,
}

impl UserConnections {
    fn remove(&mut self, id: Id) {
        self.connections.remove(&id);
        self.parked.retain(|(_, parked)| *parked != id);
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
    waiting: VecDeque<Arc<Event>>,
    /// The last sent events; the newest has the number before `next`.
    sent: VecDeque<Arc<Event>>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder(u64);

/// The next thing that a socket's task has to do.
pub(crate) enum Next {
    Frame(String),
    Nothing,
    /// The connection ended, or another socket holds it now.
    Gone,
}

impl Hub {
    /// Opens a new connection. Its first event, number 0, is what `hello` returns for its id.
    pub(crate) fn open(
        &self,
        user: Id,
        session: Id,
        hello: impl FnOnce(Id) -> Event,
    ) -> (Arc<Connection>, Holder) {
        let id = Id::random();
        let queue = Queue { waiting: VecDeque::from([Arc::new(hello(id))]), ..Queue::default() };
        let connection =
            Arc::new(Connection { id, user, session, queue: Mutex::new(queue), wake: Notify::new() });
        connection.wake.notify_one();
        self.write().entry(user).or_default().connections.insert(id, Arc::clone(&connection));
        (connection, Holder(0))
    }

    /// Resumes the connection `id` of `user` at the number `next`, if the hub still has all events from there.
    pub(crate) fn resume(
        &self,
        id: Id,
        user: Id,
        session: Id,
        next: u64,
    ) -> Option<(Arc<Connection>, Holder)> {
        let mut users = self.write();
        let own = users.get_mut(&user)?;
        let connection =
            Arc::clone(own.connections.get(&id).filter(|connection| connection.session == session)?);
        let holder = connection.lock().rewind(next)?;
        own.parked.retain(|(_, parked)| *parked != id);
        drop(users);
        // The former socket's task, if it still runs, wakes up and notices that it was replaced.
        connection.wake.notify_waiters();
        connection.wake.notify_one();
        Some((connection, holder))
    }

    /// Queues `event` for every connection of `audience`.
    pub(crate) fn send(&self, event: &Arc<Event>, audience: &Audience) {
        let omitted =
            |user: &Id| event.broadcast.omit_users.as_ref().is_some_and(|omit| omit.contains_key(user));
        let deliver = |own: &UserConnections| {
            for connection in own.connections.values() {
                if connection.id != event.broadcast.omit_connection_id {
                    connection.push(event);
                }
            }
        };
        let users = self.read();
        match audience {
            Audience::User(user) => users.get(user).into_iter().for_each(deliver),
            Audience::Everyone => {
                users.iter().filter(|(user, _)| !omitted(user)).for_each(|(_, own)| deliver(own));
            }
            // Loop over the smaller of the two sets.
            Audience::Members(members) if members.len() < users.len() => members
                .iter()
                .filter(|user| !omitted(user))
                .filter_map(|user| users.get(user))
                .for_each(deliver),
            Audience::Members(members) => users
                .iter()
                .filter(|(user, _)| members.contains(user) && !omitted(user))
                .for_each(|(_, own)| deliver(own)),
        }
    }

    /// Keeps the connection of a closed socket for a while, so that its client can resume it. `true` if the user has no
    /// other socket.
    pub(crate) fn park(&self, connection: &Connection, holder: Holder) -> bool {
        let mut users = self.write();
        let ended = {
            let queue = connection.lock();
            if queue.holder != holder.0 {
                // The former task may have taken a wake-up that was meant for the new holder.
                connection.wake.notify_one();
                return false;
            }
            queue.ended
        };
        let Some(own) = users.get_mut(&connection.user) else { return true };
        if ended {
            own.remove(connection.id);
        } else if own.connections.contains_key(&connection.id) {
            own.parked.push_back((Instant::now(), connection.id));
        }
        if own.parked.len() > PARKED_PER_USER
            && let Some((_, oldest)) = own.parked.pop_front()
        {
            own.connections.remove(&oldest);
        }
        let last = own.parked.len() == own.connections.len();
        if own.connections.is_empty() {
            users.remove(&connection.user);
        }
        last
    }

    /// Whether `user` has a connection.
    pub(crate) fn has_connections(&self, user: Id) -> bool {
        self.read().contains_key(&user)
    }

    /// Ends all connections of `user` that `matches`, for example those of a revoked session.
    pub(crate) fn end_where(&self, user: Id, matches: impl Fn(&Connection) -> bool) {
        let mut users = self.write();
        let Some(own) = users.get_mut(&user) else { return };
        own.connections.retain(|_, connection| {
            let ends = matches(connection);
            if ends {
                connection.end();
            }
            !ends
        });
        let left = &own.connections;
        own.parked.retain(|(_, id)| left.contains_key(id));
        if own.connections.is_empty() {
            users.remove(&user);
        }
    }

    /// Drops connections whose clients did not come back in time.
    pub(crate) fn drop_old(&self, now: Instant) {
        self.write().retain(|_, own| {
            while let Some((since, id)) = own.parked.front().copied()
                && now.duration_since(since) > PARKED
            {
                own.remove(id);
            }
            !own.connections.is_empty()
        });
    }

    // No code that can panic runs under these locks, so the data behind a poisoned lock is still consistent.
    fn read(&self) -> RwLockReadGuard<'_, Users> {
        self.users.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Users> {
        self.users.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: &Arc<Event>) {
        let mut queue = self.lock();
        if queue.ended || (event.scoped && !queue.looks_at(event.broadcast.channel_id)) {
            return;
        }
        if queue.waiting.len() >= QUEUE {
            queue.ended = true;
            queue.waiting = VecDeque::new();
            queue.sent = VecDeque::new();
        } else {
            queue.waiting.push_back(Arc::clone(event));
        }
        drop(queue);
        self.wake.notify_one();
    }

    fn end(&self) {
        self.lock().ended = true;
        self.wake.notify_one();
    }

    /// Takes the next event from the queue and gives it its number.
    pub(crate) fn next(&self, holder: Holder) -> Next {
        let mut queue = self.lock();
        if queue.ended || queue.holder != holder.0 {
            return Next::Gone;
        }
        let Some(event) = queue.waiting.pop_front() else {
            if queue.waiting.capacity() > 32 {
                queue.waiting = VecDeque::new();
            }
            return Next::Nothing;
        };
        let number = queue.next;
        queue.next += 1;
        if queue.sent.len() == KEPT {
            queue.sent.pop_front();
        }
        queue.sent.push_back(Arc::clone(&event));
        drop(queue);
        Next::Frame(event.frame(number))
    }

    /// Notes which channel (`place` 0) or thread's channel (`place` 1) the client shows.
    pub(crate) fn look_at(&self, place: usize, channel: Id) {
        if let Some(looking_at) = self.lock().looking_at.get_mut(place) {
            *looking_at = channel;
        }
    }
}

impl Queue {
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
            if let Some(event) = self.sent.pop_back() {
                self.waiting.push_front(event);
            }
        }
        self.next = next;
        self.holder += 1;
        Some(Holder(self.holder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Broadcast;
    use serde_json::{Value, json};

    fn event(n: u64) -> Arc<Event> {
        Arc::new(Event::new("e", &json!({ "n": n }), Broadcast::everyone()))
    }

    fn open(hub: &Hub) -> (Arc<Connection>, Holder) {
        hub.open(Id::random(), Id::random(), |_| Event::new("hello", &json!({}), Broadcast::everyone()))
    }

    /// The numbers of all waiting frames.
    fn drain(connection: &Connection, holder: Holder) -> Vec<u64> {
        std::iter::from_fn(|| match connection.next(holder) {
            Next::Frame(frame) => serde_json::from_str::<Value>(&frame).ok()?["seq"].as_u64(),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn numbers_start_at_hello_and_resuming_replays_missed_events() {
        let hub = Hub::default();
        let (connection, holder) = open(&hub);
        (1..=5).for_each(|n| hub.send(&event(n), &Audience::Everyone));
        assert_eq!(drain(&connection, holder), [0, 1, 2, 3, 4, 5]);
        assert!(hub.park(&connection, holder));
        hub.send(&event(6), &Audience::Everyone);
        let resumed = hub.resume(connection.id, connection.user, connection.session, 4);
        let Some((again, new_holder)) = resumed else {
            panic!("all events are kept, yet the connection was not resumed")
        };
        assert_eq!(drain(&again, new_holder), [4, 5, 6]);
        assert!(matches!(connection.next(holder), Next::Gone), "the former socket still holds it");
    }

    #[test]
    fn resuming_at_a_dropped_or_future_number_is_refused() {
        let hub = Hub::default();
        let (connection, holder) = open(&hub);
        for n in 0..200 {
            hub.send(&event(n), &Audience::Everyone);
            drain(&connection, holder);
        }
        let resume = |next| hub.resume(connection.id, connection.user, connection.session, next).is_some();
        assert!(!resume(201 - KEPT as u64 - 1) && !resume(202) && resume(201 - KEPT as u64));
    }

    #[test]
    fn a_connection_that_never_reads_is_ended_and_its_queue_freed() {
        let hub = Hub::default();
        let (connection, holder) = open(&hub);
        (0..1000).for_each(|n| hub.send(&event(n), &Audience::Everyone));
        assert!(matches!(connection.next(holder), Next::Gone));
        assert_eq!(connection.lock().waiting.len(), 0);
    }

    #[test]
    fn only_the_newest_closed_connections_of_a_user_are_kept() {
        let hub = Hub::default();
        let user = Id::random();
        let hello = |_| Event::new("hello", &json!({}), Broadcast::everyone());
        let all: Vec<_> = (0..PARKED_PER_USER + 2).map(|_| hub.open(user, user, hello)).collect();
        let last: Vec<bool> = all.iter().map(|(connection, holder)| hub.park(connection, *holder)).collect();
        assert_eq!(
            last.iter().position(|last| *last),
            Some(all.len() - 1),
            "only the last park reports that no socket is left"
        );
        let resumable =
            |(connection, _): &&(Arc<Connection>, Holder)| hub.resume(connection.id, user, user, 0).is_some();
        assert_eq!(all.iter().filter(resumable).count(), PARKED_PER_USER);
        assert!(hub.has_connections(user));
        hub.drop_old(Instant::now() + 2 * PARKED);
        assert!(hub.has_connections(user), "resumed connections must not be dropped");
    }

    #[test]
    fn another_users_connection_cannot_be_resumed() {
        let hub = Hub::default();
        let (connection, _) = open(&hub);
        assert!(hub.resume(connection.id, Id::random(), connection.session, 0).is_none());
    }
}
