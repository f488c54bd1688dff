//! Threads: their counters and followers.

use super::handle::Store;
use super::writer::Transaction;
use crate::clock;
use crate::error::Result;
use crate::id::Id;
use crate::model::{Post, Thread};
use crate::sql::{Column, Dialects, query, row};

row! {
    /// A followed thread, with its follower's unread counters.
    #[derive(Debug)]
    struct Followed {
        post_id postid: Id,
        reply_count replycount: i64,
        last_reply_at lastreplyat: i64,
        participants participants: Column<Vec<Id>>,
        last_viewed lastviewed: i64,
        unread_mentions unreadmentions: i64,
        unread_replies unreadreplies: i64,
    }
}

const FOLLOWED: &str = "\
    SELECT threads.postid, threads.replycount, threads.lastreplyat, threads.participants, \
        threadmemberships.lastviewed, threadmemberships.unreadmentions, \
        (SELECT count(*) FROM posts WHERE rootid = threads.postid AND deleteat = 0 \
            AND createat > threadmemberships.lastviewed AND userid <> threadmemberships.userid) AS unreadreplies \
    FROM threadmemberships JOIN threads ON threads.postid = threadmemberships.postid \
    WHERE threadmemberships.userid = $1 AND threadmemberships.following \
        AND coalesce(threads.threaddeleteat, 0) = 0 ";

/// Counts a reply (by `$3`, at `$2`) in the thread `$1`, and creates the thread at its first reply.
const COUNT_SQLITE: &str = "\
    INSERT INTO threads (postid, replycount, lastreplyat, participants, channelid, threaddeleteat, threadteamid) \
    VALUES ($1, 1, $2, json_array($3), $4, 0, $5) ON CONFLICT (postid) DO UPDATE SET \
        replycount = replycount + 1, lastreplyat = max(lastreplyat, $2), participants = CASE \
        WHEN EXISTS (SELECT 1 FROM json_each(participants) WHERE value = $3) THEN participants \
        ELSE json_insert(participants, '$[#]', $3) END";
const COUNT_POSTGRES: &str = "\
    INSERT INTO threads (postid, replycount, lastreplyat, participants, channelid, threaddeleteat, threadteamid) \
    VALUES ($1, 1, $2, jsonb_build_array($3::text), $4, 0, $5) ON CONFLICT (postid) DO UPDATE SET \
        replycount = threads.replycount + 1, lastreplyat = greatest(threads.lastreplyat, $2), participants = CASE \
        WHEN threads.participants ? $3::text THEN threads.participants \
        ELSE threads.participants || jsonb_build_array($3::text) END";

/// Recounts the replies of the thread `$1`.
const RECOUNT_SQLITE: &str = "\
    UPDATE threads SET (replycount, lastreplyat) = (SELECT count(*), coalesce(max(createat), 0) \
        FROM posts WHERE rootid = $1 AND deleteat = 0), participants = (SELECT json_group_array(userid) FROM \
        (SELECT DISTINCT userid FROM posts WHERE rootid = $1 AND deleteat = 0)) WHERE postid = $1";
const RECOUNT_POSTGRES: &str = "\
    UPDATE threads SET (replycount, lastreplyat) = (SELECT count(*), coalesce(max(createat), 0) \
        FROM posts WHERE rootid = $1 AND deleteat = 0), participants = (SELECT coalesce(jsonb_agg(DISTINCT userid), '[]') \
        FROM posts WHERE rootid = $1 AND deleteat = 0) WHERE postid = $1";

impl Store {
    /// The threads of those `roots` that have replies.
    pub(crate) async fn threads(&self, roots: &[Id]) -> Result<Vec<Thread>> {
        let rows = query("SELECT * FROM threads WHERE postid = ANY($1)");
        Ok(rows.bind(roots).fetch_all(&self.readers).await?)
    }

    /// The replies of a thread, oldest first.
    pub(crate) async fn replies(&self, root: Id) -> Result<Vec<Post>> {
        let rows = query("SELECT * FROM posts WHERE rootid = $1 AND deleteat = 0 ORDER BY createat, id");
        Ok(rows.bind(root).fetch_all(&self.readers).await?)
    }

