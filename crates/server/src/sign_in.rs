//! Checking names and passwords.
//!
//! **Who can lock what.** `ServiceSettings.MaximumLoginAttempts` wrong passwords lock an account for the address that they
//! came from: for a minute, and for twice as long after each further one, up to an hour. A lock always ends by itself.
//! Ten times as many from addresses where nobody signed in before lock the account for all such addresses, because a
//! botnet has thousands. An address from which somebody signed in to the account within 90 days is not touched by that. So
//! a stranger who knows a name can keep its owner out only of places where the owner never was, and only while the
//! attack lasts; an administrator, and the local channel, end it at once. (Mattermost locks the account for everybody
//! and for good: with ten requests, anybody locks out anybody.)
//!
//! **What an answer tells.** A refusal is the same, and takes the same time, whether the name is unknown, the password
//! wrong, or the account locked, deactivated or without a password: one hash is computed in every case, and the answer
//! waits for a whole number of [`STEP`]s. Only a known address is told that an account is locked.
//!
//! **The log.** Every attempt is a line with the client's address, so that failed ones can be attributed.
//!
//! Rejected: a cookie for known browsers, which an API client does not keep; one lock per account, see above; locks in
//! memory, which a restart would end.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use crate::app::App;
use crate::clock;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::model::{Standing, User};
use crate::password::{Verdict, unmatched};
use crate::peer::Client;

/// A refused login is answered after a whole number of these, so that its time tells nothing: longer than a hash takes.
const STEP: Duration = Duration::from_millis(250);

/// The longest part of a name that is logged.
const LOGGED: usize = 64;

/// Why a login was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    UnknownName,
    WrongPassword,
    Deactivated,
    /// The account signs in elsewhere.
    NoPassword,
    /// For this address, until this time. `told`: the client may know.
    Locked {
        until: i64,
        told: bool,
    },
    NotVerified,
}

impl Refusal {
    /// The reason in the log.
    fn reason(self) -> &'static str {
        match self {
            Refusal::UnknownName => "unknown name",
            Refusal::WrongPassword => "wrong password",
            Refusal::Deactivated => "the account is deactivated",
            Refusal::NoPassword => "the account has no password",
            Refusal::Locked { .. } => "the account is locked for this address",
            Refusal::NotVerified => "the email address is not verified",
        }
    }

    fn error(self, app: &App) -> AppError {
        match self {
            Refusal::Locked { until, told: true } => too_many_attempts(until),
            Refusal::NotVerified => AppError::new(
                StatusCode::UNAUTHORIZED,
                "api.user.login.not_verified.app_error",
                "Login failed because email address has not been verified.",
            ),
            _ => wrong_credentials(app),
        }
    }
}

/// What a client gives to sign in.
pub(crate) struct Credentials<'a> {
    /// An account's id; if it is none, `login_id` counts.
    pub(crate) id: &'a str,
    /// A user name or an email address.
    pub(crate) login_id: &'a str,
    pub(crate) password: &'a str,
}

impl Credentials<'_> {
    fn name(&self) -> &str {
        if self.login_id.is_empty() { self.id } else { self.login_id }
    }
}

/// The account that the credentials belong to.
pub(crate) async fn sign_in(app: &App, client: Client, credentials: &Credentials<'_>) -> Result<User> {
    let began = Instant::now();
    let name: String = credentials.name().chars().take(LOGGED).collect();
    let name = name.escape_debug();
    match attempt(app, client, credentials).await? {
        Ok(user) => {
            tracing::info!(%client, %name, user = %user.id, "signed in");
            Ok(user)
        }
        Err(refusal) => {
            tracing::warn!(%client, %name, reason = refusal.reason(), "a sign-in was refused");
            tokio::time::sleep_until(began + whole_steps(began.elapsed())).await;
            Err(refusal.error(app))
        }
    }
}

