//! Publishing events to the clients that should get them.

use serde::Serialize;
use serde_json::json;

use crate::app::App;
use crate::error::Result;
use crate::event::{Audience, Broadcast, Event};
use crate::id::Id;

impl App {
    /// Sends an event to all connections in its broadcast.
    pub(crate) async fn publish(&self, name: &str, data: &impl Serialize, broadcast: Broadcast) {
        let audience = self.audience(&broadcast).await;
        match audience {
            Ok(audience) => self.hub.send(Event::new(name, data, broadcast), &audience),
            Err(error) => {
                tracing::error!(event = name, detail = error.detail_text(), "an event was not published");
            }
        }
    }

    /// The users whom a broadcast reaches, before those whom it omits are left out.
    pub(crate) async fn audience(&self, broadcast: &Broadcast) -> Result<Audience> {
        Ok(if !broadcast.user_id.is_none() {
            Audience::User(broadcast.user_id)
        } else if !broadcast.channel_id.is_none() {
            Audience::Members(self.store.members_of_channel(broadcast.channel_id).await?)
        } else if !broadcast.team_id.is_none() {
            Audience::Members(self.store.members_of_team(broadcast.team_id).await?)
        } else {
            Audience::Everyone
        })
    }

    /// Publishes to `channel` that `user` joined it.
    pub(crate) async fn publish_user_added(&self, channel: Id, team: Id, user: Id) {
        self.publish("user_added", &json!({"user_id": user, "team_id": team}), Broadcast::channel(channel))
            .await;
    }
}