    /// The threads that `user` follows in `team` and in direct channels, the latest first.
    pub(crate) async fn followed_threads(
        &self,
        user: Id,
        team: Id,
        since: i64,
        limit: i64,
    ) -> Result<Vec<Followed>> {
        const LIST: &str = "AND (threads.threadteamid = $2 OR coalesce(threads.threadteamid, '') = '') \
             AND threads.lastreplyat >= $3 ORDER BY threads.lastreplyat DESC LIMIT $4";
        let rows = query([FOLLOWED, LIST].concat());
        Ok(rows.bind(user).bind(team).bind(since).bind(limit).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn followed_thread(&self, user: Id, post: Id) -> Result<Option<Followed>> {
        let row = query([FOLLOWED, "AND threads.postid = $2"].concat());
        Ok(row.bind(user).bind(post).fetch_optional(&self.readers).await?)
    }

    /// Those of `roots` that `user` follows.
    pub(crate) async fn following(&self, user: Id, roots: &[Id]) -> Result<Vec<Id>> {
        let rows = query(
            "SELECT postid FROM threadmemberships WHERE userid = $1 AND following \
             AND postid = ANY($2)",
        );
        Ok(rows.bind(user).bind(roots).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn follow_thread(&self, user: Id, post: Id, following: bool) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query(
                    "INSERT INTO threadmemberships (postid, userid, following, lastviewed, lastupdated, unreadmentions) \
                     VALUES ($1, $2, $3, $4, $4, 0) ON CONFLICT (postid, userid) DO UPDATE SET following = $3, lastupdated = $4",
                )
                .bind(post)
                .bind(user)
                .bind(following)
                .bind(clock::now())
                .execute(&mut *tx.connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Marks a thread as read up to `at`.
    pub(crate) async fn read_thread(&self, user: Id, post: Id, at: i64) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query(
                    "UPDATE threadmemberships SET lastviewed = $3, lastupdated = $4, unreadmentions = 0 \
                     WHERE userid = $1 AND postid = $2",
                )
                .bind(user)
                .bind(post)
                .bind(at)
                .bind(clock::now())
                .execute(&mut *tx.connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Marks all threads of `team` and of direct channels as read up to `at`.
    pub(crate) async fn read_threads(&self, user: Id, team: Id, at: i64) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query(
                    "UPDATE threadmemberships SET lastviewed = $3, lastupdated = $3, unreadmentions = 0 \
                     WHERE userid = $1 AND postid IN (SELECT postid FROM threads WHERE threadteamid IN ($2, ''))",
                )
                .bind(user)
                .bind(team)
                .bind(at)
                .execute(&mut *tx.connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// How many threads `user` follows in `team` and in direct channels.
    pub(crate) async fn count_threads(&self, user: Id, team: Id) -> Result<i64> {
        let row = query(
            "SELECT count(*) FROM threadmemberships JOIN threads ON threads.postid = threadmemberships.postid \
             WHERE userid = $1 AND following AND coalesce(threaddeleteat, 0) = 0 AND threadteamid IN ($2, '')",
        );
        Ok(row.bind(user).bind(team).fetch_one(&self.readers).await?)
    }

    /// How many of these threads have unread replies, and how many unread mentions they have.
    pub(crate) async fn unread_threads(&self, user: Id, team: Id) -> Result<(i64, i64)> {
        let row = query(
            "SELECT count(*) FILTER (WHERE lastreplyat > lastviewed), \
             cast(coalesce(sum(unreadmentions), 0) AS bigint) \
             FROM threadmemberships JOIN threads ON threads.postid = threadmemberships.postid \
             WHERE userid = $1 AND following AND coalesce(threaddeleteat, 0) = 0 AND threadteamid IN ($2, '')",
        );
        Ok(row.bind(user).bind(team).fetch_one(&self.readers).await?)
    }
}

impl Transaction<'_> {
    /// Counts `reply` in its thread. With `follow`, its author, the root's author and the mentioned users begin to follow
    /// the thread, if they are in the channel. Returns the thread's followers.
    pub(super) async fn add_reply(
        &mut self,
        reply: &Post,
        team: Id,
        mentions: &[Id],
        follow: bool,
    ) -> Result<Vec<Id>> {
        let author: Id = query("SELECT userid FROM posts WHERE id = $1")
            .bind(reply.root_id)
            .fetch_one(&mut *self.connection)
            .await?;
        query(Dialects { sqlite: COUNT_SQLITE, postgres: COUNT_POSTGRES })
            .bind(reply.root_id)
            .bind(reply.create_at)
            .bind(reply.user_id)
            .bind(reply.channel_id)
            .bind(team)
            .execute(&mut *self.connection)
            .await?;
        let mut followers = if follow { mentions.to_vec() } else { Vec::new() };
        followers.extend(follow.then_some([author, reply.user_id]).into_iter().flatten());
        query(
            "INSERT INTO threadmemberships (postid, userid, following, lastviewed, lastupdated, unreadmentions) \
             SELECT $1, userid, true, CASE userid WHEN $3 THEN $4 ELSE 0 END, $4, \
                 CASE WHEN userid = ANY($5) THEN 1 ELSE 0 END \
             FROM channelmembers WHERE channelid = $6 AND userid = ANY($2) \
             ON CONFLICT (postid, userid) DO UPDATE SET lastupdated = $4, \
                 lastviewed = CASE threadmemberships.userid WHEN $3 THEN greatest(threadmemberships.lastviewed, $4) \
                     ELSE threadmemberships.lastviewed END, \
                 unreadmentions = threadmemberships.unreadmentions + excluded.unreadmentions",
        )
        .bind(reply.root_id)
        .bind(&followers)
        .bind(reply.user_id)
        .bind(reply.create_at)
        .bind(mentions)
        .bind(reply.channel_id)
        .execute(&mut *self.connection)
        .await?;
        // So that clients that ask for changed posts get the root.
        query("UPDATE posts SET updateat = greatest(updateat, $2) WHERE id = $1")
            .bind(reply.root_id)
            .bind(reply.create_at)
            .execute(&mut *self.connection)
            .await?;
        let rows = query("SELECT userid FROM threadmemberships WHERE postid = $1 AND following");
        Ok(rows.bind(reply.root_id).fetch_all(&mut *self.connection).await?)
    }

    /// Recomputes a thread's counters after a reply was deleted.
    pub(super) async fn recount_thread(&mut self, root: Id) -> Result<()> {
        query(Dialects { sqlite: RECOUNT_SQLITE, postgres: RECOUNT_POSTGRES })
            .bind(root)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}