/// `elapsed`, rounded up.
fn whole_steps(elapsed: Duration) -> Duration {
    let steps = elapsed.as_millis() / STEP.as_millis() + 1;
    STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

/// Takes the attempts from one address, and those of all strangers at one name, one at a time: parallel guesses could
/// exceed the allowed number.
async fn attempt(app: &App, client: Client, credentials: &Credentials<'_>) -> Result<Result<User, Refusal>> {
    let origin = client.origin();
    let _turn = turn(app, format!("at {origin}")).await;
    let account = find(app, credentials).await?;
    let mut standing = standing(app, account, &origin).await?;
    let _strangers_turn = match standing.is_known(clock::now()) {
        true => None,
        false => {
            let turn = turn(app, format!("as {}", credentials.name().to_lowercase())).await;
            standing = self::standing(app, account, &origin).await?;
            Some(turn)
        }
    };
    let user = match account {
        Some(id) => app.store.user(id).await?,
        None => None,
    };
    let (now, most) = (clock::now(), app.config.service.maximum_login_attempts);
    let is_known = standing.is_known(now);
    let refusal = match &user {
        None => Some(Refusal::UnknownName),
        Some(user) if user.delete_at != 0 => Some(Refusal::Deactivated),
        Some(user) if user.password.is_empty() => Some(Refusal::NoPassword),
        Some(_) => standing.locked_until(most, now).map(|until| Refusal::Locked { until, told: is_known }),
    };
    let (Some(user), None) = (&user, refusal) else {
        app.verify_password(credentials.password.to_owned(), unmatched()).await?;
        return Ok(Err(refusal.unwrap_or(Refusal::UnknownName)));
    };
    let hash = match app.verify_password(credentials.password.to_owned(), user.password.clone()).await? {
        Verdict::Right => None,
        Verdict::RightButOutdated => Some(app.hash_password(credentials.password.to_owned()).await?),
        Verdict::Wrong => {
            app.store.count_failed_login(user.id, origin, is_known, most).await?;
            return Ok(Err(Refusal::WrongPassword));
        }
    };
    app.store.note_login(user.id, origin, hash, user.password.clone()).await?;
    if app.config.email.require_email_verification && !user.email_verified {
        return Ok(Err(Refusal::NotVerified));
    }
    let user = app.store.user(user.id).await?;
    Ok(user.map(|user| User::clone(&user)).ok_or(Refusal::UnknownName))
}

async fn turn(app: &App, key: String) -> OwnedMutexGuard<()> {
    app.login_turns.get_or_put(key, || Arc::new(Mutex::default())).lock_owned().await
}

async fn standing(app: &App, account: Option<Id>, origin: &str) -> Result<Standing> {
    match account {
        Some(id) => app.store.standing(id, origin).await,
        None => Ok(Standing::default()),
    }
}

async fn find(app: &App, credentials: &Credentials<'_>) -> Result<Option<Id>> {
    if let Some(id) = Id::parse(credentials.id) {
        return Ok(Some(id));
    }
    let allowed = &app.config.email;
    if allowed.enable_sign_in_with_username
        && let Some(user) = app.store.user_by_name(credentials.login_id).await?
    {
        return Ok(Some(user.id));
    }
    if allowed.enable_sign_in_with_email {
        return Ok(app.store.user_by_email(credentials.login_id).await?.map(|user| user.id));
    }
    Ok(None)
}

/// Refuses a change of `user`'s account without its password. Wrong guesses here, through a stolen session for example,
/// count like failed logins.
pub(crate) async fn must_know_password(
    app: &App,
    client: Client,
    user: &User,
    password: String,
) -> Result<()> {
    let origin = client.origin();
    let _turn = turn(app, format!("at {origin}")).await;
    let standing = app.store.standing(user.id, &origin).await?;
    let (now, most) = (clock::now(), app.config.service.maximum_login_attempts);
    if let Some(until) = standing.locked_until(most, now) {
        return Err(too_many_attempts(until));
    }
    if app.verify_password(password, user.password.clone()).await? != Verdict::Wrong {
        return Ok(());
    }
    tracing::warn!(%client, user = %user.id, "a change of an account was refused: wrong password");
    app.store.count_failed_login(user.id, origin, standing.is_known(now), most).await?;
    Err(AppError::bad_request(
        "api.user.check_user_password.invalid.app_error",
        "Your current password is not right.",
    ))
}

fn too_many_attempts(until: i64) -> AppError {
    let minutes = (until - clock::now()).max(0) / 60_000 + 1;
    AppError::new(
        StatusCode::UNAUTHORIZED,
        "api.user.check_user_login_attempts.too_many.app_error",
        format!(
            "Your account is locked because of too many failed password attempts. Try again in {minutes} min, or ask an \
             administrator to unlock it."
        ),
    )
}

fn wrong_credentials(app: &App) -> AppError {
    let allowed = &app.config.email;
    let (id, message) = match (allowed.enable_sign_in_with_email, allowed.enable_sign_in_with_username) {
        (true, false) => ("api.user.login.invalid_credentials_email", "Enter a valid email and/or password."),
        (false, true) => {
            ("api.user.login.invalid_credentials_username", "Enter a valid username and/or password.")
        }
        _ => (
            "api.user.login.invalid_credentials_email_username",
            "Enter a valid email or username and/or password.",
        ),
    };
    AppError::new(StatusCode::UNAUTHORIZED, id, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_takes_a_whole_number_of_steps() {
        for (elapsed, expected) in [(0, 250), (75, 250), (249, 250), (251, 500), (1001, 1250)] {
            assert_eq!(whole_steps(Duration::from_millis(elapsed)), Duration::from_millis(expected));
        }
    }
}
