//! The hub: every authenticated websocket connection, its queue of events, and their sequence numbers.
//!
//! A connection stays for a while after its socket closed: events still enter its queue, and a client that returns with
//! the connection's id and the next number it expects gets the events that it missed.

//!
//! Memory is bounded in bytes: of the queue of each connection, of all events together (connections share them), and by the
//! number of connections of a user. The slowest connections are ended first, and their clients begin new ones.

mod connection;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use crate::bounds::{ALL_EVENTS_BYTES, SOCKETS_OF_USER};
use crate::event::{Audience, Event};
use crate::id::Id;
pub(crate) use connection::{Connection, Holder, Next};
use connection::{Held, Total};

/// How long a connection without a socket is kept.
const PARKED: Duration = Duration::from_secs(5 * 60);

/// The most connections without a socket that one user may have; the oldest are dropped first.
const PARKED_PER_USER: usize = 10;

/// All authenticated connections, by their user.
#[derive(Default)]
pub(crate) struct Hub {
    users: RwLock<Users>,
    /// The bytes of all events in the queues.
    held: Total,
}

type Users = HashMap<Id, UserConnections>;

/// The connections of one user.
#[derive(Default)]
struct UserConnections {
    connections: HashMap<Id, Arc<Connection>>,
    /// The ids of the connections, oldest first.
    order: VecDeque<Id>,
    /// The connections without a socket, and since when; oldest first. There are only a few.
    parked: VecDeque<(Instant, Id)>,
}

impl UserConnections {
    fn add(&mut self, connection: Arc<Connection>) {
        self.order.push_back(connection.id);
        self.connections.insert(connection.id, connection);
        while self.connections.len() > SOCKETS_OF_USER
            && let Some(oldest) = self.order.front().copied()
        {
            if let Some(connection) = self.connections.get(&oldest) {
                connection.end();
            }
            self.remove(oldest);
        }
    }

