//! Unread counters.

use std::collections::BTreeMap;

use serde::Serialize;

use super::handle::Store;
use super::writer::Transaction;
use crate::clock;
use crate::error::Result;
use crate::id::Id;
use crate::sql::{query, row};

row! {
    /// A user's unread counters of a channel.
    #[derive(Debug, Serialize)]
    struct ChannelUnread {
        team_id teamid: Id,
        channel_id channelid: Id,
        msg_count msgcount: i64,
        mention_count mentioncount: i64,
        mention_count_root mentioncountroot: i64,
        urgent_mention_count urgentmentioncount: i64,
        msg_count_root msgcountroot: i64,
    }
}

impl Store {
    /// The unread counters of all channels of `user`, or of one channel.
    pub(crate) async fn unread(&self, user: Id, channel: Option<Id>) -> Result<Vec<ChannelUnread>> {
        let rows = query(
            "SELECT channels.teamid, channels.id AS channelid, \
                 greatest(0, channels.totalmsgcount - member.msgcount) AS msgcount, member.mentioncount, \
                 member.mentioncountroot, member.urgentmentioncount, \
                 greatest(0, channels.totalmsgcountroot - member.msgcountroot) AS msgcountroot \
             FROM channelmembers member JOIN channels ON channels.id = member.channelid \
             WHERE member.userid = $1 AND ($2 = '' OR channels.id = $2) AND channels.deleteat = 0",
        );
        Ok(rows.bind(user).bind(channel.unwrap_or(Id::NONE)).fetch_all(&self.readers).await?)
    }

    /// Marks `channels` as read by `user`; returns the time at which each was read.
    pub(crate) async fn view_channels(&self, user: Id, channels: Vec<Id>) -> Result<BTreeMap<Id, i64>> {
        self.write(move |tx| Box::pin(async move { tx.view_channels(user, &channels).await })).await
    }

    /// Marks the posts of a channel as unread from the time `create_at` on.
    pub(crate) async fn set_unread_from(&self, user: Id, channel: Id, create_at: i64) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query(
                    "UPDATE channelmembers SET lastviewedat = $3 - 1, lastupdateat = $4, \
                     msgcount = (SELECT totalmsgcount FROM channels WHERE id = $1) - (SELECT count(*) FROM posts \
                         WHERE channelid = $1 AND createat >= $3 AND deleteat = 0), \
                     msgcountroot = (SELECT totalmsgcountroot FROM channels WHERE id = $1) - (SELECT count(*) FROM posts \
                         WHERE channelid = $1 AND createat >= $3 AND deleteat = 0 AND rootid = '') \
                     WHERE channelid = $1 AND userid = $2",
                )
                .bind(channel)
                .bind(user)
                .bind(create_at)
                .bind(clock::now())
                .execute(&mut *tx.connection)
                .await?;
                Ok(())
            })
        })
        .await
    }
}

impl Transaction<'_> {
    async fn view_channels(&mut self, user: Id, channels: &[Id]) -> Result<BTreeMap<Id, i64>> {
        let rows: Vec<(Id, i64)> = query(
            "UPDATE channelmembers SET mentioncount = 0, mentioncountroot = 0, urgentmentioncount = 0, \
                 msgcount = counters.totalmsgcount, msgcountroot = counters.totalmsgcountroot, \
                 lastviewedat = greatest(lastviewedat, counters.lastpostat), lastupdateat = $3 \
             FROM (SELECT id, totalmsgcount, totalmsgcountroot, lastpostat FROM channels) counters \
             WHERE counters.id = channelid AND userid = $1 AND channelid = ANY($2) \
             RETURNING channelid, lastviewedat",
        )
        .bind(user)
        .bind(channels)
        .bind(clock::now())
        .fetch_all(&mut *self.connection)
        .await?;
        Ok(rows.into_iter().collect())
    }
}
