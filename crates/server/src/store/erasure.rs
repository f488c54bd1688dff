//! Deleting for good: posts, channels, teams and accounts with everything that belongs to them.
//!
//! Each call deletes a bounded part in one transaction, and what others refer to goes last: a deletion that was interrupted
//! anywhere is completed by asking again.

use super::caches::Touched;
use super::handle::Store;
use super::writer::Transaction;
use crate::clock;
use crate::error::Result;
use crate::id::Id;
use crate::sql::{query, row};

/// How many root posts are deleted in one transaction, so that other writes do not wait for long.
const AT_ONCE: i64 = 200;

row! {
    /// Where the parts of a stored file are.
    #[derive(Debug)]
    struct StoredPaths {
        path path: String,
        thumbnail thumbnailpath: String,
        preview previewpath: String,
    }
}

impl StoredPaths {
    pub(crate) fn all(self) -> impl Iterator<Item = String> {
        [self.path, self.thumbnail, self.preview].into_iter().filter(|path| !path.is_empty())
    }
}

/// What is deleted for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doomed {
    Channel(Id),
    Account(Id),
}

impl Doomed {
    /// The column that names the owner in `posts`, and in `fileinfo`, and the owner.
    fn owner(self) -> (&'static str, &'static str, Id) {
        match self {
            Doomed::Channel(id) => ("channelid", "channelid", id),
            Doomed::Account(id) => ("userid", "creatorid", id),
        }
    }
}

impl Store {
    /// Some of the posts to delete; empty when all are gone.
    pub(crate) async fn doomed_posts(&self, doomed: Doomed) -> Result<Vec<Id>> {
        let (column, _, id) = doomed.owner();
        let rows = query(format!("select id from posts where {column} = $1 limit $2"));
        Ok(rows.bind(id).bind(AT_ONCE).fetch_all(&self.readers).await?)
    }