    fn remove(&mut self, id: Id) {
        self.connections.remove(&id);
        self.order.retain(|one| *one != id);
        self.parked.retain(|(_, parked)| *parked != id);
    }
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
        let connection = Arc::new(Connection::new(id, user, session, Held::new(hello(id), &self.held)));
        connection.wake.notify_one();
        self.write().entry(user).or_default().add(Arc::clone(&connection));
        (connection, Holder::default())
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
        let holder = connection.rewind(next)?;
        own.parked.retain(|(_, parked)| *parked != id);
        drop(users);
        // The former socket's task, if it still runs, wakes up and notices that it was replaced.
        connection.wake.notify_waiters();
        connection.wake.notify_one();
        Some((connection, holder))
    }

    /// Queues `event` for every connection of `audience`.
    pub(crate) fn send(&self, event: Event, audience: &Audience) {
        let held = Held::new(event, &self.held);
        self.queue(&held, audience);
        drop(held);
        if self.held.bytes() > ALL_EVENTS_BYTES {
            self.end_slowest();
        }
    }

    fn queue(&self, held: &Arc<Held>, audience: &Audience) {
        let broadcast = &held.event.broadcast;
        let omitted = |user: &Id| broadcast.omit_users.as_ref().is_some_and(|omit| omit.contains_key(user));
        let deliver = |own: &UserConnections| {
            for connection in own.connections.values() {
                if connection.id != broadcast.omit_connection_id {
                    connection.push(held);
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

    /// Ends the connections with the longest queues until all events together are well within their bound.
    fn end_slowest(&self) {
        let users = self.read();
        let all = users.values().flat_map(|own| own.connections.values());
        let mut queues: Vec<(usize, &Arc<Connection>)> =
            all.map(|connection| (connection.bytes(), connection)).collect();
        queues.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut ended = 0;
        for (_, connection) in queues {
            if self.held.bytes() <= ALL_EVENTS_BYTES / 4 * 3 {
                break;
            }
            connection.end();
            ended += 1;
        }
        tracing::warn!(ended, "the websockets that read too slowly were closed");
    }

    /// Keeps the connection of a closed socket for a while, so that its client can resume it. `true` if the user has no
    /// other socket.
    pub(crate) fn park(&self, connection: &Connection, holder: Holder) -> bool {
        let mut users = self.write();
        if !connection.is_held_by(holder) {
            // The former task may have taken a wake-up that was meant for the new holder.
            connection.wake.notify_one();
            return false;
        }
        let ended = connection.has_ended();
        let Some(own) = users.get_mut(&connection.user) else { return true };
        if ended {
            own.remove(connection.id);
        } else if own.connections.contains_key(&connection.id) {
            own.parked.push_back((Instant::now(), connection.id));
        }
        if own.parked.len() > PARKED_PER_USER
            && let Some((_, oldest)) = own.parked.front().copied()
        {
            own.remove(oldest);
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

    /// Whether `user` has an open websocket, and not only connections that could be resumed.
    pub(crate) fn is_connected(&self, user: Id) -> bool {
        self.read().get(&user).is_some_and(|own| own.parked.len() < own.connections.len())
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
        own.order.retain(|id| left.contains_key(id));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::{QUEUED_BYTES, SENT_BYTES, SENT_EVENTS};
    use crate::event::Broadcast;
    use serde_json::{Value, json};

    fn event(n: u64) -> Event {
        Event::new("e", &json!({ "n": n }), Broadcast::everyone())
    }

    /// An event of about 100 kB.
    fn large() -> Event {
        Event::new("e", &json!({ "text": "x".repeat(100_000) }), Broadcast::everyone())
    }

    fn open(hub: &Hub) -> (Arc<Connection>, Holder) {
        hub.open(Id::random(), Id::random(), |_| Event::new("hello", &json!({}), Broadcast::everyone()))
    }

    /// The numbers of all waiting frames.
    fn drain(connection: &Connection, holder: Holder) -> Vec<u64> {
        std::iter::from_fn(|| match connection.next(holder) {
            Next::Event(head, tail) => {
                let json = [&head, tail.as_bytes()].concat();
                serde_json::from_slice::<Value>(&json).ok()?["seq"].as_u64()
            }
            _ => None,
        })
        .collect()
    }

    #[test]
    fn numbers_start_at_hello_and_resuming_replays_missed_events() {
        let hub = Hub::default();
        let (connection, holder) = open(&hub);
        (1..=5).for_each(|n| hub.send(event(n), &Audience::Everyone));
        assert_eq!(drain(&connection, holder), [0, 1, 2, 3, 4, 5]);
        assert!(hub.park(&connection, holder));
        hub.send(event(6), &Audience::Everyone);
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
            hub.send(event(n), &Audience::Everyone);
            drain(&connection, holder);
        }
        let resume = |next| hub.resume(connection.id, connection.user, connection.session, next).is_some();
        assert!(!resume(201 - SENT_EVENTS as u64 - 1) && !resume(202) && resume(201 - SENT_EVENTS as u64));
    }

    #[test]
    fn a_connection_that_never_reads_is_ended_and_its_queue_freed() {
        let hub = Hub::default();
        let (connection, holder) = open(&hub);
        (0..1000).for_each(|n| hub.send(event(n), &Audience::Everyone));
        assert!(matches!(connection.next(holder), Next::Gone));
        assert_eq!(connection.bytes(), 0);
    }

    #[test]
    fn a_queue_is_bounded_in_bytes() {
        let hub = Hub::default();
        let (connection, holder) = open(&hub);
        (0..QUEUED_BYTES / 100_100).for_each(|_| hub.send(large(), &Audience::Everyone));
        assert!(connection.bytes() <= QUEUED_BYTES && !connection.has_ended());
        hub.send(large(), &Audience::Everyone);
        assert!(matches!(connection.next(holder), Next::Gone));
        assert_eq!(hub.held.bytes(), 0, "an event that nobody waits for is kept");
    }

    #[test]
    fn sent_events_are_bounded_in_bytes() {
        let hub = Hub::default();
        let (connection, holder) = open(&hub);
        for _ in 0..20 {
            hub.send(large(), &Audience::Everyone);
            drain(&connection, holder);
        }
        assert!(connection.bytes() <= SENT_BYTES);
        assert_eq!(hub.held.bytes(), connection.bytes());
        assert!(hub.resume(connection.id, connection.user, connection.session, 18).is_some());
    }

    #[test]
    fn all_queues_together_are_bounded_in_bytes_and_the_longest_end_first() {
        let hub = Hub::default();
        let slow: Vec<_> = (0..30).map(|_| open(&hub)).collect();
        let (quick, holder) = open(&hub);
        for _ in 0..25 {
            for (connection, _) in &slow {
                hub.send(large(), &Audience::User(connection.user));
                assert!(hub.held.bytes() <= ALL_EVENTS_BYTES);
            }
            hub.send(event(1), &Audience::User(quick.user));
            drain(&quick, holder);
        }
        assert!(slow.iter().any(|(connection, _)| connection.has_ended()));
        assert!(!quick.has_ended());
    }

    #[test]
    fn a_user_has_a_bounded_number_of_connections_and_the_oldest_ends() {
        let hub = Hub::default();
        let user = Id::random();
        let hello = |_| Event::new("hello", &json!({}), Broadcast::everyone());
        let all: Vec<_> = (0..=SOCKETS_OF_USER).map(|_| hub.open(user, user, hello).0).collect();
        assert!(all[0].has_ended() && all[1..].iter().all(|connection| !connection.has_ended()));
        assert_eq!(hub.read()[&user].connections.len(), SOCKETS_OF_USER);
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
