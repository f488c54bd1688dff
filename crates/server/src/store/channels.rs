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
        Ok(query("SELECT * FROM channels WHERE id = $1").bind(id).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn channel_by_name(
        &self,
        team: Id,
        name: &str,
        deleted: bool,
    ) -> Result<Option<Channel>> {
        let row = query("SELECT * FROM channels WHERE name = $1 AND teamid = $2 AND ($3 OR deleteat = 0)");
        Ok(row.bind(name).bind(team).bind(deleted).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn channels_by_ids(&self, ids: &[Id]) -> Result<Vec<Channel>> {
        let rows = query("SELECT * FROM channels WHERE id = ANY($1)");
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
        let row = query("SELECT * FROM channelmembers WHERE channelid = $1 AND userid = $2");
        let member: Option<ChannelMember> =
            row.bind(channel).bind(user).fetch_optional(&self.readers).await?;
        Ok(member.map(ChannelMember::with_roles))
    }

    /// All members of `channel`.
    pub(crate) async fn members_of_channel(&self, channel: Id) -> Result<Arc<HashSet<Id>>> {
        let load = async {
            let rows = query("SELECT userid FROM channelmembers WHERE channelid = $1");
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
            query("SELECT * FROM channelmembers WHERE channelid = $1 ORDER BY userid LIMIT $2 OFFSET $3");
        let rows: Vec<ChannelMember> =
            rows.bind(channel).bind(limit).bind(offset).fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(ChannelMember::with_roles).collect())
    }

    /// The channels of `user`: those of `team` and the direct ones, or all if `team` is none.
    pub(crate) async fn channels_of(
        &self,
        user: Id,
        team: Option<Id>,
        deleted: bool,
    ) -> Result<Vec<Channel>> {
        let rows = query(
            "SELECT channels.* FROM channels JOIN channelmembers ON channelmembers.channelid = channels.id \
             WHERE channelmembers.userid = $1 AND ($2 = '' OR channels.teamid IN ($2, '')) \
             AND ($3 OR channels.deleteat = 0) ORDER BY channels.displayname",
        );
        let team = team.unwrap_or(Id::NONE);
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
            "SELECT channelmembers.* FROM channelmembers JOIN channels ON channels.id = channelmembers.channelid \
             WHERE channelmembers.userid = $1 AND ($2 = '' OR channels.teamid IN ($2, '')) AND channels.deleteat = 0 \
             ORDER BY channelmembers.channelid LIMIT $3 OFFSET $4",
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
            "SELECT channels.* FROM publicchannels JOIN channels ON channels.id = publicchannels.id \
             WHERE publicchannels.teamid = $1 AND publicchannels.deleteat = 0 \
             AND (lower(publicchannels.displayname) LIKE $2 ESCAPE '\\' OR publicchannels.name LIKE $2 ESCAPE '\\') \
             ORDER BY publicchannels.displayname LIMIT $3 OFFSET $4",
        );
        let pattern = format!("%{}%", escape_like(&term.to_lowercase()));
        Ok(rows.bind(team).bind(pattern).bind(limit).bind(offset).fetch_all(&self.readers).await?)
    }

    /// The numbers of members, pinned posts and files of a channel.
    pub(crate) async fn channel_stats(&self, channel: Id) -> Result<(i64, i64, i64)> {
        let row = query(
            "SELECT (SELECT count(*) FROM channelmembers JOIN users ON users.id = channelmembers.userid \
             WHERE channelid = $1 AND users.deleteat = 0), \
             (SELECT count(*) FROM posts WHERE channelid = $1 AND ispinned AND deleteat = 0), \
             (SELECT count(*) FROM fileinfo WHERE channelid = $1 AND deleteat = 0 AND postid <> '')",
        );
        Ok(row.bind(channel).fetch_one(&self.readers).await?)
    }

    /// Stores a new channel of a team, with `creator` as its administrator.
    pub(crate) async fn create_channel(
        &self,
        channel: Channel,
        creator: Arc<User>,
        max_channels: i64,
    ) -> Result<Channel> {
        self.write(move |tx| {
            Box::pin(async move {
                let channels: i64 = query("SELECT count(*) FROM channels WHERE teamid = $1 AND deleteat = 0")
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
                tx.add_channel_member(channel.id, creator.id, true).await?;
                Ok(channel)
            })
        })
        .await
    }

    /// The direct or group channel of `users`, created if there is none; `true` if it was created.
    pub(crate) async fn direct_channel(&self, channel: Channel, users: Vec<Id>) -> Result<(Channel, bool)> {
        self.write(move |tx| {
            Box::pin(async move {
                let row = query("SELECT * FROM channels WHERE name = $1 AND teamid = ''").bind(&channel.name);
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
    ) -> Result<Membership> {
        self.write(move |tx| {
            Box::pin(async move {
                let added = tx.add_channel_member(channel.id, user.id, false).await?;
                let post = if added && !channel.is_direct_or_group() {
                    Some(tx.insert_system_post(&channel, &user, message.0, message.1).await?)
                } else {
                    None
                };
                let row = query("SELECT * FROM channelmembers WHERE channelid = $1 AND userid = $2");
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
                let gone = query("DELETE FROM channelmembers WHERE channelid = $1 AND userid = $2")
                    .bind(channel.id)
                    .bind(user.id)
                    .execute(&mut *tx.connection)
                    .await?;
                if gone == 0 {
                    return Ok(None);
                }
                tx.note_leaving(channel.id, user.id, clock::now()).await?;
                tx.insert_system_post(&channel, &user, message.0, message.1).await.map(Some)
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
                let row = query("SELECT * FROM channels WHERE id = $1").bind(id);
                let mut channel: Channel =
                    row.fetch_optional(&mut *tx.connection).await?.ok_or_else(no_such_channel)?;
                change(&mut channel)?;
                channel.update_at = clock::now().max(channel.update_at + 1);
                query(
                    "UPDATE channels SET updateat = $2, deleteat = $3, type = $4, displayname = $5, name = $6, \
                     header = $7, purpose = $8 WHERE id = $1",
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
                let row = query("SELECT * FROM channelmembers WHERE channelid = $1 AND userid = $2");
                let mut member: ChannelMember = row
                    .bind(channel)
                    .bind(user)
                    .fetch_optional(&mut *tx.connection)
                    .await?
                    .ok_or_else(no_such_member)?;
                change(&mut member)?;
                member.last_update_at = clock::now();
                query(
                    "UPDATE channelmembers SET roles = $3, schemeadmin = $4, notifyprops = $5, lastupdateat = $6 \
                     WHERE channelid = $1 AND userid = $2",
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
            "INSERT INTO publicchannels (id, deleteat, teamid, displayname, name, header, purpose) \
             SELECT id, deleteat, teamid, displayname, name, header, purpose FROM channels WHERE id = $1 \
             ON CONFLICT (id) DO UPDATE SET deleteat = excluded.deleteat, displayname = excluded.displayname, \
             name = excluded.name, header = excluded.header, purpose = excluded.purpose"
        } else {
            "DELETE FROM publicchannels WHERE id = $1"
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
                "INSERT INTO channelmembers (channelid, userid, roles, lastviewedat, msgcount, mentioncount, \
                 mentioncountroot, urgentmentioncount, msgcountroot, notifyprops, lastupdateat, schemeguest, schemeuser, \
                 schemeadmin, autotranslation, autotranslationdisabled) \
                 SELECT id, $2, $3, $4, totalmsgcount, $6, $7, $8, totalmsgcountroot, $10, $11, $12, $13, $14, $15, $16 \
                 FROM channels WHERE id = $1 ON CONFLICT (channelid, userid) DO NOTHING",
            )
            .execute(&mut *self.connection)
            .await?;
        if done == 0 {
            return Ok(false);
        }
        query(
            "INSERT INTO channelmemberhistory (channelid, userid, jointime) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
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
            "UPDATE channelmemberhistory SET leavetime = $1 WHERE channelid = $2 AND userid = $3 AND leavetime IS NULL",
        )
        .bind(now)
        .bind(channel)
        .bind(user)
        .execute(&mut *self.connection)
        .await?;
        // The user may no longer see the channel's threads.
        query(
            "DELETE FROM threadmemberships WHERE userid = $2 \
             AND postid IN (SELECT postid FROM threads WHERE channelid = $1)",
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