    /// `posts` with all replies to them and all their former versions.
    pub(crate) async fn with_dependents(&self, posts: &[Id]) -> Result<Vec<Id>> {
        let mut all = posts.to_vec();
        for column in ["rootid", "originalid"] {
            let rows = query(format!("select id from posts where {column} = any($1)"));
            let more: Vec<Id> = rows.bind(&all).fetch_all(&self.readers).await?;
            all.extend(more);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// The paths of all files of these posts, including files that were deleted before.
    pub(crate) async fn paths_of_posts(&self, posts: &[Id]) -> Result<Vec<StoredPaths>> {
        let rows = query("select path, thumbnailpath, previewpath from fileinfo where postid = any($1)");
        Ok(rows.bind(posts).fetch_all(&self.readers).await?)
    }

    /// The paths of all files that belong to a channel or were uploaded by an account.
    pub(crate) async fn paths_of(&self, doomed: Doomed) -> Result<Vec<StoredPaths>> {
        let (_, column, id) = doomed.owner();
        let rows =
            query(format!("select path, thumbnailpath, previewpath from fileinfo where {column} = $1"));
        Ok(rows.bind(id).fetch_all(&self.readers).await?)
    }

    /// Deletes posts, which must be complete in the sense of [`Store::with_dependents`], and all that belongs to them.
    pub(crate) async fn erase_posts(&self, posts: Vec<Id>) -> Result<()> {
        self.write(move |tx| Box::pin(async move { tx.erase_posts(&posts).await })).await
    }

    /// Deletes a channel that has no posts any more.
    pub(crate) async fn erase_channel(&self, id: Id) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let members: Vec<Id> = query("delete from channelmembers where channelid = $1 returning userid")
                    .bind(id)
                    .fetch_all(&mut *tx.connection)
                    .await?;
                for statement in [
                    "delete from channelmemberhistory where channelid = $1",
                    "delete from sidebarchannels where channelid = $1",
                    "delete from drafts where channelid = $1",
                    "delete from fileinfo where channelid = $1",
                    "delete from incomingwebhooks where channelid = $1",
                    "delete from commandwebhooks where channelid = $1",
                    "delete from preferences where category in ('favorite_channel', 'direct_channel_show', \
                     'group_channel_show', 'channel_open_time', 'channel_approximate_view_time') and name = $1",
                    "delete from publicchannels where id = $1",
                    "delete from channels where id = $1",
                ] {
                    tx.run(statement, id).await?;
                }
                let teams: Vec<Id> = query("delete from outgoingwebhooks where channelid = $1 returning teamid")
                    .bind(id)
                    .fetch_all(&mut *tx.connection)
                    .await?;
                tx.touched.extend(teams.into_iter().map(Touched::OutgoingHooks));
                tx.touched.push(Touched::Channel(id));
                let member = |user| Touched::ChannelMember { channel: id, user };
                tx.touched.extend(members.into_iter().map(member));
                Ok(())
            })
        })
        .await
    }

    /// The channels of a team, archived ones included.
    pub(crate) async fn all_channels_of_team(&self, team: Id) -> Result<Vec<Id>> {
        Ok(query("select id from channels where teamid = $1").bind(team).fetch_all(&self.readers).await?)
    }

    /// Deletes a team that has no channels any more.
    pub(crate) async fn erase_team(&self, id: Id) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let members: Vec<Id> = query("delete from teammembers where teamid = $1 returning userid")
                    .bind(id)
                    .fetch_all(&mut *tx.connection)
                    .await?;
                for statement in [
                    "delete from sidebarchannels where categoryid in (select id from sidebarcategories where teamid = $1)",
                    "delete from sidebarcategories where teamid = $1",
                    "delete from incomingwebhooks where teamid = $1",
                    "delete from outgoingwebhooks where teamid = $1",
                    "delete from commands where teamid = $1",
                    "delete from teams where id = $1",
                ] {
                    tx.run(statement, id).await?;
                }
                tx.touched.push(Touched::OutgoingHooks(id));
                tx.touched.push(Touched::Team(id));
                tx.touched.extend(members.into_iter().map(|user| Touched::TeamMember { team: id, user }));
                Ok(())
            })
        })
        .await
    }

    /// Deletes an account that has no posts any more.
    pub(crate) async fn erase_account(&self, id: Id) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.touched.push(Touched::AllPosts);
                tx.revoke_sessions(id).await?;
                let channels: Vec<Id> =
                    query("delete from channelmembers where userid = $1 returning channelid")
                        .bind(id)
                        .fetch_all(&mut *tx.connection)
                        .await?;
                let teams: Vec<Id> = query("delete from teammembers where userid = $1 returning teamid")
                    .bind(id)
                    .fetch_all(&mut *tx.connection)
                    .await?;
                let reacted: Vec<Id> = query("delete from reactions where userid = $1 returning postid")
                    .bind(id)
                    .fetch_all(&mut *tx.connection)
                    .await?;
                for post in reacted {
                    tx.note_reactions(post).await?;
                }
                for statement in [
                    "delete from channelmemberhistory where userid = $1",
                    "delete from threadmemberships where userid = $1",
                    "delete from sidebarchannels where userid = $1",
                    "delete from sidebarcategories where userid = $1",
                    "delete from drafts where userid = $1",
                    "delete from fileinfo where creatorid = $1",
                    "delete from preferences where userid = $1",
                    "delete from status where userid = $1",
                    "delete from audits where userid = $1",
                    "delete from mainstayloginattempts where userid = $1",
                    "delete from useraccesstokens where userid = $1",
                    "delete from incomingwebhooks where userid = $1",
                    "delete from commands where creatorid = $1",
                    "delete from commandwebhooks where userid = $1",
                    "delete from tokens where extra like '%' || $1 || '%'",
                    "delete from users where id = $1",
                ] {
                    tx.run(statement, id).await?;
                }
                let told: Vec<Id> =
                    query("delete from outgoingwebhooks where creatorid = $1 returning teamid")
                        .bind(id)
                        .fetch_all(&mut *tx.connection)
                        .await?;
                tx.touched.extend(told.into_iter().map(Touched::OutgoingHooks));
                tx.touched.push(Touched::User(id));
                let membership = |channel| Touched::ChannelMember { channel, user: id };
                tx.touched.extend(channels.into_iter().map(membership));
                tx.touched.extend(teams.into_iter().map(|team| Touched::TeamMember { team, user: id }));
                Ok(())
            })
        })
        .await
    }
}

impl Transaction<'_> {
    async fn run(&mut self, statement: &'static str, id: Id) -> Result<()> {
        query(statement).bind(id).execute(&mut *self.connection).await?;
        Ok(())
    }

    async fn erase_posts(&mut self, posts: &[Id]) -> Result<()> {
        self.touched.push(Touched::AllPosts);
        let threads: Vec<Id> = query(
            "select distinct rootid from posts where id = any($1) and rootid <> '' and originalid = ''",
        )
        .bind(posts)
        .fetch_all(&mut *self.connection)
        .await?;
        for statement in [
            "delete from reactions where postid = any($1)",
            "delete from threads where postid = any($1)",
            "delete from threadmemberships where postid = any($1)",
            "delete from fileinfo where postid = any($1)",
            "delete from preferences where category = 'flagged_post' and name = any($1)",
            "delete from drafts where rootid = any($1)",
            "delete from posts where id = any($1)",
        ] {
            query(statement).bind(posts).execute(&mut *self.connection).await?;
        }
        for root in threads.into_iter().filter(|root| !posts.contains(root)) {
            self.recount_thread(root).await?;
            self.touch_post(root, clock::now()).await?;
        }
        Ok(())
    }

    /// Marks a post as changed at `now`, so that clients that ask for changed posts get it.
    pub(super) async fn touch_post(&mut self, post: Id, now: i64) -> Result<()> {
        query("update posts set updateat = greatest(updateat + 1, $2) where id = $1")
            .bind(post)
            .bind(now)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}
