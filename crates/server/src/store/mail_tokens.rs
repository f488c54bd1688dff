//! The tokens in mails: to verify an address, to choose a new password, to join a team. They are rows of Mattermost's `tokens`, work
//! once, and expire.

use serde::{Deserialize, Serialize};

use super::handle::Store;
use super::writer::Transaction;
use crate::clock;
use crate::error::{AppError, Result};
use crate::id::{Id, random_text};
use crate::model::User;
use crate::sql::{escape_like, query, row};

/// Characters in a token.
pub(crate) const TOKEN: usize = 64;

const HOUR: i64 = 3_600_000;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    VerifyAddress,
    ResetPassword,
    JoinTeam,
}

impl Purpose {
    /// Mattermost's name of it.
    fn name(self) -> &'static str {
        match self {
            Purpose::VerifyAddress => "verify_email",
            Purpose::ResetPassword => "password_recovery",
            Purpose::JoinTeam => "team_invitation",
        }
    }

    /// In milliseconds.
    fn lifetime(self) -> i64 {
        match self {
            Purpose::VerifyAddress | Purpose::ResetPassword => 24 * HOUR,
            Purpose::JoinTeam => 48 * HOUR,
        }
    }
}

/// What a token to verify an address or to choose a password says. The field of the account is the first: see [`Store::save_account_token`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OfAccount {
    #[serde(rename = "UserId")]
    pub(crate) user: Id,
    #[serde(rename = "Email")]
    pub(crate) address: String,
}

/// What a token to join a team says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OfInvitation {
    #[serde(rename = "teamId")]
    pub(crate) team: Id,
    pub(crate) email: String,
}

row! {
    /// A token as it is stored.
    #[derive(Debug)]
    struct Stored {
        create_at createat: i64,
        extra extra: String,
    }
}

/// What came of a token.
pub(crate) enum Found<T> {
    /// There is none, or it has been used.
    Nothing,
    Expired,
    Valid(T),
}

impl<T> Found<T> {
    fn read(stored: Option<Stored>, purpose: Purpose) -> Found<T>
    where
        T: for<'de> Deserialize<'de>,
    {
        let Some(stored) = stored else { return Found::Nothing };
        if stored.create_at + purpose.lifetime() <= clock::now() {
            return Found::Expired;
        }
        serde_json::from_str(&stored.extra).map_or(Found::Nothing, Found::Valid)
    }

    /// What it says, or one of these errors.
    pub(crate) fn or(self, nothing: fn() -> AppError, expired: fn() -> AppError) -> Result<T> {
        match self {
            Found::Nothing => Err(nothing()),
            Found::Expired => Err(expired()),
            Found::Valid(said) => Ok(said),
        }
    }
}

impl Store {
    /// A new token about an account. Earlier ones for the same account and purpose no longer work.
    pub(crate) async fn save_account_token(
        &self,
        purpose: Purpose,
        user: Id,
        address: &str,
    ) -> Result<String> {
        let extra = OfAccount { user, address: address.to_owned() };
        let extra = serde_json::to_string(&extra).map_err(AppError::internal)?;
        let token = random_text(TOKEN);
        let made = token.clone();
        self.write(move |tx| {
            Box::pin(async move {
                tx.forget_account_tokens(purpose, user).await?;
                tx.insert_token(&made, purpose, &extra).await
            })
        })
        .await?;
        Ok(token)
    }

    /// A new token with which somebody with that address joins a team.
    pub(crate) async fn save_invitation(&self, team: Id, email: String) -> Result<String> {
        let extra = serde_json::to_string(&OfInvitation { team, email }).map_err(AppError::internal)?;
        let token = random_text(TOKEN);
        let made = token.clone();
        self.write(move |tx| {
            Box::pin(async move { tx.insert_token(&made, Purpose::JoinTeam, &extra).await })
        })
        .await?;
        Ok(token)
    }

    /// What a token says; it still works afterwards.
    pub(crate) async fn token<T: for<'de> Deserialize<'de>>(
        &self,
        token: &str,
        purpose: Purpose,
    ) -> Result<Found<T>> {
        let row = query("select createat, extra from tokens where token = $1 and type = $2");
        let stored = row.bind(token).bind(purpose.name()).fetch_optional(&self.readers).await?;
        Ok(Found::read(stored, purpose))
    }

