//! Threads: their counters and followers.

use super::caches::Touched;
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

/// A page of followed threads, the latest reply first.
#[derive(Debug, Default)]
pub(crate) struct ThreadPage {
    /// Only threads with a reply at this time or later.
    pub(crate) since: i64,
    /// Only threads whose last reply is older than this thread's.
    pub(crate) before: Option<Id>,
    /// Only threads whose last reply is newer than this thread's.
    pub(crate) after: Option<Id>,
    pub(crate) unread: bool,
    pub(crate) without_direct: bool,
    pub(crate) limit: i64,
}

const FOLLOWED: &str = "\
    select threads.postid, threads.replycount, threads.lastreplyat, threads.participants, \
        threadmemberships.lastviewed, threadmemberships.unreadmentions, \
        (select count(*) from posts where rootid = threads.postid and deleteat = 0 \
            and createat > threadmemberships.lastviewed and userid <> threadmemberships.userid) as unreadreplies \
    from threadmemberships join threads on threads.postid = threadmemberships.postid \
    where threadmemberships.userid = $1 and threadmemberships.following \
        and coalesce(threads.threaddeleteat, 0) = 0 ";

/// Counts a reply (by `$3`, at `$2`) in the thread `$1`, and creates the thread at its first reply.
const COUNT_SQLITE: &str = "\
    insert into threads (postid, replycount, lastreplyat, participants, channelid, threaddeleteat, threadteamid) \
    values ($1, 1, $2, json_array($3), $4, 0, $5) on conflict (postid) do update set \
        replycount = replycount + 1, lastreplyat = max(lastreplyat, $2), participants = case \
        when exists (select 1 from json_each(participants) where value = $3) then participants \
        else json_insert(participants, '$[#]', $3) end";
const COUNT_POSTGRES: &str = "\
    insert into threads (postid, replycount, lastreplyat, participants, channelid, threaddeleteat, threadteamid) \
    values ($1, 1, $2, jsonb_build_array($3::text), $4, 0, $5) on conflict (postid) do update set \
        replycount = threads.replycount + 1, lastreplyat = greatest(threads.lastreplyat, $2), participants = case \
        when threads.participants ? $3::text then threads.participants \
        else threads.participants || jsonb_build_array($3::text) end";

/// Recounts the replies of the thread `$1`.
const RECOUNT_SQLITE: &str = "\
    update threads set (replycount, lastreplyat) = (select count(*), coalesce(max(createat), 0) \
        from posts where rootid = $1 and deleteat = 0), participants = (select json_group_array(userid) from \
        (select distinct userid from posts where rootid = $1 and deleteat = 0)) where postid = $1";
const RECOUNT_POSTGRES: &str = "\
    update threads set (replycount, lastreplyat) = (select count(*), coalesce(max(createat), 0) \
        from posts where rootid = $1 and deleteat = 0), participants = (select coalesce(jsonb_agg(distinct userid), '[]') \
        from posts where rootid = $1 and deleteat = 0) where postid = $1";

impl Store {
    /// The threads of those `roots` that have replies.
    pub(crate) async fn threads(&self, roots: &[Id]) -> Result<Vec<Thread>> {
        let rows = query("select * from threads where postid = any($1)");
        Ok(rows.bind(roots).fetch_all(&self.readers).await?)
    }

    /// The replies of a thread, oldest first.
    pub(crate) async fn replies(&self, root: Id) -> Result<Vec<Post>> {
        let rows = query("select * from posts where rootid = $1 and deleteat = 0 order by createat, id");
        Ok(rows.bind(root).fetch_all(&self.readers).await?)
    }

