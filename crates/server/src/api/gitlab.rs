//! Signing in with GitLab: OAuth 2.0's authorization code, with Mattermost's paths.
//!
//! The state that travels through the provider is signed, and belongs to a cookie of the browser that began: nobody can make another
//! person's browser sign in as somebody else, and strangers who begin and never end take no memory. An account with the same address
//! that signs in otherwise is not taken over: its owner has to join the two.

mod profile;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::login::open_session;
use super::parameters::Search;
use super::sign_up;
use crate::app::App;
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::Broadcast;
use crate::id::Id;
use crate::json;
use crate::model::{Team, User, default_notify_props, default_timezone};
use crate::outgoing::{Answered, Reach};
use crate::peer::Client;
use crate::rules;
use crate::session::{self, Kind};
use crate::sql::Column;
use crate::store::{Admission, no_such_invite};
use profile::Profile;
use state::Flow;

/// What Mattermost calls the provider in an account.
const SERVICE: &str = "gitlab";

/// How many further user names are tried where somebody has the one that a new account would get.
const NAMES: usize = 20;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/oauth/gitlab/login", get(begin_login))
        .route("/oauth/gitlab/signup", get(begin_sign_up))
        .route("/oauth/gitlab/complete", get(complete))
        .route("/login/gitlab/complete", get(complete))
        .route("/signup/gitlab/complete", get(complete))
}

fn must_be_on(app: &App) -> Result<()> {
    // Without it, GitLab could not be told where people come back to.
    if app.config.gitlab.enable && !app.config.service.site_url.is_empty() {
        return Ok(());
    }
    Err(AppError::new(
        StatusCode::NOT_IMPLEMENTED,
        "api.user.authorize_oauth_user.unsupported.app_error",
        "Sign-in with GitLab is not enabled on this server, or the server has no SiteURL.",
    ))
}

/// Where the provider sends people back to: the address that is registered there.
fn redirect_uri(app: &App) -> String {
    format!("{}/signup/gitlab/complete", app.config.service.site_url.trim_end_matches('/'))
}

async fn begin_login(State(app): State<App>, headers: HeaderMap, query: Search) -> Result<Response> {
    begin(&app, &headers, query.text("redirect_to"), "")
}

async fn begin_sign_up(State(app): State<App>, headers: HeaderMap, query: Search) -> Result<Response> {
    let invite = query.text("id");
    if !invite.is_empty() {
        app.store.team_by_invite(invite).await?.ok_or_else(no_such_invite)?;
    }
    begin(&app, &headers, query.text("redirect_to"), invite)
}

fn begin(app: &App, headers: &HeaderMap, redirect_to: &str, invite: &str) -> Result<Response> {
    must_be_on(app)?;
    let flow = Flow::new(local_path(redirect_to), invite, clock::now());
    let settings = &app.config.gitlab;
    let mut url = url::Url::parse(&settings.auth_endpoint).map_err(AppError::internal)?;
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &settings.id)
        .append_pair("redirect_uri", &redirect_uri(app))
        .append_pair("state", &flow.sealed(&app.seal));
    if !settings.scope.is_empty() {
        url.query_pairs_mut().append_pair("scope", &settings.scope);
    }
    let mut response = found(url.as_str());
    let cookie = session::sign_in_cookie(&app.config, headers, flow.cookie());
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// A redirection with 302, which is Mattermost's.
fn found(location: &str) -> Response {
    let mut response = Redirect::to(location).into_response();
    *response.status_mut() = StatusCode::FOUND;
    response
}

/// `path`, if it is one of this site; otherwise its beginning.
fn local_path(path: &str) -> &str {
    let is_local = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains(['\\', '\r', '\n', '\t'])
        && path.len() <= 1_024
        && path.is_ascii();
    if is_local { path } else { "/" }
}

async fn complete(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    query: Search,
) -> Result<Response> {
    must_be_on(&app)?;
    let cookie = session::sign_in_nonce(&headers).unwrap_or_default();
    let flow = Flow::open(query.text("state"), &app.seal, cookie, clock::now()).ok_or_else(|| {
        AppError::bad_request(
            "api.user.authorize_oauth_user.invalid_state.app_error",
            "This sign-in was not begun in this browser, or too long ago. Begin it again.",
        )
    })?;
    let code = query.text("code");
    if code.is_empty() {
        // The provider says why; what it says is not shown, because anybody can write it into a link.
        tracing::info!(%client, "a sign-in with GitLab was not granted");
        return Err(AppError::bad_request(
            "api.oauth.authorize_oauth.access_denied.app_error",
            "GitLab did not grant the sign-in.",
        ));
    }
    let profile = profile_of(&app, code).await?;
    let user = account(&app, profile, flow.invite()).await?;
    tracing::info!(%client, user = %user.id, "signed in with GitLab");
    let session = open_session(&app, &user, &headers, "", Kind::SingleSignOn).await?;
    let location = format!("{}{}", crate::subpath::of(&app.config.service.site_url), flow.redirect_to());
    let mut response = found(&location);
    for cookie in session::cookies(&app.config, &session, &headers) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    let ended = session::sign_in_cookie(&app.config, &headers, "");
    response.headers_mut().append(header::SET_COOKIE, ended);
    Ok(response)
}