    /// Uses an invitation.
    pub(crate) async fn take_invitation(&self, token: String) -> Result<Found<OfInvitation>> {
        self.write(move |tx| Box::pin(async move { tx.take_token(&token, Purpose::JoinTeam).await })).await
    }

    /// Ends all invitations by mail that nobody has used.
    pub(crate) async fn forget_invitations(&self) -> Result<()> {
        self.write(|tx| {
            Box::pin(async move {
                let all = query("delete from tokens where type = $1").bind(Purpose::JoinTeam.name());
                all.execute(&mut *tx.connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// Uses a token that verifies an address, which becomes the account's. Returns the account before and after.
    pub(crate) async fn verify_address(&self, token: String) -> Result<Found<(User, User)>> {
        self.write(move |tx| {
            Box::pin(async move {
                let said: OfAccount = match tx.take_token(&token, Purpose::VerifyAddress).await? {
                    Found::Valid(said) => said,
                    Found::Expired => return Ok(Found::Expired),
                    Found::Nothing => return Ok(Found::Nothing),
                };
                let Some(before) = tx.user(said.user).await? else { return Ok(Found::Nothing) };
                let after = User {
                    email: said.address,
                    email_verified: true,
                    update_at: clock::now().max(before.update_at + 1),
                    ..before.clone()
                };
                tx.save_user(&after, false).await?;
                Ok(Found::Valid((before, after)))
            })
        })
        .await
    }

    /// Uses a token that lets somebody choose a password, and stores the password's `hash`. The account must still have the address that
    /// the token was sent to, and a password.
    pub(crate) async fn reset_password(&self, token: String, hash: String) -> Result<Found<User>> {
        self.write(move |tx| {
            Box::pin(async move {
                let said: OfAccount = match tx.take_token(&token, Purpose::ResetPassword).await? {
                    Found::Valid(said) => said,
                    Found::Expired => return Ok(Found::Expired),
                    Found::Nothing => return Ok(Found::Nothing),
                };
                let Some(user) = tx.user(said.user).await? else { return Ok(Found::Nothing) };
                if user.email != said.address || user.delete_at != 0 || !user.auth_service.is_empty() {
                    return Ok(Found::Nothing);
                }
                let now = clock::now();
                let user = User {
                    password: hash,
                    last_password_update: now,
                    update_at: now.max(user.update_at + 1),
                    ..user
                };
                tx.save_user(&user, false).await?;
                Ok(Found::Valid(user))
            })
        })
        .await
    }
}

impl Transaction<'_> {
    async fn insert_token(&mut self, token: &str, purpose: Purpose, extra: &str) -> Result<()> {
        // Those that have expired, so that the table does not grow.
        for old in [Purpose::VerifyAddress, Purpose::ResetPassword, Purpose::JoinTeam] {
            query("delete from tokens where type = $1 and createat < $2")
                .bind(old.name())
                .bind(clock::now() - 2 * old.lifetime())
                .execute(&mut *self.connection)
                .await?;
        }
        query("insert into tokens (token, createat, type, extra) values ($1, $2, $3, $4)")
            .bind(token)
            .bind(clock::now())
            .bind(purpose.name())
            .bind(extra)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn forget_account_tokens(&mut self, purpose: Purpose, user: Id) -> Result<()> {
        query(r"delete from tokens where type = $1 and extra like $2 escape '\'")
            .bind(purpose.name())
            .bind(format!(r#"{{"UserId":"{}"%"#, escape_like(user.as_str())))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    /// What a token says; it does not work again.
    pub(super) async fn take_token<T: for<'de> Deserialize<'de>>(
        &mut self,
        token: &str,
        purpose: Purpose,
    ) -> Result<Found<T>> {
        let row = query("delete from tokens where token = $1 and type = $2 returning createat, extra");
        let stored = row.bind(token).bind(purpose.name()).fetch_optional(&mut *self.connection).await?;
        Ok(Found::read(stored, purpose))
    }
}
