//! Accounts: creating, changing and deactivating them.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::{Params, Search};
use super::patch;
use crate::app::App;
use crate::bounds::{USER_NOTIFY_PROPS, USER_PROPS};
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::Broadcast;
use crate::id::Id;
use crate::json::{Body, Json, StringMapBody, created, ok};
use crate::model::{StringMap, User, default_notify_props, default_timezone};
use crate::password;
use crate::peer::Client;
use crate::permission::{EDIT_OTHER_USERS, MANAGE_ROLES, MANAGE_SYSTEM};
use crate::presence;
use crate::rules;
use crate::session::{Caller, Visitor};
use crate::sign_in::must_know_password;
use crate::sql::Column;
use crate::store::{Admission, USER_LIMIT, UserFilter, no_such_invite, no_such_user};

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/users", post(create))
        .route("/users/{user_id}", put(update).delete(deactivate))
        .route("/users/{user_id}/patch", put(patch))
        .route("/users/{user_id}/password", put(change_password))
        .route("/users/{user_id}/roles", put(set_roles))
        .route("/users/{user_id}/active", put(set_active))
        .route("/users/{user_id}/email/verify/member", post(verify_email))
        .route("/users/{user_id}/reset_failed_attempts", post(unlock))
        .route("/users/{user_id}/image", get(picture))
        .route("/users/{user_id}/image/default", get(picture))
        .route("/users/{user_id}/typing", post(typing))
}

/// The routes on the local channel.
pub(super) fn local_router() -> Router<App> {
    Router::new()
        .route("/users", post(create))
        .route("/users/{user_id}", put(update).delete(deactivate))
        .route("/users/{user_id}/patch", put(patch))
        .route("/users/{user_id}/password", put(change_password))
        .route("/users/{user_id}/roles", put(set_roles))
        .route("/users/{user_id}/active", put(set_active))
        .route("/users/{user_id}/mfa", put(set_mfa))
        .route("/users/{user_id}/email/verify/member", post(verify_email))
        .route("/users/{user_id}/reset_failed_attempts", post(unlock))
}

/// The fields of a new account. The server sets ids, times and roles; only administrators may set `email_verified`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct NewUser {
    email: String,
    username: String,
    password: String,
    nickname: String,
    first_name: String,
    last_name: String,
    position: String,
    locale: String,
    props: StringMap,
    notify_props: StringMap,
    timezone: StringMap,
    allow_marketing: bool,
    email_verified: bool,
}

async fn create(
    State(app): State<App>,
    Visitor(caller): Visitor,
    search: Search,
    Body(new): Body<NewUser>,
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
    let invited = admit_invited(&app, search.text("iid"), &new.email).await?;
    let admitted = app.config.team.enable_open_server || invited || by_administrator;
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
    let verified = by_administrator && new.email_verified;
    let user = User { email_verified: verified, ..account(&app, new).await? };
    let user = app.store.create_user(user, Admission { admitted }).await?;
    app.publish("new_user", &json!({"user_id": user.id}), Broadcast::everyone()).await;
    Ok(created(user))
}

