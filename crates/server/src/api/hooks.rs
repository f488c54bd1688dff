//! Webhooks: incoming ones post what other programs send, outgoing ones tell other programs of posts.

mod incoming;
mod message;
mod outgoing;
mod receive;
mod slack;
mod tell;
mod trigger;

use axum::Router;
use http::StatusCode;
use url::Url;

use crate::app::App;
use crate::bounds::{HOOK_DESCRIPTION, HOOK_DISPLAY_NAME, HOOK_ICON, HOOK_USERNAME};
use crate::error::{AppError, Result};
use crate::outgoing::is_web;
use crate::rules;
pub(super) use message::{Answer, Look};
pub(super) use receive::plain_ok;
pub(crate) use tell::tell;

pub(super) fn router() -> Router<App> {
    Router::new().merge(incoming::router()).merge(outgoing::router())
}

/// The routes outside the API, which other programs call.
pub(super) fn receiving_router() -> Router<App> {
    receive::router()
}

/// Refuses with 501 what a setting switches off.
pub(super) fn must_be_on(enabled: bool, id: &'static str, what: &str) -> Result<()> {
    if enabled {
        return Ok(());
    }
    let message = format!("{what} have been disabled by the system administrator.");
    Err(AppError::new(StatusCode::NOT_IMPLEMENTED, id, message))
}

/// Refuses texts that are too long for the columns of a webhook.
fn check_texts(display_name: &str, description: &str, username: &str, icon_url: &str) -> Result<()> {
    rules::at_most(HOOK_DISPLAY_NAME, display_name, "display_name")?;
    rules::at_most(HOOK_DESCRIPTION, description, "description")?;
    check_look(username, icon_url)
}

/// Refuses a name or a picture under which nothing can be posted.
pub(super) fn check_look(username: &str, icon_url: &str) -> Result<()> {
    rules::at_most(HOOK_USERNAME, username, "username")?;
    rules::at_most(HOOK_ICON, icon_url, "icon_url")
}

/// Whether requests can be sent to `address`.
pub(super) fn is_address(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| is_web(&url))
}
