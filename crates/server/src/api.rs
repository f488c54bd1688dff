//! The routes of API v4, one module for each resource.

mod categories;
mod channel_members;
mod channels;
mod commands;
mod drafts;
mod fallback;
mod files;
mod gitlab;
mod hooks;
mod local;
mod locks;
mod login;
mod mail;
mod member_roles;
mod none;
mod parameters;
mod patch;
mod people;
mod posts;
mod preferences;
mod reactions;
mod roles;
mod search;
mod sessions;
mod sign_up;
mod statuses;
mod system;
mod team_members;
mod teams;
mod threads;
mod tokens;
mod users;

use axum::Router;
use axum::routing::get;

use crate::app::App;
use crate::{web, websocket};
pub(crate) use hooks::tell as tell_hooks;
pub(crate) use local::router as local_router;

/// All routes, including the web client's.
pub(crate) fn router() -> Router<App> {
    let v4 = Router::new()
        .merge(categories::router())
        .merge(channel_members::router())
        .merge(channels::router())
        .merge(commands::router())
        .merge(drafts::router())
        .merge(files::router())
        .merge(hooks::router())
        .merge(login::router())
        .merge(mail::router())
        .merge(none::router())
        .merge(people::router())
        .merge(posts::router())
        .merge(preferences::router())
        .merge(reactions::router())
        .merge(roles::router())
        .merge(search::router())
        .merge(sessions::router())
        .merge(sign_up::router())
        .merge(statuses::router())
        .merge(system::router())
        .merge(team_members::router())
        .merge(teams::router())
        .merge(threads::router())
        .merge(tokens::router())
        .merge(users::router())
        .route("/websocket", get(websocket::open))
        .route("/websocket/", get(websocket::open))
        .method_not_allowed_fallback(fallback::not_implemented)
        .fallback(fallback::in_api);
    Router::new()
        .nest("/api/v4", v4)
        .merge(files::public_router())
        .merge(gitlab::router())
        .merge(hooks::receiving_router())
        .merge(commands::receiving_router())
        .merge(web::router())
        .fallback(fallback::outside_api)
}
