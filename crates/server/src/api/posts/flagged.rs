//! The posts that a user has saved: each is a preference.

use axum::Router;
use axum::routing::get;

use super::super::parameters::{Params, Search};
use crate::app::App;
use crate::error::Result;
use crate::json::Json;
use crate::model::PostList;
use crate::session::Caller;

pub(super) fn router() -> Router<App> {
    Router::new().route("/users/{user_id}/posts/flagged", get(list))
}

/// Of all channels, of a team and the direct ones, or of one channel. Only what the caller may read is there.
async fn list(caller: Caller, params: Params, query: Search) -> Result<Json<PostList>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    let (team, channel, paging) = (query.id("team_id")?, query.id("channel_id")?, query.paging());
    let posts = caller.app.store.flagged_posts(user, team, channel, paging.offset(), paging.per_page).await?;
    let mut readable = Vec::new();
    for post in posts {
        let channel = caller.channel(post.channel_id).await?;
        if caller.must_read(&channel).await.is_ok() {
            readable.push(post);
        }
    }
    Ok(Json(PostList::of(caller.complete(readable).await?)))
}
