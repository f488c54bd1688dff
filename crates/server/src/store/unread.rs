//! What was read and what was not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::handle::Store;
use super::writer::Transaction;
use crate::clock;
use crate::error::Result;
use crate::id::Id;
use crate::sql::{FromRow, Row, query};

/// What a person has not read of a channel.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelUnread {
    pub(crate) team_id: Id,
    pub(crate) channel_id: Id,
    pub(crate) msg_count: i64,
    pub(crate) mention_count: i64,
    pub(crate) mention_count_root: i64,
    pub(crate) urgent_mention_count: i64,
    pub(crate) msg_count_root: i64,
}

impl FromRow for ChannelUnread {
    fn from_row(row: &Row<'_>) -> sqlx::Result<Self> {
        Ok(Self {
            team_id: row.get("teamid")?,
            channel_id: row.get("channelid")?,
            msg_count: row.get("msgcount")?,
            mention_count: row.get("mentioncount")?,
            mention_count_root: row.get("mentioncountroot")?,
            urgent_mention_count: row.get("urgentmentioncount")?,
            msg_count_root: row.get("msgcountroot")?,
        })
    }
}

impl Store {
    /// The unread counters of all channels of `user`, or of one.
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

    /// Counts `channels` as read by `user`; returns when each was read.
    pub(crate) async fn view_channels(&self, user: Id, channels: Vec<Id>) -> Result<BTreeMap<Id, i64>> {
        self.write(move |tx| Box::pin(async move { tx.view_channels(user, &channels).await })).await
    }

    /// Makes `post` the first unread one of its channel.
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
