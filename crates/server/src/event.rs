//! Websocket events, and who gets them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::id::Id;

/// Who gets an event. The first field that is set decides: connection, user, channel, team. If none is, everyone does.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Broadcast {
    pub(crate) omit_users: Option<BTreeMap<Id, bool>>,
    pub(crate) user_id: Id,
    pub(crate) channel_id: Id,
    pub(crate) team_id: Id,
    pub(crate) connection_id: Id,
    pub(crate) omit_connection_id: Id,
}

impl Broadcast {
    pub(crate) fn everyone() -> Broadcast {
        Broadcast::default()
    }

    pub(crate) fn user(user_id: Id) -> Broadcast {
        Broadcast { user_id, ..Broadcast::default() }
    }

    pub(crate) fn channel(channel_id: Id) -> Broadcast {
        Broadcast { channel_id, ..Broadcast::default() }
    }

    pub(crate) fn team(team_id: Id) -> Broadcast {
        Broadcast { team_id, ..Broadcast::default() }
    }

    pub(crate) fn without(mut self, user: Id) -> Broadcast {
        self.omit_users.get_or_insert_default().insert(user, true);
        self
    }
}

/// An event, serialised once for all connections: only the sequence number differs between them, and it is the last
/// field.
#[derive(Debug)]
pub(crate) struct Event {
    /// The JSON up to and including `"seq":`. Websockets share it.
    head: Bytes,
    pub(crate) broadcast: Broadcast,
    /// Whether connections get it only while they show the channel. Those that never said what they show get it anyway.
    pub(crate) scoped: bool,
}

impl Event {
    pub(crate) fn new(name: &str, data: &impl Serialize, broadcast: Broadcast) -> Event {
        #[derive(Serialize)]
        struct Wire<'a, T> {
            event: &'a str,
            data: &'a T,
            broadcast: &'a Broadcast,
        }
        let mut head =
            serde_json::to_string(&Wire { event: name, data, broadcast: &broadcast }).unwrap_or_default();
        head.pop();
        head += ",\"seq\":";
        let scoped = matches!(name, "typing" | "reaction_added" | "reaction_removed");
        Event { head: head.into(), broadcast, scoped }
    }

    /// The memory that it takes, in bytes, which is about the length of its frame.
    pub(crate) fn bytes(&self) -> usize {
        self.head.len()
    }

    /// The complete JSON with the sequence number `seq`, in two parts; the first one is shared.
    pub(crate) fn json(&self, seq: u64) -> (Bytes, String) {
        (self.head.clone(), format!("{seq}}}"))
    }
}

/// `value` as JSON in a string, which is how many events carry objects.
pub(crate) fn nested(value: &impl Serialize) -> Value {
    Value::String(serde_json::to_string(value).unwrap_or_default())
}

/// The users who get an event.
#[derive(Debug, Clone)]
pub(crate) enum Audience {
    Everyone,
    User(Id),
    Members(Arc<HashSet<Id>>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_frame_has_the_documented_json() {
        let event = Event::new("typing", &json!({"user_id": "u"}), Broadcast::everyone());
        let (head, tail) = event.json(7);
        assert_eq!(
            String::from_utf8_lossy(&head).into_owned() + &tail,
            r#"{"event":"typing","data":{"user_id":"u"},"broadcast":{"omit_users":null,"user_id":"","channel_id":"","team_id":"","connection_id":"","omit_connection_id":""},"seq":7}"#
        );
    }
}
