//! Posts: storing them together with the counters that they change, and reading pages of them.

use super::caches::{PageKey, Touched};
use super::handle::Store;
use super::writer::Transaction;
use bytes::Bytes;

use crate::bounds::PAGE_BYTES;
use crate::clock;
use crate::error::{AppError, Result, is_duplicate};
use crate::id::Id;
use crate::model::{Channel, Post, User};
use crate::sql::{Column, Dialects, query};

/// A post to be stored.
pub(crate) struct NewPost {
    pub(crate) post: Post,
    /// The channel's team; none for a direct channel.
    pub(crate) team_id: Id,
    /// The mentioned users, without the author.
    pub(crate) mentions: Vec<Id>,
    /// Whether author and mentioned users begin to follow the thread (`ServiceSettings.ThreadAutoFollow`).
    pub(crate) follow: bool,
}

/// A post as it was stored.
pub(crate) struct Written {
    pub(crate) post: Post,
    /// The followers of the post's thread; empty for root posts.
    pub(crate) followers: Vec<Id>,
}

/// A page of a channel's posts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Page {
    /// The newest, after skipping `offset`.
    Newest { offset: i64 },
    /// Older than this post, after skipping `offset`.
    Before { post: Id, offset: i64 },
    /// Newer than this post, after skipping `offset` of those next to it.
    After { post: Id, offset: i64 },
}

/// Whether a type of posts is about who came and went, as in Mattermost's `IsJoinLeaveMessage`.
macro_rules! is_about_members {
    ($kind:literal) => {
        concat!(
            "(substr(",
            $kind,
            ", 1, 11) in ('system_join', 'system_leav', 'system_add_', 'system_remo'))"
        )
    };
}
pub(super) use is_about_members;

/// Stores a post, updates the channel's counters, and marks the channel as read by the author. It is one round trip,
/// because it decides how many posts a second the server can store. As in Mattermost, posts about who came and went do not
/// count: they leave a channel read.
const INSERT: Dialects = Dialects { sqlite: INSERT_SQLITE, postgres: INSERT_POSTGRES };

const INSERT_SQLITE: &str = concat!(
    "\
    insert into posts (id, createat, updateat, editat, deleteat, ispinned, userid, channelid, rootid, originalid, \
        message, type, props, hashtags, filenames, fileids, hasreactions, remoteid) \
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18); \
    update channels set lastpostat = max(lastpostat, $2), totalmsgcount = totalmsgcount \
            + (not ",
    is_about_members!("$12"),
    "), \
        lastrootpostat = case $9 when '' then max(lastrootpostat, $2) else lastrootpostat end, \
        totalmsgcountroot = totalmsgcountroot + ($9 = '' and not ",
    is_about_members!("$12"),
    ") \
        where id = $8; \
    update channelmembers set lastviewedat = max(lastviewedat, $2), mentioncount = 0, mentioncountroot = 0, \
        msgcount = (select totalmsgcount from channels where id = $8), \
        msgcountroot = (select totalmsgcountroot from channels where id = $8) \
        where channelid = $8 and userid = $7"
);

const INSERT_POSTGRES: &str = concat!(
    "\
    with post as (insert into posts (id, createat, updateat, editat, deleteat, ispinned, userid, channelid, rootid, \
        originalid, message, type, props, hashtags, filenames, fileids, hasreactions, remoteid) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)), \
    counters as (update channels set lastpostat = greatest(lastpostat, $2), totalmsgcount = totalmsgcount \
            + case when ",
    is_about_members!("$12"),
    " \
            then 0 else 1 end, \
        lastrootpostat = case $9 when '' then greatest(lastrootpostat, $2) else lastrootpostat end, \
        totalmsgcountroot = totalmsgcountroot + case when $9 = '' \
            and not ",
    is_about_members!("$12"),
    " \
            then 1 else 0 end where id = $8 \
        returning totalmsgcount, totalmsgcountroot) \
    update channelmembers set lastviewedat = greatest(lastviewedat, $2), mentioncount = 0, mentioncountroot = 0, \
        msgcount = counters.totalmsgcount, msgcountroot = counters.totalmsgcountroot \
        from counters where channelid = $8 and userid = $7"
);

