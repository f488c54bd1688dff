//! Webhooks.

use std::sync::Arc;

use super::caches::Touched;
use super::handle::Store;
use crate::clock;
use crate::error::Result;
use crate::id::Id;
use crate::model::{IncomingHook, OutgoingHook};
use crate::sql::query;

/// Which webhooks are listed: none of the ids is a condition that does not count.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HookFilter {
    pub(crate) team: Id,
    pub(crate) channel: Id,
    pub(crate) owner: Id,
}

impl Store {
    pub(crate) async fn incoming_hook(&self, id: Id) -> Result<Option<IncomingHook>> {
        let row = query("select * from incomingwebhooks where id = $1 and deleteat = 0");
        Ok(row.bind(id).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn incoming_hooks(
        &self,
        filter: HookFilter,
        (offset, limit): (i64, i64),
    ) -> Result<(Vec<IncomingHook>, i64)> {
        let rows = query(
            "select * from incomingwebhooks where deleteat = 0 and ($1 = '' or teamid = $1) \
             and ($2 = '' or userid = $2) order by createat, id limit $3 offset $4",
        );
        let rows = rows.bind(filter.team).bind(filter.owner).bind(limit).bind(offset);
        let count = query(
            "select count(*) from incomingwebhooks where deleteat = 0 and ($1 = '' or teamid = $1) \
             and ($2 = '' or userid = $2)",
        );
        let count = count.bind(filter.team).bind(filter.owner).fetch_one(&self.readers).await?;
        Ok((rows.fetch_all(&self.readers).await?, count))
    }

    pub(crate) async fn create_incoming_hook(&self, hook: IncomingHook) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                hook.insert().execute(&mut *tx.connection).await?;
                Ok(())
            })
        })
        .await
    }

    pub(crate) async fn update_incoming_hook(&self, hook: IncomingHook) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                hook.bind_to(
                    "update incomingwebhooks set createat = $2, updateat = $3, deleteat = $4, userid = $5, channelid = $6, \
                     teamid = $7, displayname = $8, description = $9, username = $10, iconurl = $11, \
                     channellocked = $12 where id = $1",
                )
                .execute(&mut *tx.connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    pub(crate) async fn outgoing_hook(&self, id: Id) -> Result<Option<OutgoingHook>> {
        let row = query("select * from outgoingwebhooks where id = $1 and deleteat = 0");
        Ok(row.bind(id).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn outgoing_hooks(
        &self,
        filter: HookFilter,
        (offset, limit): (i64, i64),
    ) -> Result<Vec<OutgoingHook>> {
        let rows = query(
            "select * from outgoingwebhooks where deleteat = 0 and ($1 = '' or teamid = $1) \
             and ($2 = '' or creatorid = $2) and ($3 = '' or channelid = $3) order by createat, id limit $4 offset $5",
        );
        let rows = rows.bind(filter.team).bind(filter.owner).bind(filter.channel).bind(limit).bind(offset);
        Ok(rows.fetch_all(&self.readers).await?)
    }

    /// All outgoing webhooks of a team, from the cache: every post asks.
    pub(crate) async fn outgoing_hooks_of(&self, team: Id) -> Result<Arc<Vec<OutgoingHook>>> {
        let filter = HookFilter { team, ..HookFilter::default() };
        let load = async { Ok(Arc::new(self.outgoing_hooks(filter, (0, i64::MAX)).await?)) };
        self.caches.outgoing_hooks.get_or_load(team, load).await
    }

    pub(crate) async fn create_outgoing_hook(&self, hook: OutgoingHook) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                hook.insert().execute(&mut *tx.connection).await?;
                tx.touched.push(Touched::OutgoingHooks(hook.team_id));
                Ok(())
            })
        })
        .await
    }

    pub(crate) async fn update_outgoing_hook(&self, hook: OutgoingHook) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                hook.bind_to(
                    "update outgoingwebhooks set token = $2, createat = $3, updateat = $4, deleteat = $5, creatorid = $6, \
                     channelid = $7, teamid = $8, triggerwords = $9, triggerwhen = $10, callbackurls = $11, \
                     displayname = $12, description = $13, contenttype = $14, username = $15, iconurl = $16 where id = $1",
                )
                .execute(&mut *tx.connection)
                .await?;
                tx.touched.push(Touched::OutgoingHooks(hook.team_id));
                Ok(())
            })
        })
        .await
    }
}

impl IncomingHook {
    /// The webhook as one that no longer exists.
    pub(crate) fn deleted(self) -> IncomingHook {
        let now = clock::now();
        IncomingHook { update_at: now, delete_at: now, ..self }
    }
}

impl OutgoingHook {
    /// The webhook as one that no longer exists.
    pub(crate) fn deleted(self) -> OutgoingHook {
        let now = clock::now();
        OutgoingHook { update_at: now, delete_at: now, ..self }
    }
}