    /// The threads that `user` follows in `team` and in direct channels, the latest first.
    pub(crate) async fn followed_threads(
        &self,
        user: Id,
        team: Id,
        page: &ThreadPage,
    ) -> Result<Vec<Followed>> {
        let mut rows = query([FOLLOWED, "and threads.lastreplyat >= $3 "].concat());
        rows = rows.bind(user).bind(team).bind(page.since);
        rows.push(match page.without_direct {
            true => "and threads.threadteamid = $2 ",
            false => "and (threads.threadteamid = $2 or coalesce(threads.threadteamid, '') = '') ",
        });
        if page.unread {
            rows.push("and (threads.lastreplyat > threadmemberships.lastviewed or threadmemberships.unreadmentions > 0) ");
        }
        if let Some(id) = page.before {
            rows.push("and threads.lastreplyat < (select lastreplyat from threads where postid = ");
            rows.push_bind(id).push(") ");
        }
        if let Some(id) = page.after {
            rows.push("and threads.lastreplyat > (select lastreplyat from threads where postid = ");
            rows.push_bind(id).push(") ");
        }
        // The page after a thread is the one next to it.
        rows.push(match page.after {
            Some(_) => "order by threads.lastreplyat limit ",
            None => "order by threads.lastreplyat desc limit ",
        });
        rows.push_bind(page.limit);
        let mut found: Vec<Followed> = rows.fetch_all(&self.readers).await?;
        if page.after.is_some() {
            found.reverse();
        }
        Ok(found)
    }

    pub(crate) async fn followed_thread(&self, user: Id, post: Id) -> Result<Option<Followed>> {
        let row = query([FOLLOWED, "and threads.postid = $2"].concat());
        Ok(row.bind(user).bind(post).fetch_optional(&self.readers).await?)
    }

    /// Those of `roots` that `user` follows.
    pub(crate) async fn following(&self, user: Id, roots: &[Id]) -> Result<Vec<Id>> {
        let rows = query(
            "select postid from threadmemberships where userid = $1 and following \
             and postid = any($2)",
        );
        Ok(rows.bind(user).bind(roots).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn follow_thread(&self, user: Id, post: Id, following: bool) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.touched.push(Touched::Follows(user));
                query(
                    "insert into threadmemberships (postid, userid, following, lastviewed, lastupdated, unreadmentions) \
                     values ($1, $2, $3, $4, $4, 0) on conflict (postid, userid) do update set following = $3, lastupdated = $4",
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
                    "update threadmemberships set lastviewed = $3, lastupdated = $4, unreadmentions = 0 \
                     where userid = $1 and postid = $2",
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
                    "update threadmemberships set lastviewed = $3, lastupdated = $3, unreadmentions = 0 \
                     where userid = $1 and postid in (select postid from threads where threadteamid in ($2, ''))",
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
            "select count(*) from threadmemberships join threads on threads.postid = threadmemberships.postid \
             where userid = $1 and following and coalesce(threaddeleteat, 0) = 0 and threadteamid in ($2, '')",
        );
        Ok(row.bind(user).bind(team).fetch_one(&self.readers).await?)
    }

    /// Marks the threads of `channels` that `user` follows as read.
    pub(crate) async fn read_threads_of_channels(&self, user: Id, channels: Vec<Id>) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query(
                    "update threadmemberships set lastviewed = $3, lastupdated = $3, unreadmentions = 0 \
                     where userid = $1 and postid in (select postid from threads where channelid = any($2))",
                )
                .bind(user)
                .bind(&channels)
                .bind(clock::now())
                .execute(&mut *tx.connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// How many of these threads have unread replies, and how many unread mentions they have.
    pub(crate) async fn unread_threads(&self, user: Id, team: Id) -> Result<(i64, i64)> {
        let row = query(
            "select count(*) filter (where lastreplyat > lastviewed), \
             cast(coalesce(sum(unreadmentions), 0) as bigint) \
             from threadmemberships join threads on threads.postid = threadmemberships.postid \
             where userid = $1 and following and coalesce(threaddeleteat, 0) = 0 and threadteamid in ($2, '')",
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
        let author: Id = query("select userid from posts where id = $1")
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
            "insert into threadmemberships (postid, userid, following, lastviewed, lastupdated, unreadmentions) \
             select $1, userid, true, case userid when $3 then $4 else 0 end, $4, \
                 case when userid = any($5) then 1 else 0 end \
             from channelmembers where channelid = $6 and userid = any($2) \
             on conflict (postid, userid) do update set lastupdated = $4, \
                 lastviewed = case threadmemberships.userid when $3 then greatest(threadmemberships.lastviewed, $4) \
                     else threadmemberships.lastviewed end, \
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
        query("update posts set updateat = greatest(updateat, $2) where id = $1")
            .bind(reply.root_id)
            .bind(reply.create_at)
            .execute(&mut *self.connection)
            .await?;
        let rows = query("select userid from threadmemberships where postid = $1 and following");
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