impl Store {
    /// Stores a post; it is durable when this returns.
    pub(crate) async fn create_post(&self, new: NewPost) -> Result<Written> {
        self.write(move |tx| Box::pin(async move { tx.insert_post(new).await })).await
    }

    /// The post `id`, unless it was deleted.
    pub(crate) async fn post(&self, id: Id) -> Result<Option<Post>> {
        let row = query("select * from posts where id = $1 and deleteat = 0");
        Ok(row.bind(id).fetch_optional(&self.readers).await?)
    }

    /// The post `id`, deleted or not.
    pub(crate) async fn any_post(&self, id: Id) -> Result<Option<Post>> {
        let row = query("select * from posts where id = $1 and originalid = ''");
        Ok(row.bind(id).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn posts_by_ids(&self, ids: &[Id]) -> Result<Vec<Post>> {
        let rows = query(
            "select * from posts where id = any($1) and deleteat = 0 \
             order by createat desc, id",
        );
        Ok(rows.bind(ids).fetch_all(&self.readers).await?)
    }

    /// The answer of which `key` tells, made by `make` unless it is there. `make` says whether only this reader gets it.
    pub(crate) async fn page(
        &self,
        key: PageKey,
        make: impl Future<Output = Result<(Bytes, bool)>>,
    ) -> Result<Bytes> {
        let pages = &self.caches.pages;
        let shared = PageKey { reader: None, ..key };
        let epoch = match pages.get(&shared).or_else(|_| pages.get(&key)) {
            Ok(page) => return Ok(page),
            Err(epoch) => epoch,
        };
        let (page, is_own) = make.await?;
        if page.len() <= PAGE_BYTES {
            pages.put(epoch, if is_own { key } else { shared }, page.clone());
        }
        Ok(page)
    }

    /// A page of a channel, newest first, without replies if `roots_only`.
    pub(crate) async fn channel_posts(
        &self,
        channel: Id,
        page: Page,
        limit: i64,
        roots_only: bool,
    ) -> Result<Vec<Post>> {
        const NEWEST: &str = "select * from posts where channelid = $1 and deleteat = 0 and (not $2 or rootid = '') \
             order by createat desc, id desc limit $3 offset $4";
        const BEFORE: &str = "select * from posts where channelid = $1 and deleteat = 0 and (not $2 or rootid = '') \
             and (createat, id) < (select createat, id from posts where id = $5) \
             order by createat desc, id desc limit $3 offset $4";
        const AFTER: &str = "select * from posts where channelid = $1 and deleteat = 0 and (not $2 or rootid = '') \
             and (createat, id) > (select createat, id from posts where id = $5) \
             order by createat, id limit $3 offset $4";
        let (statement, post, offset) = match page {
            Page::Newest { offset } => (NEWEST, None, offset),
            Page::Before { post, offset } => (BEFORE, Some(post), offset),
            Page::After { post, offset } => (AFTER, Some(post), offset),
        };
        let query = query(statement).bind(channel).bind(roots_only).bind(limit).bind(offset);
        let query = match post {
            Some(post) => query.bind(post),
            None => query,
        };
        let mut posts: Vec<Post> = query.fetch_all(&self.readers).await?;
        if matches!(page, Page::After { .. }) {
            posts.reverse();
        }
        Ok(posts)
    }

    /// The posts that changed after `since`, including deleted ones, newest first.
    pub(crate) async fn posts_since(&self, channel: Id, since: i64, roots_only: bool) -> Result<Vec<Post>> {
        let rows = query(
            "select * from posts where channelid = $1 and updateat > $2 and originalid = '' \
             and (not $3 or rootid = '') order by createat desc, id desc limit 1000",
        );
        Ok(rows.bind(channel).bind(since).bind(roots_only).fetch_all(&self.readers).await?)
    }

    /// The oldest post after `viewed_at`.
    pub(crate) async fn first_unread(
        &self,
        channel: Id,
        viewed_at: i64,
        roots_only: bool,
    ) -> Result<Option<Post>> {
        let row = query(
            "select * from posts where channelid = $1 and deleteat = 0 and createat > $2 \
             and (not $3 or rootid = '') order by createat, id limit 1",
        );
        Ok(row.bind(channel).bind(viewed_at).bind(roots_only).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn pinned_posts(&self, channel: Id) -> Result<Vec<Post>> {
        let rows = query(
            "select * from posts where channelid = $1 and ispinned and deleteat = 0 order by createat desc, id desc",
        );
        Ok(rows.bind(channel).fetch_all(&self.readers).await?)
    }

    /// Changes a post: `change` gets the stored one. With `keep`, the former version is stored too, in a row whose
    /// `originalid` is this post.
    pub(crate) async fn update_post<F>(&self, id: Id, keep: bool, change: F) -> Result<Post>
    where
        F: FnOnce(&mut Post) -> Result<()> + Send + 'static,
    {
        self.write(move |tx| {
            Box::pin(async move {
                let row = query("select * from posts where id = $1 and deleteat = 0").bind(id);
                let mut post: Post =
                    row.fetch_optional(&mut *tx.connection).await?.ok_or_else(no_such_post)?;
                let mut former = post.clone();
                change(&mut post)?;
                let now = clock::for_post(post.channel_id).max(post.update_at + 1);
                post.update_at = now;
                if post.file_ids.0 != former.file_ids.0 {
                    post.file_ids = Column(tx.change_files(&former, &post).await?);
                }
                if keep {
                    post.edit_at = now;
                    former.id = Id::random();
                    former.original_id = id;
                    former.update_at = now;
                    former.delete_at = now;
                    former.insert().execute(&mut *tx.connection).await?;
                }
                query(
                    "update posts set updateat = $2, editat = $3, ispinned = $4, message = $5, props = $6, \
                     hashtags = $7, fileids = $8, hasreactions = $9 where id = $1",
                )
                .bind(id)
                .bind(post.update_at)
                .bind(post.edit_at)
                .bind(post.is_pinned)
                .bind(&post.message)
                .bind(&post.props)
                .bind(&post.hashtags)
                .bind(&post.file_ids)
                .bind(post.has_reactions)
                .execute(&mut *tx.connection)
                .await?;
                tx.touched.push(Touched::Posts(post.channel_id));
                Ok(post)
            })
        })
        .await
    }

    /// Marks a post, its replies and their files as deleted.
    pub(crate) async fn delete_post(&self, post: Post, deleter: Id) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let now = clock::for_post(post.channel_id);
                tx.touched.push(Touched::Posts(post.channel_id));
                query(Dialects {
                    sqlite: "update posts set deleteat = $2, updateat = $2, \
                             props = json_set(props, '$.deleteBy', $3) \
                             where (id = $1 or rootid = $1) and deleteat = 0",
                    postgres: "update posts set deleteat = $2, updateat = $2, \
                               props = jsonb_set(props, '{deleteBy}', to_jsonb($3::text)) \
                               where (id = $1 or rootid = $1) and deleteat = 0",
                })
                .bind(post.id)
                .bind(now)
                .bind(deleter)
                .execute(&mut *tx.connection)
                .await?;
                for statement in [
                    "update fileinfo set deleteat = $2, updateat = $2 \
                     where deleteat = 0 and postid in (select id from posts where id = $1 or rootid = $1)",
                    "delete from preferences where $2 > 0 and category = 'flagged_post' \
                     and name in (select id from posts where id = $1 or rootid = $1)",
                    "delete from drafts where $2 > 0 and rootid = $1",
                ] {
                    query(statement).bind(post.id).bind(now).execute(&mut *tx.connection).await?;
                }
                if post.root_id.is_none() {
                    query("update threads set threaddeleteat = $2 where postid = $1")
                        .bind(post.id)
                        .bind(now)
                        .execute(&mut *tx.connection)
                        .await?;
                } else {
                    tx.recount_thread(post.root_id).await?;
                    tx.touch_post(post.root_id, now).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

impl Transaction<'_> {
    pub(crate) async fn insert_post(&mut self, new: NewPost) -> Result<Written> {
        let NewPost { mut post, team_id, mentions, follow } = new;
        self.touched.push(Touched::Posts(post.channel_id));
        if !post.file_ids.is_empty() {
            post.file_ids = Column(self.attach_files(&post).await?);
        }
        post.bind_to(INSERT).execute(&mut *self.connection).await.map_err(|error| {
            if is_duplicate(&error) {
                AppError::bad_request(
                    "app.post.save.existing.app_error",
                    "You cannot update an existing Post.",
                )
            } else {
                error.into()
            }
        })?;
        if !mentions.is_empty() {
            let root = i64::from(post.root_id.is_none());
            query(
                "update channelmembers set mentioncount = mentioncount + 1, mentioncountroot = mentioncountroot + $3 \
                 where channelid = $1 and userid = any($2)",
            )
            .bind(post.channel_id)
            .bind(&mentions)
            .bind(root)
            .execute(&mut *self.connection)
            .await?;
        }
        let followers = match post.root_id {
            Id::NONE => Vec::new(),
            _ => self.add_reply(&post, team_id, &mentions, follow).await?,
        };
        Ok(Written { post, followers })
    }

    /// Stores a system post about `user`.
    pub(crate) async fn insert_system_post(
        &mut self,
        channel: &Channel,
        user: &User,
        kind: &str,
        message: String,
        root: Id,
    ) -> Result<Post> {
        let now = clock::for_post(channel.id);
        let mut post = Post {
            id: Id::random(),
            create_at: now,
            update_at: now,
            user_id: user.id,
            channel_id: channel.id,
            root_id: root,
            message,
            kind: kind.to_owned(),
            ..Post::default()
        };
        post.props.insert("username".to_owned(), user.username.clone().into());
        let new = NewPost { post, team_id: channel.team_id, mentions: Vec::new(), follow: false };
        Ok(self.insert_post(new).await?.post)
    }

    /// Detaches the files that an edit removes from a post, attaches those that it adds, and returns the post's files.
    async fn change_files(&mut self, former: &Post, post: &Post) -> Result<Vec<Id>> {
        let removed: Vec<Id> =
            former.file_ids.iter().copied().filter(|id| !post.file_ids.contains(id)).collect();
        query("update fileinfo set deleteat = $3, updateat = $3 where postid = $1 and id = any($2) and deleteat = 0")
            .bind(post.id)
            .bind(&removed)
            .bind(post.update_at)
            .execute(&mut *self.connection)
            .await?;
        let added: Vec<Id> =
            post.file_ids.iter().copied().filter(|id| !former.file_ids.contains(id)).collect();
        let added = self.attach_files(&Post { file_ids: Column(added), ..post.clone() }).await?;
        let stays = |id: &Id| former.file_ids.contains(id) || added.contains(id);
        Ok(post.file_ids.iter().copied().filter(stays).collect())
    }

    /// Attaches to the post those of its files that its author uploaded to this channel and that belong to no post yet.
    /// Returns their ids.
    async fn attach_files(&mut self, post: &Post) -> Result<Vec<Id>> {
        let attached: Vec<Id> = query(
            "update fileinfo set postid = $1, updateat = $2 where id = any($3) \
             and creatorid = $4 and channelid = $5 and postid = '' and deleteat = 0 returning id",
        )
        .bind(post.id)
        .bind(post.update_at)
        .bind(&post.file_ids.0)
        .bind(post.user_id)
        .bind(post.channel_id)
        .fetch_all(&mut *self.connection)
        .await?;
        Ok(post.file_ids.iter().copied().filter(|id| attached.contains(id)).collect())
    }
}

pub(crate) fn no_such_post() -> AppError {
    AppError::not_found("app.post.get.app_error", "Unable to get the post.")
}
