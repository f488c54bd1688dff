//! Unread counters.

use std::collections::BTreeMap;

use serde::Serialize;

use super::handle::Store;
use super::posts::is_about_members;
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
            "select channels.teamid, channels.id as channelid, \
                 greatest(0, channels.totalmsgcount - member.msgcount) as msgcount, member.mentioncount, \
                 member.mentioncountroot, member.urgentmentioncount, \
                 greatest(0, channels.totalmsgcountroot - member.msgcountroot) as msgcountroot \
             from channelmembers member join channels on channels.id = member.channelid \
             where member.userid = $1 and ($2 = '' or channels.id = $2) and channels.deleteat = 0",
        );
        Ok(rows.bind(user).bind(channel.unwrap_or(Id::NONE)).fetch_all(&self.readers).await?)
    }

    /// Marks `channels` as read by `user`; returns the time at which each was read.
    pub(crate) async fn view_channels(&self, user: Id, channels: Vec<Id>) -> Result<BTreeMap<Id, i64>> {
        self.write(move |tx| Box::pin(async move { tx.view_channels(user, &channels).await })).await
    }

    /// Marks the posts of a channel as unread from the time `create_at` on; of threads' roots, those from `roots_from` on.
    pub(crate) async fn set_unread_from(
        &self,
        user: Id,
        channel: Id,
        create_at: i64,
        roots_from: i64,
    ) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query(
                    concat!(
                        "update channelmembers set lastviewedat = $3 - 1, lastupdateat = $4, \
                         msgcount = (select totalmsgcount from channels where id = $1) - (select count(*) from posts \
                             where channelid = $1 and createat >= $3 and deleteat = 0 and not ", is_about_members!("type"), "), \
                         msgcountroot = (select totalmsgcountroot from channels where id = $1) - (select count(*) from posts \
                             where channelid = $1 and createat >= $5 and deleteat = 0 and rootid = '' \
                             and not ", is_about_members!("type"), ") \
                         where channelid = $1 and userid = $2"
                    ),
                )
                .bind(channel)
                .bind(user)
                .bind(create_at)
                .bind(clock::now())
                .bind(roots_from)
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
            "update channelmembers set mentioncount = 0, mentioncountroot = 0, urgentmentioncount = 0, \
                 msgcount = counters.totalmsgcount, msgcountroot = counters.totalmsgcountroot, \
                 lastviewedat = greatest(lastviewedat, counters.lastpostat), lastupdateat = $3 \
             from (select id, totalmsgcount, totalmsgcountroot, lastpostat from channels) counters \
             where counters.id = channelid and userid = $1 and channelid = any($2) \
             returning channelid, lastviewedat",
        )
        .bind(user)
        .bind(channels)
        .bind(clock::now())
        .fetch_all(&mut *self.connection)
        .await?;
        Ok(rows.into_iter().collect())
    }
}
