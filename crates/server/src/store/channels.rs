//! Channels and their members.

use std::collections::HashSet;
use std::sync::Arc;

use super::caches::Touched;
use super::handle::Store;
use super::writer::Transaction;
use crate::clock;
use crate::error::{AppError, Result, is_duplicate};
use crate::id::Id;
use crate::model::{Channel, ChannelKind, ChannelMember, Post, User};
use crate::sql::{escape_like, query};

/// The result of joining a channel.
pub(crate) struct Membership {
    pub(crate) member: ChannelMember,
    /// The system post about it; none if the user was a member already, or in a direct or group channel.
    pub(crate) post: Option<Post>,
}

impl Store {
    /// The channel, from the cache. Its counters, which change with each post, may be out of date.
    pub(crate) async fn channel(&self, id: Id) -> Result<Option<Arc<Channel>>> {
        let load = async { Ok(self.channel_with_counters(id).await?.map(Arc::new)) };
        self.caches.channels.get_or_load(id, load).await
    }

    /// The channel with its current counters.
    pub(crate) async fn channel_with_counters(&self, id: Id) -> Result<Option<Channel>> {
        Ok(query("select * from channels where id = $1").bind(id).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn channel_by_name(
        &self,
        team: Id,
        name: &str,
        deleted: bool,
    ) -> Result<Option<Channel>> {
        let row = query("select * from channels where name = $1 and teamid = $2 and ($3 or deleteat = 0)");
        Ok(row.bind(name).bind(team).bind(deleted).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn channels_by_ids(&self, ids: &[Id]) -> Result<Vec<Channel>> {
        let rows = query("select * from channels where id = any($1)");
        Ok(rows.bind(ids).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn channel_member(&self, channel: Id, user: Id) -> Result<Option<Arc<ChannelMember>>> {
        let load = async { Ok(self.channel_member_with_counters(channel, user).await?.map(Arc::new)) };
        self.caches.channel_members.get_or_load((channel, user), load).await
    }

    /// The membership with its current counters.
    pub(crate) async fn channel_member_with_counters(
        &self,
        channel: Id,
        user: Id,
    ) -> Result<Option<ChannelMember>> {
        let row = query("select * from channelmembers where channelid = $1 and userid = $2");
        let member: Option<ChannelMember> =
            row.bind(channel).bind(user).fetch_optional(&self.readers).await?;
        Ok(member.map(ChannelMember::with_roles))
    }

    /// All members of `channel`.
    pub(crate) async fn members_of_channel(&self, channel: Id) -> Result<Arc<HashSet<Id>>> {
        let load = async {
            let rows = query("select userid from channelmembers where channelid = $1");
            Ok(Arc::new(rows.bind(channel).fetch_all(&self.readers).await?.into_iter().collect()))
        };
        self.caches.members_of_channel.get_or_load(channel, load).await
    }

    pub(crate) async fn channel_members(
        &self,
        channel: Id,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<ChannelMember>> {
        let rows =
            query("select * from channelmembers where channelid = $1 order by userid limit $2 offset $3");
        let rows: Vec<ChannelMember> =
            rows.bind(channel).bind(limit).bind(offset).fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(ChannelMember::with_roles).collect())
    }

    /// The channels of `user`: those of `team` and the direct ones, or all if `team` is none. Also those that were archived
    /// since `deleted`, if it is a time.
    pub(crate) async fn channels_of(
        &self,
        user: Id,
        team: Option<Id>,
        deleted: Option<i64>,
    ) -> Result<Vec<Channel>> {
        let rows = query(
            "select channels.* from channels join channelmembers on channelmembers.channelid = channels.id \
             where channelmembers.userid = $1 and ($2 = '' or channels.teamid in ($2, '')) \
             and (channels.deleteat = 0 or channels.deleteat >= $3) order by channels.displayname",
        );
        let team = team.unwrap_or(Id::NONE);
        let deleted = deleted.unwrap_or(i64::MAX);
        Ok(rows.bind(user).bind(team).bind(deleted).fetch_all(&self.readers).await?)
    }

    /// The memberships of `user` in channels of `team` and direct ones, or in all if `team` is none.
    pub(crate) async fn memberships_in_channels(
        &self,
        user: Id,
        team: Option<Id>,
        (offset, limit): (i64, i64),
    ) -> Result<Vec<ChannelMember>> {
        let rows = query(
            "select channelmembers.* from channelmembers join channels on channels.id = channelmembers.channelid \
             where channelmembers.userid = $1 and ($2 = '' or channels.teamid in ($2, '')) and channels.deleteat = 0 \
             order by channelmembers.channelid limit $3 offset $4",
        );
        let team = team.unwrap_or(Id::NONE);
        let rows: Vec<ChannelMember> =
            rows.bind(user).bind(team).bind(limit).bind(offset).fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(ChannelMember::with_roles).collect())
    }

    /// A team's public channels whose name contains `term`.
    pub(crate) async fn public_channels(
        &self,
        team: Id,
        term: &str,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<Channel>> {
        let rows = query(
            "select channels.* from publicchannels join channels on channels.id = publicchannels.id \
             where publicchannels.teamid = $1 and publicchannels.deleteat = 0 \
             and (lower(publicchannels.displayname) like $2 escape '\\' or publicchannels.name like $2 escape '\\') \
             order by publicchannels.displayname limit $3 offset $4",
        );
        let pattern = format!("%{}%", escape_like(&term.to_lowercase()));
        Ok(rows.bind(team).bind(pattern).bind(limit).bind(offset).fetch_all(&self.readers).await?)
    }

    /// The archived channels of a team, or the private ones.
    pub(crate) async fn hidden_channels(
        &self,
        team: Id,
        archived: bool,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<Channel>> {
        let rows = query(
            "select * from channels where teamid = $1 \
             and (($2 and deleteat <> 0) or (not $2 and deleteat = 0 and type = 'P')) \
             order by displayname limit $3 offset $4",
        );
        Ok(rows.bind(team).bind(archived).bind(limit).bind(offset).fetch_all(&self.readers).await?)
    }

    /// The numbers of members, pinned posts and files of a channel.
    pub(crate) async fn channel_stats(&self, channel: Id) -> Result<(i64, i64, i64)> {
        let row = query(
            "select (select count(*) from channelmembers join users on users.id = channelmembers.userid \
             where channelid = $1 and users.deleteat = 0), \
             (select count(*) from posts where channelid = $1 and ispinned and deleteat = 0), \
             (select count(*) from fileinfo where channelid = $1 and deleteat = 0 and postid <> '')",
        );
        Ok(row.bind(channel).fetch_one(&self.readers).await?)
    }

    /// Stores a new channel of a team, with `creator` as its administrator.
    pub(crate) async fn create_channel(
        &self,
        channel: Channel,
        creator: Option<Id>,
        max_channels: i64,
    ) -> Result<Channel> {
        self.write(move |tx| {
            Box::pin(async move {
                let channels: i64 = query("select count(*) from channels where teamid = $1 and deleteat = 0")
                    .bind(channel.team_id)
                    .fetch_one(&mut *tx.connection)
                    .await?;
                if channels >= max_channels {
                    return Err(AppError::bad_request(
                        "api.channel.create_channel.max_channel_limit.app_error",
                        format!("The team has its {max_channels} channels. Archive one first."),
                    ));
                }
                tx.insert_channel(&channel).await?;
                if let Some(creator) = creator {
                    tx.add_channel_member(channel.id, creator, true).await?;
                }
                Ok(channel)
            })
        })
        .await
    }

    /// The direct or group channel of `users`, created if there is none; `true` if it was created.
    pub(crate) async fn direct_channel(&self, channel: Channel, users: Vec<Id>) -> Result<(Channel, bool)> {
        self.write(move |tx| {
            Box::pin(async move {
                let row = query("select * from channels where name = $1 and teamid = ''").bind(&channel.name);
                if let Some(found) = row.fetch_optional(&mut *tx.connection).await? {
                    return Ok((found, false));
                }
                tx.insert_channel(&channel).await?;
                for user in users {
                    tx.add_channel_member(channel.id, user, false).await?;
                }
                Ok((channel, true))
            })
        })
        .await
    }

    /// Adds `user` to `channel`. `message` is the kind and text of the system post about it.
    pub(crate) async fn join_channel(
        &self,
        channel: Arc<Channel>,
        user: Arc<User>,
        message: (&'static str, String),
        root: Id,
    ) -> Result<Membership> {
        self.write(move |tx| {
            Box::pin(async move {
                let added = tx.add_channel_member(channel.id, user.id, false).await?;
                let post = if added && !channel.is_direct_or_group() {
                    Some(tx.insert_system_post(&channel, &user, message.0, message.1, root).await?)
                } else {
                    None
                };
                let row = query("select * from channelmembers where channelid = $1 and userid = $2");
                let member: ChannelMember =
                    row.bind(channel.id).bind(user.id).fetch_one(&mut *tx.connection).await?;
                Ok(Membership { member: member.with_roles(), post })
            })
        })
        .await
    }

    /// Removes `user` from `channel`.
    pub(crate) async fn leave_channel(
        &self,
        channel: Arc<Channel>,
        user: Arc<User>,
        message: (&'static str, String),
    ) -> Result<Option<Post>> {
        self.write(move |tx| {
            Box::pin(async move {
                let gone = query("delete from channelmembers where channelid = $1 and userid = $2")
                    .bind(channel.id)
                    .bind(user.id)
                    .execute(&mut *tx.connection)
                    .await?;
                if gone == 0 {
                    return Ok(None);
                }
                tx.note_leaving(channel.id, user.id, clock::now()).await?;
                tx.insert_system_post(&channel, &user, message.0, message.1, Id::NONE).await.map(Some)
            })
        })
        .await
    }

    /// Changes a channel: `change` gets the stored one.
    pub(crate) async fn update_channel<F>(&self, id: Id, change: F) -> Result<Channel>
    where
        F: FnOnce(&mut Channel) -> Result<()> + Send + 'static,
    {
        self.write(move |tx| {
            Box::pin(async move {
                let row = query("select * from channels where id = $1").bind(id);
                let mut channel: Channel =
                    row.fetch_optional(&mut *tx.connection).await?.ok_or_else(no_such_channel)?;
                change(&mut channel)?;
                channel.update_at = clock::now().max(channel.update_at + 1);
                query(
                    "update channels set updateat = $2, deleteat = $3, type = $4, displayname = $5, name = $6, \
                     header = $7, purpose = $8 where id = $1",
                )
                .bind(channel.id)
                .bind(channel.update_at)
                .bind(channel.delete_at)
                .bind(&channel.kind)
                .bind(&channel.display_name)
                .bind(&channel.name)
                .bind(&channel.header)
                .bind(&channel.purpose)
                .execute(&mut *tx.connection)
                .await
                .map_err(name_taken)?;
                tx.save_public_copy(&channel).await?;
                tx.touched.push(Touched::Channel(id));
                Ok(channel)
            })
        })
        .await
    }

    /// Changes a membership: `change` gets the stored one.
    pub(crate) async fn update_channel_member<F>(
        &self,
        channel: Id,
        user: Id,
        change: F,
    ) -> Result<ChannelMember>
    where
        F: FnOnce(&mut ChannelMember) -> Result<()> + Send + 'static,
    {
        self.write(move |tx| {
            Box::pin(async move {
                let row = query("select * from channelmembers where channelid = $1 and userid = $2");
                let mut member: ChannelMember = row
                    .bind(channel)
                    .bind(user)
                    .fetch_optional(&mut *tx.connection)
                    .await?
                    .ok_or_else(no_such_member)?;
                change(&mut member)?;
                member.last_update_at = clock::now();
                query(
                    "update channelmembers set roles = $3, schemeadmin = $4, notifyprops = $5, lastupdateat = $6 \
                     where channelid = $1 and userid = $2",
                )
                .bind(channel)
                .bind(user)
                .bind(&member.explicit_roles)
                .bind(member.scheme_admin)
                .bind(&member.notify_props)
                .bind(member.last_update_at)
                .execute(&mut *tx.connection)
                .await?;
                tx.touched.push(Touched::ChannelMember { channel, user });
                Ok(member.with_roles())
            })
        })
        .await
    }
}

impl Transaction<'_> {
    pub(crate) async fn insert_channel(&mut self, channel: &Channel) -> Result<()> {
        channel.insert().execute(&mut *self.connection).await.map_err(name_taken)?;
        self.save_public_copy(channel).await?;
        self.touched.push(Touched::Channel(channel.id));
        Ok(())
    }

    /// Keeps `publicchannels` equal to the public rows of `channels`.
    async fn save_public_copy(&mut self, channel: &Channel) -> Result<()> {
        let statement = if channel.kind() == ChannelKind::Public {
            "insert into publicchannels (id, deleteat, teamid, displayname, name, header, purpose) \
             select id, deleteat, teamid, displayname, name, header, purpose from channels where id = $1 \
             on conflict (id) do update set deleteat = excluded.deleteat, displayname = excluded.displayname, \
             name = excluded.name, header = excluded.header, purpose = excluded.purpose"
        } else {
            "delete from publicchannels where id = $1"
        };
        query(statement).bind(channel.id).execute(&mut *self.connection).await?;
        Ok(())
    }

    /// Adds a member; `false` if `user` was one already. The channel's posts so far count as read.
    pub(crate) async fn add_channel_member(&mut self, channel: Id, user: Id, admin: bool) -> Result<bool> {
        let now = clock::now();
        let mut member = ChannelMember::new(channel, user, admin, now);
        member.last_viewed_at = now;
        let done = member
            .bind_to(
                "insert into channelmembers (channelid, userid, roles, lastviewedat, msgcount, mentioncount, \
                 mentioncountroot, urgentmentioncount, msgcountroot, notifyprops, lastupdateat, schemeguest, schemeuser, \
                 schemeadmin, autotranslation, autotranslationdisabled) \
                 select id, $2, $3, $4, totalmsgcount, $6, $7, $8, totalmsgcountroot, $10, $11, $12, $13, $14, $15, $16 \
                 from channels where id = $1 on conflict (channelid, userid) do nothing",
            )
            .execute(&mut *self.connection)
            .await?;
        if done == 0 {
            return Ok(false);
        }
        query(
            "insert into channelmemberhistory (channelid, userid, jointime) values ($1, $2, $3) on conflict do nothing",
        )
        .bind(channel)
        .bind(user)
        .bind(now)
        .execute(&mut *self.connection)
        .await?;
        self.touched.push(Touched::ChannelMember { channel, user });
        Ok(true)
    }

    pub(crate) async fn note_leaving(&mut self, channel: Id, user: Id, now: i64) -> Result<()> {
        query(
            "update channelmemberhistory set leavetime = $1 where channelid = $2 and userid = $3 and leavetime is null",
        )
        .bind(now)
        .bind(channel)
        .bind(user)
        .execute(&mut *self.connection)
        .await?;
        // The user may no longer see the channel's threads.
        query(
            "delete from threadmemberships where userid = $2 \
             and postid in (select postid from threads where channelid = $1)",
        )
        .bind(channel)
        .bind(user)
        .execute(&mut *self.connection)
        .await?;
        self.touched.push(Touched::ChannelMember { channel, user });
        Ok(())
    }
}

fn name_taken(error: sqlx::Error) -> AppError {
    if is_duplicate(&error) {
        AppError::bad_request(
            "store.sql_channel.save_channel.exists.app_error",
            "A channel with that name already exists on the same team.",
        )
    } else {
        error.into()
    }
}

pub(crate) fn no_such_channel() -> AppError {
    AppError::not_found("app.channel.get.existing.app_error", "Unable to find the existing channel.")
}

pub(crate) fn no_such_member() -> AppError {
    AppError::not_found(
        "app.channel.get_member.missing.app_error",
        "No channel member found for that user and channel.",
    )
}