/// `true` if `invite` belongs to a team that accepts `email`, `false` if there is no invite. Any other invite is an
/// error.
async fn admit_invited(app: &App, invite: &str, email: &str) -> Result<bool> {
    if invite.is_empty() {
        return Ok(false);
    }
    let team = app.store.team_by_invite(invite).await?.ok_or_else(no_such_invite)?;
    if !rules::is_domain_allowed(&team.allowed_domains, email) {
        return Err(AppError::forbidden(
            "api.team.invite_members.invalid_email.app_error",
            "The email's domain is not one that the team allows.",
        ));
    }
    Ok(true)
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
fn check(user: &User) -> Result<()> {
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

/// The fields of an account that its owner may change; absent fields stay as they are.
#[derive(Default, Deserialize)]
#[serde(default)]
struct UserPatch {
    username: Option<String>,
    email: Option<String>,
    password: Option<String>,
    nickname: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    position: Option<String>,
    locale: Option<String>,
    props: Option<StringMap>,
    notify_props: Option<StringMap>,
    timezone: Option<StringMap>,
}

async fn patch(
    caller: Caller,
    client: Client,
    params: Params,
    Body(patch): Body<UserPatch>,
) -> Result<Json<User>> {
    let id = params.user(&caller)?;
    caller.must_act_for(id).await?;
    change(&caller, client, id, patch).await
}

/// Takes a whole account, and changes the fields that its owner may change.
async fn update(
    caller: Caller,
    client: Client,
    params: Params,
    Body(whole): Body<NewUser>,
) -> Result<Json<User>> {
    let id = params.user(&caller)?;
    caller.must_act_for(id).await?;
    let patch = UserPatch {
        username: Some(whole.username).filter(|name| !name.is_empty()),
        email: Some(whole.email).filter(|email| !email.is_empty()),
        password: Some(whole.password).filter(|password| !password.is_empty()),
        nickname: Some(whole.nickname),
        first_name: Some(whole.first_name),
        last_name: Some(whole.last_name),
        position: Some(whole.position),
        locale: Some(whole.locale).filter(|locale| !locale.is_empty()),
        props: Some(whole.props),
        notify_props: Some(whole.notify_props).filter(|map| !map.is_empty()),
        timezone: Some(whole.timezone).filter(|map| !map.is_empty()),
    };
    change(&caller, client, id, patch).await
}

async fn change(caller: &Caller, client: Client, id: Id, patch: UserPatch) -> Result<Json<User>> {
    let app = &caller.app;
    let current = app.store.user(id).await?.ok_or_else(no_such_user)?;
    let new_email = patch.email.map(|email| email.to_lowercase()).filter(|email| *email != current.email);
    if let Some(email) = &new_email {
        // A session alone must not be enough to take over the account.
        if id == caller.user.id {
            must_know_password(app, client, &current, patch.password.unwrap_or_default()).await?;
        }
        if !rules::is_domain_allowed(&app.config.team.restrict_creation_to_domains, email) {
            return Err(AppError::bad_request(
                "api.user.update_user.accepted_domain.app_error",
                "The email you provided does not belong to an accepted domain.",
            ));
        }
    }
    let changed = app.store.update_user(id, move |user| {
        user.email_verified &= new_email.is_none();
        patch::apply([
            (&mut user.username, patch.username.map(|name| name.to_lowercase())),
            (&mut user.email, new_email),
            (&mut user.nickname, patch.nickname),
            (&mut user.first_name, patch.first_name),
            (&mut user.last_name, patch.last_name),
            (&mut user.position, patch.position),
            (&mut user.locale, patch.locale),
        ]);
        patch::apply([
            (&mut user.props, patch.props.map(Column)),
            (&mut user.notify_props, patch.notify_props.map(Column)),
            (&mut user.timezone, patch.timezone.map(Column)),
        ]);
        check(user)
    });
    let user = changed.await?;
    publish_updated(app, &user).await;
    Ok(Json(caller.view(&user).await?))
}

/// Publishes a changed account in three forms: to its owner, to administrators and to all others.
async fn publish_updated(app: &App, user: &User) {
    app.publish("user_updated", &json!({ "user": user }), Broadcast::user(user.id)).await;
    let administrators = UserFilter {
        active: true,
        roles: vec!["system_admin".to_owned()],
        limit: USER_LIMIT,
        ..UserFilter::default()
    };
    let mut others = Broadcast::everyone().without(user.id);
    for administrator in app.store.users(&administrators).await.unwrap_or_default() {
        if administrator.id != user.id {
            others = others.without(administrator.id);
            let seen = json!({ "user": user.as_seen_by_others(&app.config, true) });
            app.publish("user_updated", &seen, Broadcast::user(administrator.id)).await;
        }
    }
    let seen = json!({ "user": user.as_seen_by_others(&app.config, false) });
    app.publish("user_updated", &seen, others).await;
}

async fn change_password(
    caller: Caller,
    client: Client,
    params: Params,
    body: StringMapBody,
) -> Result<Json<Value>> {
    let id = params.user(&caller)?;
    let app = &caller.app;
    let user = app.store.user(id).await?.ok_or_else(no_such_user)?;
    if id == caller.user.id {
        let current = body.get("current_password");
        if current.is_empty() {
            return Err(AppError::body("current_password"));
        }
        must_know_password(app, client, &user, current.to_owned()).await?;
    } else {
        caller.must(MANAGE_SYSTEM).await?;
    }
    password::check(&app.config.password, body.get("new_password"))?;
    let hash = app.hash_password(body.get("new_password").to_owned()).await?;
    let changed = app.store.update_user(id, move |user| {
        user.password = hash;
        user.last_password_update = clock::now();
        Ok(())
    });
    changed.await?;
    app.store.unlock(id).await?;
    if id != caller.user.id {
        app.store.revoke_sessions(id).await?;
        app.hub.end_where(id, |_| true);
    } else if app.config.service.terminate_sessions_on_password_change {
        let own = caller.session.id;
        app.store.revoke_other_sessions(id, own).await?;
        app.hub.end_where(id, |connection| connection.session != own);
    }
    Ok(ok())
}

async fn set_roles(caller: Caller, params: Params, body: StringMapBody) -> Result<Json<Value>> {
    caller.must(MANAGE_ROLES).await?;
    let id = params.user(&caller)?;
    let roles = body.get("roles").split_whitespace().collect::<Vec<_>>().join(" ");
    for role in roles.split(' ') {
        if !role.starts_with("system_") || caller.app.store.role(role).await?.is_none() {
            return Err(AppError::body("roles"));
        }
    }
    let data = json!({"user_id": id, "roles": roles});
    let changed = caller.app.store.update_user(id, move |user| {
        user.roles = roles;
        Ok(())
    });
    changed.await?;
    caller.app.publish("user_role_updated", &data, Broadcast::user(id)).await;
    Ok(ok())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Active {
    active: Option<bool>,
}

async fn set_active(caller: Caller, params: Params, Body(body): Body<Active>) -> Result<Json<Value>> {
    let id = params.user(&caller)?;
    if !body.active.ok_or_else(|| AppError::body("active"))? {
        may_end_account(&caller, id).await?;
        return end_account(&caller, id).await;
    }
    caller.must(EDIT_OTHER_USERS).await?;
    let user = caller.app.store.activate_user(id).await?;
    publish_updated(&caller.app, &user).await;
    Ok(ok())
}

/// Marks an email address as verified, because an administrator says so.
async fn verify_email(caller: Caller, params: Params) -> Result<Json<User>> {
    let id = params.user(&caller)?;
    caller.must(MANAGE_SYSTEM).await?;
    let changed = caller.app.store.update_user(id, |user| {
        user.email_verified = true;
        Ok(())
    });
    let user = changed.await?;
    publish_updated(&caller.app, &user).await;
    Ok(Json(caller.view(&user).await?))
}

/// Ends the locks that wrong passwords put on an account.
async fn unlock(caller: Caller, params: Params) -> Result<Json<Value>> {
    let id = params.user(&caller)?;
    caller.must(MANAGE_SYSTEM).await?;
    caller.app.store.user(id).await?.ok_or_else(no_such_user)?;
    caller.app.store.unlock(id).await?;
    Ok(ok())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Mfa {
    activate: Option<bool>,
}

/// Switches an account's second factor off, as another server's database may have it on. This server checks none, so it
/// cannot switch one on.
async fn set_mfa(caller: Caller, params: Params, Body(mfa): Body<Mfa>) -> Result<Json<Value>> {
    let id = params.user(&caller)?;
    caller.must(EDIT_OTHER_USERS).await?;
    if mfa.activate.ok_or_else(|| AppError::body("activate"))? {
        return Err(AppError::not_implemented("a second factor"));
    }
    let changed = caller.app.store.update_user(id, |user| {
        user.mfa_active = false;
        user.mfa_secret.clear();
        Ok(())
    });
    changed.await?;
    Ok(ok())
}

/// Deactivates an account, or deletes it for good.
async fn deactivate(caller: Caller, params: Params, query: Search) -> Result<Json<Value>> {
    let id = params.user(&caller)?;
    may_end_account(&caller, id).await?;
    let enabled = caller.app.config.service.enable_api_user_deletion;
    let for_good = caller.wants_erasure(query.flag("permanent"), "user", enabled).await?;
    end_account(&caller, id).await?;
    if for_good {
        caller.app.erase_account(id).await?;
    }
    Ok(ok())
}

/// Allows people to end their own accounts, where the server does, and administrators to end others.
async fn may_end_account(caller: &Caller, id: Id) -> Result<()> {
    caller.must_act_for(id).await?;
    let own = id == caller.user.id && !caller.is_local();
    if own && !caller.app.config.team.enable_user_deactivation && !caller.may(MANAGE_SYSTEM).await? {
        return Err(AppError::new(
            StatusCode::UNAUTHORIZED,
            "api.user.update_active.not_enable.app_error",
            "You cannot deactivate yourself because this feature is not enabled. Please contact your System Administrator.",
        ));
    }
    let user = caller.app.store.user(id).await?.ok_or_else(no_such_user)?;
    if user.roles.split_whitespace().any(|role| role == "system_admin") {
        caller.must(MANAGE_SYSTEM).await?;
    }
    Ok(())
}

/// Deactivates an account: its data stays, its sessions end.
async fn end_account(caller: &Caller, id: Id) -> Result<Json<Value>> {
    let app = &caller.app;
    let changed = app.store.update_user(id, |user| {
        user.delete_at = clock::now();
        Ok(())
    });
    let user = changed.await?;
    app.store.revoke_sessions(id).await?;
    app.hub.end_where(id, |_| true);
    publish_updated(app, &user).await;
    Ok(ok())
}

async fn picture(caller: Caller, params: Params) -> Result<Response> {
    let user = caller.app.store.user(params.user(&caller)?).await?.ok_or_else(no_such_user)?;
    let mut response = crate::avatar::png(&user.username)?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=86400, private"));
    Ok(response)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Typing {
    channel_id: String,
    parent_id: String,
}

async fn typing(caller: Caller, params: Params, Body(typing): Body<Typing>) -> Result<Json<Value>> {
    let user = params.user(&caller)?;
    caller.must_act_for(user).await?;
    let channel = Id::parse(&typing.channel_id).ok_or_else(|| AppError::body("channel_id"))?;
    presence::publish_typing(&caller, user, channel, Id::parse(&typing.parent_id).unwrap_or_default())
        .await?;
    Ok(ok())
}
