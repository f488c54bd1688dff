//! Searching posts and files.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::parameters::Params;
use crate::app::App;
use crate::bounds::SEARCH_TERM;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::json::{Body, Json};
use crate::model::{FileInfo, PostList};
use crate::permission::VIEW_TEAM;
use crate::rules;
use crate::search::{Choice, Terms};
use crate::session::Caller;
use crate::store::SearchScope;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/posts/search", post(posts))
        .route("/teams/{team_id}/posts/search", post(posts))
        .route("/files/search", post(files))
        .route("/teams/{team_id}/files/search", post(files))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SearchRequest {
    terms: String,
    is_or_search: bool,
    /// Seconds east of Greenwich.
    time_zone_offset: i64,
    page: i64,
    include_deleted_channels: bool,
}

/// Posts, and which words of them matched, which only search engines tell.
#[derive(Default, Serialize)]
struct FoundPosts {
    #[serde(flatten)]
    list: PostList,
    matches: Option<Value>,
}

async fn posts(
    caller: Caller,
    params: Params,
    Body(request): Body<SearchRequest>,
) -> Result<Json<FoundPosts>> {
    let Some((terms, scope)) = understood(&caller, &params, &request).await? else {
        return Ok(Json(FoundPosts::default()));
    };
    let posts = caller.app.store.search_posts(&terms, &scope).await?;
    let list = PostList::of(caller.complete(posts).await?);
    Ok(Json(FoundPosts { list, matches: None }))
}

async fn files(caller: Caller, params: Params, Body(request): Body<SearchRequest>) -> Result<Json<Value>> {
    let files = match understood(&caller, &params, &request).await? {
        Some((terms, scope)) => caller.app.store.search_files(&terms, &scope).await?,
        None => Vec::new(),
    };
    let order: Vec<Id> = files.iter().map(|file| file.id).collect();
    let infos: BTreeMap<Id, FileInfo> = files.into_iter().map(|file| (file.id, file)).collect();
    Ok(Json(json!({
        "order": order,
        "file_infos": infos,
        "next_file_info_id": "",
        "prev_file_info_id": "",
        "first_inaccessible_file_time": 0,
    })))
}

/// What a request searches for, and where; none if nothing can be found. As in Mattermost's database search, the first page
/// has everything.
async fn understood(
    caller: &Caller,
    params: &Params,
    request: &SearchRequest,
) -> Result<Option<(Terms, SearchScope)>> {
    let team = if params.text("team_id").is_empty() { Id::NONE } else { params.id("team_id")? };
    if !team.is_none() {
        caller.must_in_team(team, VIEW_TEAM).await?;
    }
    if request.terms.trim().is_empty() {
        return Err(AppError::body("terms"));
    }
    rules::at_most(SEARCH_TERM, &request.terms, "terms")?;
    let terms = Terms::parse(&request.terms, request.time_zone_offset);
    if terms.is_empty() || request.page > 0 {
        return Ok(None);
    }
    let (channels, authors) = (&terms.channels, &terms.authors);
    let scope = SearchScope {
        user: caller.user.id,
        team,
        archived: request.include_deleted_channels,
        any_word: request.is_or_search,
        channels: wanted(channels, channel_ids(caller, team, &channels.wanted).await?),
        without_channels: channel_ids(caller, team, &channels.unwanted).await?,
        authors: wanted(authors, author_ids(caller, &authors.wanted).await?),
        without_authors: author_ids(caller, &authors.unwanted).await?,
    };
    Ok(Some((terms, scope)))
}

/// The `ids` of the wanted names, if there are such names: nothing is found where none of them is known.
fn wanted(choice: &Choice, ids: Vec<Id>) -> Option<Vec<Id>> {
    (!choice.wanted.is_empty()).then_some(ids)
}

async fn author_ids(caller: &Caller, names: &[String]) -> Result<Vec<Id>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    Ok(caller.app.store.users_by_names(names).await?.into_iter().map(|user| user.id).collect())
}

/// The caller's channels of these names. `@name` is the direct channel with that person.
async fn channel_ids(caller: &Caller, team: Id, names: &[String]) -> Result<Vec<Id>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let (people, mut channels): (Vec<String>, Vec<String>) =
        names.iter().cloned().partition(|name| name.starts_with('@'));
    let people: Vec<String> = people.iter().map(|name| name.trim_start_matches('@').to_owned()).collect();
    for other in author_ids(caller, &people).await? {
        let (first, last) = (caller.user.id.min(other), caller.user.id.max(other));
        channels.push(format!("{first}__{last}"));
    }
    caller.app.store.channels_named(caller.user.id, team, &channels).await
}
