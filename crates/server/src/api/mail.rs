//! Addresses that are verified, passwords that are forgotten, invitations by mail, and the test mail. Strangers cause these mails: each
//! has a limit by who asks and by whom it goes to, and an answer that does not tell whether there is such an account.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::{Params, Search};
use super::users::publish_updated;
use crate::app::App;
use crate::bounds::{INVITATIONS_OF_USER, LINKS_OF_ORIGIN, LINKS_TO_ADDRESS};
use crate::clock;
use crate::error::{AppError, Result};
use crate::json::{Body, Json, StringMapBody, ok};
use crate::mail::{Draft, Mailer, fill};
use crate::model::Team;
use crate::password;
use crate::peer::Client;
use crate::permission::{INVITE_USER, MANAGE_SYSTEM};
use crate::rules;
use crate::session::Caller;
use crate::store::{OfAccount, Purpose, TOKEN};

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/email/test", post(test))
        .route("/users/email/verify", post(verify))
        .route("/users/email/verify/send", post(send_verification))
        .route("/users/password/reset", post(reset))
        .route("/users/password/reset/send", post(send_reset))
        .route("/teams/{team_id}/invite/email", post(invite))
        .route("/teams/invites/email", delete(forget_invitations))
}

/// The routes on the local channel.
pub(super) fn local_router() -> Router<App> {
    Router::new()
        .route("/users/password/reset/send", post(send_reset))
        .route("/teams/{team_id}/invite/email", post(invite))
}

impl App {
    fn mailer(&self) -> Result<&Mailer> {
        self.mail.as_ref().ok_or_else(|| {
            AppError::new(
                StatusCode::NOT_IMPLEMENTED,
                "api.mainstay.no_mail_server.app_error",
                "This server sends no mail: its configuration names no mail server. Ask your administrator.",
            )
        })
    }

    /// Whether one more link may be sent for this client, to that address.
    fn may_send_link(&self, mail: &Mailer, client: Client, address: &str) -> bool {
        let now = clock::now();
        let allowed = mail.limits.allow(&format!("origin {}", client.origin()), 1, LINKS_OF_ORIGIN, now)
            && mail.limits.allow(&format!("address {address}"), 1, LINKS_TO_ADDRESS, now);
        if !allowed {
            tracing::warn!(%client, "a link was not sent: too many in an hour");
        }
        allowed
    }
}

/// The address in a request's `email`.
fn address(body: &StringMapBody) -> Result<String> {
    let address = body.get("email").trim().to_lowercase();
    if rules::is_email(&address) { Ok(address) } else { Err(AppError::body("email")) }
}

fn token(body: &StringMapBody) -> Result<String> {
    let token = body.get("token");
    let is_token = token.len() == TOKEN && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_token { Ok(token.to_owned()) } else { Err(AppError::body("token")) }
}

fn bad_link() -> AppError {
    AppError::bad_request(
        "api.user.verify_email.bad_link.app_error",
        "This link to verify an email address does not work: it has been used, or is older than 24 hours. Ask for another one.",
    )
}

fn invalid_reset_link() -> AppError {
    AppError::bad_request(
        "api.user.reset_password.invalid_link.app_error",
        "This link to choose a new password does not work: it has been used, or there is a newer one. Ask for another one.",
    )
}

fn expired_reset_link() -> AppError {
    AppError::bad_request(
        "api.user.reset_password.link_expired.app_error",
        "This link to choose a new password is older than 24 hours. Ask for another one.",
    )
}

async fn verify(State(app): State<App>, body: StringMapBody) -> Result<Json<Value>> {
    let verified = app.store.verify_address(token(&body)?).await?;
    let (before, after) = verified.or(bad_link, bad_link)?;
    if before.email != after.email {
        app.mail_address_changed(&before, &after.email);
    }
    publish_updated(&app, &after).await;
    Ok(ok())
}

async fn send_verification(
    State(app): State<App>,
    client: Client,
    body: StringMapBody,
) -> Result<Json<Value>> {
    let mail = app.mailer()?;
    let address = address(&body)?;
    if app.may_send_link(mail, client, &address) {
        let app = app.clone();
        // The answer comes at the same time whether there is such an account or not.
        tokio::spawn(async move {
            let sent = async {
                match app.store.user_by_email(&address).await? {
                    Some(user) if user.delete_at == 0 && !user.email_verified => {
                        app.mail_verification(&user, &user.email).await
                    }
                    _ => Ok(()),
                }
            };
            log(sent.await, "verify an address");
        });
    }
    Ok(ok())
}

async fn send_reset(State(app): State<App>, client: Client, body: StringMapBody) -> Result<Json<Value>> {
    let mail = app.mailer()?;
    let address = address(&body)?;
    if app.may_send_link(mail, client, &address) {
        let app = app.clone();
        tokio::spawn(async move {
            let sent = async {
                match app.store.user_by_email(&address).await? {
                    Some(user) if user.delete_at == 0 && user.auth_service.is_empty() => {
                        app.mail_reset(&user).await
                    }
                    _ => Ok(()),
                }
            };
            log(sent.await, "choose a password");
        });
    }
    Ok(ok())
}

fn log(sent: Result<()>, what: &str) {
    if let Err(error) = sent {
        tracing::error!(detail = error.detail_text(), "a link to {what} was not sent");
    }
}

