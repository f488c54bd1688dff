//! The routes of the local channel: those that Mattermost's `mmctl --local` uses, and no others.
//!
//! Posts, files, websockets and logins are not among them, as in Mattermost. Beyond Mattermost, an administrator can also
//! search accounts, list and end sessions, list the locks of accounts, and unlock an account here.

use axum::Router;
use axum::routing::{any, delete, put};

use super::{
    channel_members, channels, fallback, locks, mail, people, roles, sessions, sign_up, system, team_members,
    teams, tokens, users,
};
use crate::app::App;

/// What Mattermost has on this channel and this server lacks: 501, while every other path is a 404.
const MISSING: &[&str] = &[
    "/bots",
    "/channels/{channel_id}/move",
    "/commands",
    "/config/migrate",
    "/config/reload",
    "/exports",
    "/hooks/incoming",
    "/hooks/outgoing",
    "/imports",
    "/integrity",
    "/jobs",
    "/ldap/sync",
    "/license",
    "/logs",
    "/plugins",
    "/roles/{role_id}/patch",
    "/server_busy",
    "/system/schema/version",
    "/system/support_packet",
    "/uploads",
    "/users/migrate_auth/ldap",
    "/users/migrate_auth/saml",
    "/users/{user_id}/convert_to_bot",
    "/users/{user_id}/demote",
    "/users/{user_id}/promote",
    "/users/{user_id}/uploads",
];

/// All routes of the local channel.
pub(crate) fn router() -> Router<App> {
    let v4 = Router::new()
        .merge(channel_members::local_router())
        .merge(channels::local_router())
        .merge(locks::local_router())
        .merge(mail::local_router())
        .merge(people::local_router())
        .merge(roles::router())
        .merge(sessions::router())
        .merge(sign_up::router())
        .merge(system::local_router())
        .merge(team_members::local_router())
        .merge(teams::local_router())
        .merge(tokens::local_router())
        .merge(users::local_router());
    let v4 = MISSING.iter().fold(v4, |v4, path| v4.route(path, any(fallback::not_implemented)));
    let v4 = v4
        .route("/config", put(fallback::not_implemented))
        .route("/users", delete(fallback::not_implemented))
        .method_not_allowed_fallback(fallback::nowhere)
        .fallback(fallback::nowhere);
    Router::new().nest("/api/v4", v4).fallback(fallback::nowhere)
}
