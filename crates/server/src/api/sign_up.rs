//! Signing up: by oneself, by an invite link, by an invitation that came by mail, or made by an administrator.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::parameters::Search;
use crate::app::App;
use crate::bounds::{USER_NOTIFY_PROPS, USER_PROPS};
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::Broadcast;
use crate::id::Id;
use crate::json::{Body, Json, created};
use crate::model::{StringMap, Team, User, default_notify_props, default_timezone};
use crate::password;
use crate::permission::MANAGE_SYSTEM;
use crate::rules;
use crate::session::Visitor;
use crate::sql::Column;
use crate::store::{
    Admission, OfInvitation, Purpose, expired_invitation, invalid_invitation, no_such_invite,
};

/// The routes, which the local channel has, too.
pub(super) fn router() -> Router<App> {
    Router::new().route("/users", post(create))
}

/// The fields of a new account. The server sets ids, times and roles; only administrators may set `email_verified`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NewUser {
    pub(super) email: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) nickname: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) position: String,
    pub(super) locale: String,
    pub(super) props: StringMap,
    pub(super) notify_props: StringMap,
    pub(super) timezone: StringMap,
    pub(super) allow_marketing: bool,
    email_verified: bool,
    disable_welcome_email: bool,
}

async fn create(
    State(app): State<App>,
    Visitor(caller): Visitor,
    search: Search,
    Body(mut new): Body<NewUser>,
) -> Result<(StatusCode, Json<User>)> {
    let by_administrator = match &caller {
        Some(caller) => caller.may(MANAGE_SYSTEM).await?,
        None => false,
    };
    let sign_up = app.config.email.enable_sign_up_with_email && app.config.team.enable_user_creation;
    if !by_administrator && !sign_up {
        return Err(AppError::new(
            StatusCode::NOT_IMPLEMENTED,
            "api.user.create_user.signup_email_disabled.app_error",
            "User sign-up with email is disabled.",
        ));
    }
    let invitation = Some(search.text("t")).filter(|token| !token.is_empty()).map(str::to_owned);
    let team = match &invitation {
        // The address is verified: the link came to it.
        Some(token) => {
            let said = app.store.token::<OfInvitation>(token, Purpose::JoinTeam).await?;
            let said = said.or(invalid_invitation, expired_invitation)?;
            new.email = said.email;
            app.store.team(said.team).await?.filter(|team| team.delete_at == 0).map(|team| Team::clone(&team))
        }
        None => team_of_link(&app, search.text("iid"), &new.email).await?,
    };
    let admitted = app.config.team.enable_open_server || team.is_some() || by_administrator;
    if !admitted && app.store.has_users().await? {
        // The transaction checks this again. Checking it here too avoids hashing passwords for strangers.
        return Err(crate::store::no_open_server());
    }
    // As in Mattermost, this rule holds for accounts that an administrator makes, too.
    if !rules::is_domain_allowed(&app.config.team.restrict_creation_to_domains, &new.email) {
        return Err(AppError::bad_request(
            "api.user.create_user.accepted_domain.app_error",
            "The email you provided does not belong to an accepted domain.",
        ));
    }
    let verified = (by_administrator && new.email_verified) || invitation.is_some();
    let is_welcomed = !new.disable_welcome_email;
    let user = User { email_verified: verified, ..account(&app, new).await? };
    let user = app.store.create_user(user, Admission { admitted, invitation }).await?;
    app.publish("new_user", &json!({"user_id": user.id}), Broadcast::everyone()).await;
    if let Some(team) = &team
        && let Err(error) = super::team_members::join(&app, team, Arc::new(user.clone())).await
    {
        // The account is there: a client that joins by the invite is told why it cannot.
        tracing::warn!(user = %user.id, team = %team.id, reason = error.id(), "an invited account did not join its team");
    }
    if is_welcomed && let Err(error) = app.mail_welcome(&user).await {
        tracing::error!(user = %user.id, detail = error.detail_text(), "no welcome mail was sent");
    }
    Ok(created(user))
}

/// The team of an invite link, which must accept `email`; `None` if there is no link. Any other link is an error.
pub(super) async fn team_of_link(app: &App, invite: &str, email: &str) -> Result<Option<Team>> {
    if invite.is_empty() {
        return Ok(None);
    }
    let team = app.store.team_by_invite(invite).await?.ok_or_else(no_such_invite)?;
    if !rules::is_domain_allowed(&team.allowed_domains, email) {
        return Err(AppError::forbidden(
            "api.team.invite_members.invalid_email.app_error",
            "The email's domain is not one that the team allows.",
        ));
    }
    Ok(Some(team))
}

/// Checks a new account's fields and hashes its password.
async fn account(app: &App, new: NewUser) -> Result<User> {
    let now = clock::now();
    let with_defaults = |given: StringMap, mut map: StringMap| {
        map.extend(given);
        Column(map)
    };
    let mut user = User {
        id: Id::random(),
        create_at: now,
        update_at: now,
        username: new.username.to_lowercase(),
        email: new.email.to_lowercase(),
        nickname: new.nickname,
        first_name: new.first_name,
        last_name: new.last_name,
        position: new.position,
        locale: new.locale,
        props: Column(new.props),
        notify_props: with_defaults(new.notify_props, default_notify_props()),
        timezone: with_defaults(new.timezone, default_timezone()),
        allow_marketing: new.allow_marketing,
        last_password_update: now,
        ..User::default()
    };
    if user.locale.is_empty() {
        user.locale.clone_from(&app.config.localization.default_client_locale);
    }
    check(&user)?;
    password::check(&app.config.password, &new.password)?;
    user.password = app.hash_password(new.password).await?;
    Ok(user)
}

/// Refuses an account whose fields break Mattermost's rules.
pub(super) fn check(user: &User) -> Result<()> {
    if !rules::is_username(&user.username) {
        return Err(AppError::bad_request(
            "model.user.is_valid.username.app_error",
            "Username must have 1 to 64 characters: lowercase letters, numbers, and the symbols \".\", \"-\", \"_\".",
        ));
    }
    if !rules::is_email(&user.email) {
        return Err(AppError::bad_request(
            "model.user.is_valid.email.app_error",
            "Please provide a valid email address.",
        ));
    }
    rules::at_most(64, &user.nickname, "nickname")?;
    rules::at_most(64, &user.first_name, "first_name")?;
    rules::at_most(64, &user.last_name, "last_name")?;
    rules::at_most(128, &user.position, "position")?;
    rules::at_most(5, &user.locale, "locale")?;
    rules::at_most(256, &rules::json(&user.timezone), "timezone")?;
    rules::at_most(USER_NOTIFY_PROPS, &rules::json(&user.notify_props), "notify_props")?;
    rules::at_most(USER_PROPS, &rules::json(&user.props), "props").map_err(|_| {
        AppError::bad_request(
            "model.user.is_valid.invalidProperty.app_error",
            format!("The account's props are longer than {USER_PROPS} characters."),
        )
    })
}