/// The provider's answer to a code.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Token {
    access_token: String,
    token_type: String,
}

/// Asks the provider who signed in.
async fn profile_of(app: &App, code: &str) -> Result<Profile> {
    let settings = &app.config.gitlab;
    let failed = |detail: String| {
        AppError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "api.user.authorize_oauth_user.response.app_error",
            "GitLab did not say who signed in. The server's log has the cause.",
        )
        .detail(detail)
    };
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &settings.id)
        .append_pair("client_secret", &settings.secret)
        .append_pair("code", code)
        .append_pair("grant_type", "authorization_code")
        .append_pair("redirect_uri", &redirect_uri(app))
        .finish();
    let answered = app.outgoing.call(Reach::Anywhere, &settings.token_endpoint, |client, url| {
        client
            .post(url)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
    });
    let token: Token =
        read(answered.await).map_err(|error| failed(format!("its token endpoint: {error}")))?;
    if token.access_token.is_empty() || !token.token_type.eq_ignore_ascii_case("bearer") {
        return Err(failed("its token endpoint gave no bearer token".to_owned()));
    }
    let answered = app.outgoing.call(Reach::Anywhere, &settings.user_api_endpoint, |client, url| {
        client.get(url).header(header::ACCEPT, "application/json").bearer_auth(&token.access_token)
    });
    let profile: Profile =
        read(answered.await).map_err(|error| failed(format!("its user API endpoint: {error}")))?;
    profile.checked().ok_or_else(|| failed("its user has no id, name or address".to_owned()))
}

fn read<T: serde::de::DeserializeOwned>(
    answered: Result<Answered, crate::outgoing::CallError>,
) -> Result<T, String> {
    let answered = answered.map_err(|error| error.to_string())?;
    if !answered.status.is_success() {
        return Err(format!("it answered with {}", answered.status));
    }
    json::parse(&answered.body).map_err(|error| error.detail_text().to_owned())
}

/// The account of a profile, made if there is none.
async fn account(app: &App, profile: Profile, invite: &str) -> Result<User> {
    let data = profile.id.to_string();
    if let Some(user) = app.store.user_by_auth(SERVICE, &data).await? {
        if user.delete_at != 0 {
            return Err(AppError::new(
                StatusCode::UNAUTHORIZED,
                "api.user.login.inactive.app_error",
                "Login failed because your account has been deactivated. Please contact an administrator.",
            ));
        }
        return Ok(user);
    }
    if app.store.user_by_email(&profile.email).await?.is_some() {
        return Err(AppError::bad_request(
            "api.user.create_oauth_user.already_attached.app_error",
            "There is already an account with this email address that signs in another way. Sign in that way.",
        ));
    }
    sign_up(app, profile, data, invite).await
}

async fn sign_up(app: &App, profile: Profile, data: String, invite: &str) -> Result<User> {
    if !app.config.team.enable_user_creation {
        return Err(AppError::new(
            StatusCode::NOT_IMPLEMENTED,
            "api.user.create_user.disabled.app_error",
            "User creation is disabled.",
        ));
    }
    if !rules::is_domain_allowed(&app.config.team.restrict_creation_to_domains, &profile.email) {
        return Err(AppError::bad_request(
            "api.user.create_user.accepted_domain.app_error",
            "The email you provided does not belong to an accepted domain.",
        ));
    }
    let team: Option<Team> = sign_up::team_of_link(app, invite, &profile.email).await?;
    let (first_name, last_name) = profile.names();
    let now = clock::now();
    let mut user = User {
        id: Id::random(),
        create_at: now,
        update_at: now,
        username: profile.username(),
        email: profile.email.to_lowercase(),
        email_verified: true,
        auth_data: Some(data),
        auth_service: SERVICE.to_owned(),
        first_name,
        last_name,
        locale: app.config.localization.default_client_locale.clone(),
        notify_props: Column(default_notify_props()),
        timezone: Column(default_timezone()),
        ..User::default()
    };
    let wanted = user.username.clone();
    let mut number = 1;
    while app.store.user_by_name(&user.username).await?.is_some() && number <= NAMES {
        user.username = format!("{wanted}{number}");
        number += 1;
    }
    sign_up::check(&user)?;
    let admitted = app.config.team.enable_open_server || team.is_some();
    let user = app.store.create_user(user, Admission { admitted, invitation: None }).await?;
    app.publish("new_user", &json!({"user_id": user.id}), Broadcast::everyone()).await;
    if let Some(team) = &team
        && let Err(error) = super::team_members::join(app, team, Arc::new(user.clone())).await
    {
        tracing::warn!(user = %user.id, team = %team.id, reason = error.id(), "an invited account did not join its team");
    }
    Ok(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_sent_back_to_this_site_alone() {
        for there in ["/team/channels/x", "/a?b=c"] {
            assert_eq!(local_path(there), there);
        }
        for elsewhere in ["", "x", "http://a", "//a", "/\\a", "/a\r\nb", "/ä", "javascript:x"] {
            assert_eq!(local_path(elsewhere), "/", "{elsewhere}");
        }
    }
}
