//! Pages of channels and threads.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::super::parameters::{Params, Search};
use crate::app::App;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::json::{Json, json_response};
use crate::model::{Post, PostList};
use crate::session::Caller;
use crate::store::{Page, PageKey, no_such_channel_member};

/// The most posts of a thread in one request.
const MOST_OF_THREAD: i64 = 200;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/channels/{channel_id}/posts", get(of_channel))
        .route("/users/{user_id}/channels/{channel_id}/posts/unread", get(around_unread))
        .route("/posts/{post_id}/thread", get(thread))
}

async fn of_channel(caller: Caller, params: Params, query: Search) -> Result<Response> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    caller.must_read(&channel).await?;
    query.refuse(&["include_deleted"])?;
    let store = &caller.app.store;
    let roots_only = query.flag("collapsedThreads");
    if query.has("since") {
        let since = query.number("since").ok_or_else(|| AppError::parameter("since"))?;
        let posts = store.posts_since(channel.id, since, roots_only).await?;
        return Ok(Json(list(&caller, posts, &query).await?).into_response());
    }
    let paging = query.paging();
    let offset = paging.offset();
    let page = match (query.id("before")?, query.id("after")?) {
        (Some(post), _) => Page::Before { post, offset },
        (None, Some(post)) => Page::After { post, offset },
        (None, None) => Page::Newest { offset },
    };
    let made = page_of_channel(&caller, channel.id, page, &query);
    if offset > 0 || !matches!(page, Page::Newest { .. }) {
        return Ok(Json(made.await?).into_response());
    }
    let key = PageKey {
        channel: channel.id,
        per_page: paging.per_page,
        roots_only,
        without_roots: query.flag("skipFetchThreads"),
        reader: Some(caller.user.id),
    };
    let newest = store.page(key, async {
        let list = made.await?;
        let is_own = list.posts.values().any(|post| post.is_following.is_some());
        Ok((serde_json::to_vec(&list).map_err(AppError::internal)?.into(), is_own))
    });
    newest.await.map(json_response)
}

async fn page_of_channel(caller: &Caller, channel: Id, page: Page, query: &Search) -> Result<PostList> {
    let paging = query.paging();
    // One more post than asked for shows whether there is a next page.
    let roots_only = query.flag("collapsedThreads");
    let store = &caller.app.store;
    let mut posts = store.channel_posts(channel, page, paging.per_page + 1, roots_only).await?;
    let more = (posts.len() as i64 > paging.per_page).then(|| match page {
        Page::After { .. } => posts.remove(0).id,
        _ => posts.pop().map(|post| post.id).unwrap_or_default(),
    });
    let (next, previous) = match page {
        // The next newer post than this page's first, and the next older one than its last.
        Page::Newest { offset: 0 } => (None, more),
        Page::Newest { .. } => (None, more),
        Page::Before { post, offset: 0 } => (Some(post), more),
        Page::Before { .. } => (None, more),
        Page::After { post, .. } => (more, Some(post)),
    };
    let mut answer = list(caller, posts, query).await?;
    answer.next_post_id = next.unwrap_or_default();
    answer.prev_post_id = previous.unwrap_or_default();
    Ok(answer)
}

/// A completed list of `posts`, with the roots of its replies unless the query says `skipFetchThreads`.
async fn list(caller: &Caller, posts: Vec<Post>, query: &Search) -> Result<PostList> {
    let order: Vec<Id> = posts.iter().map(|post| post.id).collect();
    let mut all = posts;
    if !query.flag("skipFetchThreads") {
        let mut roots: Vec<Id> =
            all.iter().map(|post| post.root_id).filter(|id| !id.is_none() && !order.contains(id)).collect();
        roots.sort_unstable();
        roots.dedup();
        if !roots.is_empty() {
            all.extend(caller.app.store.posts_by_ids(&roots).await?);
        }
    }
    Ok(PostList { order, ..PostList::of(caller.complete(all).await?) })
}

/// The posts around the oldest unread one, or the newest posts if all are read.
async fn around_unread(caller: Caller, params: Params, query: Search) -> Result<Json<PostList>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    let channel = caller.channel(params.id("channel_id")?).await?;
    caller.must_read(&channel).await?;
    let limit = |name| query.number(name).unwrap_or(60).clamp(0, 200);
    let (before, after) = (limit("limit_before"), limit("limit_after"));
    if after == 0 {
        return Err(AppError::parameter("limit_after"));
    }
    let store = &caller.app.store;
    let member =
        store.channel_member_with_counters(channel.id, user).await?.ok_or_else(no_such_channel_member)?;
    let roots_only = query.flag("collapsedThreads");
    let unread = store.first_unread(channel.id, member.last_viewed_at, roots_only).await?;
    let Some(unread) = unread else {
        let page = Page::Newest { offset: 0 };
        let mut posts = store.channel_posts(channel.id, page, before + 1, roots_only).await?;
        let older = if posts.len() as i64 > before { posts.pop().map(|post| post.id) } else { None };
        let mut answer = list(&caller, posts, &query).await?;
        answer.prev_post_id = older.unwrap_or_default();
        return Ok(Json(answer));
    };
    let first = unread.id;
    let newer = Page::After { post: first, offset: 0 };
    let mut newer = store.channel_posts(channel.id, newer, after, roots_only).await?;
    let next = if newer.len() as i64 >= after { Some(newer.remove(0).id) } else { None };
    let older = Page::Before { post: first, offset: 0 };
    let mut older = store.channel_posts(channel.id, older, before + 1, roots_only).await?;
    let previous = if older.len() as i64 > before { older.pop().map(|post| post.id) } else { None };
    let posts = newer.into_iter().chain([unread]).chain(older).collect();
    let mut answer = list(&caller, posts, &query).await?;
    answer.next_post_id = next.unwrap_or_default();
    answer.prev_post_id = previous.unwrap_or_default();
    Ok(Json(answer))
}

/// The root and its replies, oldest first, or the root and one page of the replies.
async fn thread(caller: Caller, params: Params, query: Search) -> Result<Json<PostList>> {
    let (post, _) = caller.readable_post(params.id("post_id")?).await?;
    let store = &caller.app.store;
    let root = match post.root_id {
        Id::NONE => post,
        root => store.post(root).await?.ok_or_else(crate::store::no_such_post)?,
    };
    let per_page = query.number("perPage").unwrap_or(0);
    if per_page > MOST_OF_THREAD {
        return Err(AppError::parameter("perPage"));
    }
    let mut replies = store.replies(root.id).await?;
    let upwards = query.text("direction") == "up";
    if upwards {
        replies.reverse();
    }
    if let Some(from) = query.number("fromCreateAt").filter(|from| *from > 0) {
        let from = (from, query.id("fromPost")?.unwrap_or_default());
        replies.retain(|reply| match ((reply.create_at, reply.id), upwards) {
            (place, false) => place > from,
            // If the query names no post, replies of exactly that millisecond are left out.
            (place, true) => place < from || (from.1.is_none() && place.0 < from.0),
        });
    }
    let mut has_next = None;
    if per_page > 0 {
        has_next = Some(replies.len() as i64 > per_page);
        replies.truncate(per_page as usize);
    }
    let posts = std::iter::once(root).chain(replies).collect();
    let mut answer = PostList::of(caller.complete(posts).await?);
    answer.has_next = has_next;
    Ok(Json(answer))
}