async fn reset(State(app): State<App>, body: StringMapBody) -> Result<Json<Value>> {
    let token = token(&body)?;
    // Hashing takes time: not for strangers without a link.
    let found = app.store.token::<OfAccount>(&token, Purpose::ResetPassword).await?;
    found.or(invalid_reset_link, expired_reset_link)?;
    password::check(&app.config.password, body.get("new_password"))?;
    let hash = app.hash_password(body.get("new_password").to_owned()).await?;
    let user = app.store.reset_password(token, hash).await?.or(invalid_reset_link, expired_reset_link)?;
    app.store.unlock(user.id).await?;
    app.store.revoke_sessions(user.id).await?;
    app.hub.end_where(user.id, |_| true);
    app.mail_password_changed(&user);
    Ok(ok())
}

/// Why an address is not invited.
fn not_invited(app: &App, team: &Team, address: &str) -> Option<AppError> {
    let lists = [&team.allowed_domains, &app.config.team.restrict_creation_to_domains];
    let allowed = lists.iter().all(|list| rules::is_domain_allowed(list, address));
    (!rules::is_email(address) || !allowed).then(|| {
        AppError::bad_request(
            "api.team.invite_members.invalid_email.app_error",
            "This is not an address that this server and this team accept.",
        )
    })
}

async fn invite(
    caller: Caller,
    params: Params,
    query: Search,
    Body(addresses): Body<Vec<String>>,
) -> Result<Response> {
    let app = &caller.app;
    let id = params.id("team_id")?;
    let team = caller.team(id).await?;
    caller.must_in_team(id, INVITE_USER).await?;
    if !app.config.service.enable_email_invitations {
        return Err(AppError::new(
            StatusCode::NOT_IMPLEMENTED,
            "api.team.invite_members.disabled.app_error",
            "Email invitations are disabled.",
        ));
    }
    let mail = app.mailer()?;
    let mut addresses: Vec<String> = addresses.iter().map(|address| address.trim().to_lowercase()).collect();
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(AppError::body("user_email"));
    }
    let refused: Vec<Option<AppError>> =
        addresses.iter().map(|address| not_invited(app, &team, address)).collect();
    let graceful = query.flag("graceful");
    if let Some(error) = refused.iter().flatten().next().filter(|_| !graceful) {
        return Err(error.clone());
    }
    let count = refused.iter().filter(|refusal| refusal.is_none()).count();
    if !mail.limits.allow(&format!("inviter {}", caller.user.id), count, INVITATIONS_OF_USER, clock::now()) {
        return Err(AppError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "app.email.rate_limit_exceeded.app_error",
            format!(
                "More than {INVITATIONS_OF_USER} invitations in an hour. Try again later, or give people the team's invite link."
            ),
        ));
    }
    let sender = match caller.is_local() {
        true => mail.site_name().to_owned(),
        false => format!("@{}", caller.user.username),
    };
    let mut answer = Vec::new();
    for (address, refusal) in addresses.into_iter().zip(refused) {
        if refusal.is_none() {
            app.mail_invitation(&team, &sender, &address).await?;
        }
        answer.push(json!({"email": address, "error": refusal.map(|error| error.json())}));
    }
    match graceful {
        true => Ok(Json(answer).into_response()),
        false => Ok(ok().into_response()),
    }
}

async fn forget_invitations(caller: Caller) -> Result<Json<Value>> {
    caller.must(MANAGE_SYSTEM).await?;
    caller.app.store.forget_invitations().await?;
    Ok(ok())
}

/// A configuration, of which the mail settings are looked at.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tested {
    #[serde(rename = "emailsettings")]
    email: Value,
}

/// Sends a mail to whoever asks, with the settings in force, and says what the mail server said.
async fn test(caller: Caller, body: Result<Body<Tested>>) -> Result<Json<Value>> {
    caller.must(MANAGE_SYSTEM).await?;
    let app = &caller.app;
    let in_force = app.config.masked();
    // Without a body, or with the whole configuration.
    let given = body.map(|Body(tested)| tested.email).unwrap_or_default();
    for key in ["SMTPServer", "SMTPPort", "SMTPUsername", "ConnectionSecurity", "FeedbackEmail"] {
        let given = given.get(key).filter(|value| value.as_str().is_some_and(|text| !text.is_empty()));
        if given.is_some_and(|given| *given != in_force["EmailSettings"][key]) {
            return Err(AppError::not_implemented("a test of mail settings that are not in force"));
        }
    }
    let mail = app.mail.as_ref().ok_or_else(|| {
        AppError::bad_request(
            "api.admin.test_email.missing_server",
            "SMTP Server is required: the configuration names no mail server, or lacks the site URL or the sender's address.",
        )
    })?;
    let words = mail.words(&caller.user.locale);
    let values = [("site", mail.site_name()), ("name", caller.user.username.as_str())];
    let draft = Draft {
        subject: fill(words.test_subject, &values),
        lines: vec![fill(words.hello, &values), fill(words.test_text, &values)],
        ..Draft::default()
    };
    let to = &caller.user.email;
    mail.send_now(to, words, &draft).await.map_err(|error| {
        tracing::warn!(to, %error, "a test mail was not sent");
        AppError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "api.admin.test_email.send.app_error",
            format!("The test mail was not sent: {error}"),
        )
    })?;
    Ok(ok())
}
