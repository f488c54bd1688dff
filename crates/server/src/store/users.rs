//! Accounts.

use std::sync::Arc;

use super::caches::Touched;
use super::handle::Store;
use super::mail_tokens::{OfInvitation, Purpose};
use super::writer::Transaction;
use crate::clock;
use crate::error::{AppError, Result, is_duplicate};
use crate::id::Id;
use crate::model::{Preference, User};
use crate::sql::{escape_like, query};

/// The most active accounts without a licence.
pub(crate) const USER_LIMIT: i64 = 250;

/// Conditions for a list of accounts. Conditions that are not set do not restrict it.
#[derive(Debug, Default, Clone)]
pub(crate) struct UserFilter {
    pub(crate) in_team: Option<Id>,
    pub(crate) not_in_team: Option<Id>,
    pub(crate) in_channel: Option<Id>,
    pub(crate) not_in_channel: Option<Id>,
    pub(crate) without_team: bool,
    pub(crate) active: bool,
    pub(crate) inactive: bool,
    /// At least one of these system roles.
    pub(crate) roles: Vec<String>,
    /// The beginning of the user name, a name or the email address.
    pub(crate) term: String,
    pub(crate) newest_first: bool,
    pub(crate) offset: i64,
    pub(crate) limit: i64,
}

/// Whether a new account is allowed.
pub(crate) struct Admission {
    /// The server is open, or an invite or an administrator admits the account. The first account is always allowed.
    pub(crate) admitted: bool,
    /// The token of an invitation by mail, which is used up.
    pub(crate) invitation: Option<String>,
}

impl Store {
    pub(crate) async fn user(&self, id: Id) -> Result<Option<Arc<User>>> {
        let load = async {
            let row = query("select * from users where id = $1").bind(id);
            Ok(row.fetch_optional(&self.readers).await?.map(Arc::new))
        };
        self.caches.users.get_or_load(id, load).await
    }

    pub(crate) async fn user_by_name(&self, username: &str) -> Result<Option<User>> {
        let row = query("select * from users where username = $1");
        Ok(row.bind(username.to_lowercase()).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        let row = query("select * from users where email = $1");
        Ok(row.bind(email.to_lowercase()).fetch_optional(&self.readers).await?)
    }

    /// The account that signs in elsewhere, and has this id there.
    pub(crate) async fn user_by_auth(&self, service: &str, data: &str) -> Result<Option<User>> {
        let row = query("select * from users where authservice = $1 and authdata = $2");
        Ok(row.bind(service).bind(data).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn users_by_ids(&self, ids: &[Id]) -> Result<Vec<User>> {
        let rows = query("select * from users where id = any($1)");
        Ok(rows.bind(ids).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn users_by_names(&self, names: &[String]) -> Result<Vec<User>> {
        let names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let rows = query("select * from users where username = any($1)");
        Ok(rows.bind(names).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn users(&self, filter: &UserFilter) -> Result<Vec<User>> {
        let mut query = query("select * from users where true");
        const TEAM: &str = "(select userid from teammembers where deleteat = 0 and teamid = ";
        const CHANNEL: &str = "(select userid from channelmembers where channelid = ";
        for (condition, id, select) in [
            (" and id in ", filter.in_team, TEAM),
            (" and id not in ", filter.not_in_team, TEAM),
            (" and id in ", filter.in_channel, CHANNEL),
            (" and id not in ", filter.not_in_channel, CHANNEL),
        ] {
            if let Some(id) = id {
                query.push(condition).push(select).push_bind(id).push(")");
            }
        }
        if filter.without_team {
            query.push(" and id not in (select userid from teammembers where deleteat = 0)");
        }
        if filter.active {
            query.push(" and deleteat = 0");
        }
        if filter.inactive {
            query.push(" and deleteat > 0");
        }
        if !filter.roles.is_empty() {
            query.push(" AND (false");
            for role in &filter.roles {
                query.push(" or ' ' || roles || ' ' like ").push_bind(format!("% {} %", escape_like(role)));
                query.push(r" escape '\'");
            }
            query.push(")");
        }
        if !filter.term.is_empty() {
            let term = format!("{}%", escape_like(&filter.term.to_lowercase()));
            query.push(" AND (false");
            for column in ["username", "lower(nickname)", "lower(firstname)", "lower(lastname)", "email"] {
                query.push(" OR ").push(column).push(" like ").push_bind(term.clone()).push(r" escape '\'");
            }
            query.push(")");
        }
        query.push(if filter.newest_first { " order by createat desc" } else { " order by username" });
        query.push(" limit ").push_bind(filter.limit).push(" offset ").push_bind(filter.offset);
        Ok(query.fetch_all(&self.readers).await?)
    }

    /// Whether there is any account, including deactivated ones.
    pub(crate) async fn has_users(&self) -> Result<bool> {
        Ok(query("select exists (select 1 from users)").fetch_one(&self.readers).await?)
    }

    pub(crate) async fn active_users(&self) -> Result<i64> {
        Ok(query("select count(*) from users where deleteat = 0").fetch_one(&self.readers).await?)
    }

    /// The users who share a channel with `user`.
    pub(crate) async fn known_users(&self, user: Id) -> Result<Vec<Id>> {
        let rows = query(
            "select distinct other.userid from channelmembers own \
             join channelmembers other on other.channelid = own.channelid \
             where own.userid = $1 and other.userid <> $1",
        );
        Ok(rows.bind(user).fetch_all(&self.readers).await?)
    }

    /// Stores a new account. The first one becomes system administrator. This is decided inside the write transaction, so
    /// that exactly one of several concurrent sign-ups is the first.
    pub(crate) async fn create_user(&self, mut user: User, admission: Admission) -> Result<User> {
        self.write(move |tx| {
            Box::pin(async move {
                let (all, active): (i64, i64) =
                    query("select count(*), count(*) filter (where deleteat = 0) from users")
                        .fetch_one(&mut *tx.connection)
                        .await?;
                if all > 0 && !admission.admitted {
                    return Err(no_open_server());
                }
                if active >= USER_LIMIT {
                    return Err(server_full());
                }
                if let Some(token) = &admission.invitation {
                    let said: OfInvitation = tx
                        .take_token(token, Purpose::JoinTeam)
                        .await?
                        .or(invalid_invitation, expired_invitation)?;
                    if said.email != user.email {
                        return Err(invalid_invitation());
                    }
                }
                user.roles = if all == 0 { "system_admin system_user" } else { "system_user" }.to_owned();
                tx.save_user(&user, true).await?;
                for preference in initial_preferences(user.id) {
                    tx.save_preference(&preference).await?;
                }
                Ok(user)
            })
        })
        .await
    }

    /// Activates an account, unless the server has its maximum of active accounts.
    pub(crate) async fn activate_user(&self, id: Id) -> Result<User> {
        self.write(move |tx| {
            Box::pin(async move {
                let active: i64 = query("select count(*) from users where deleteat = 0 and id <> $1")
                    .bind(id)
                    .fetch_one(&mut *tx.connection)
                    .await?;
                if active >= USER_LIMIT {
                    return Err(server_full());
                }
                let mut user = tx.user(id).await?.ok_or_else(no_such_user)?;
                user.delete_at = 0;
                user.update_at = clock::now().max(user.update_at + 1);
                tx.save_user(&user, false).await?;
                Ok(user)
            })
        })
        .await
    }

    /// Changes an account: `change` gets the stored one, so that concurrent changes of other fields are kept.
    pub(crate) async fn update_user<F>(&self, id: Id, change: F) -> Result<User>
    where
        F: FnOnce(&mut User) -> Result<()> + Send + 'static,
    {
        self.write(move |tx| {
            Box::pin(async move {
                let mut user = tx.user(id).await?.ok_or_else(no_such_user)?;
                change(&mut user)?;
                user.update_at = clock::now().max(user.update_at + 1);
                tx.save_user(&user, false).await?;
                Ok(user)
            })
        })
        .await
    }
}

impl Transaction<'_> {
    pub(crate) async fn user(&mut self, id: Id) -> Result<Option<User>> {
        Ok(query("select * from users where id = $1").bind(id).fetch_optional(&mut *self.connection).await?)
    }

    pub(super) async fn save_user(&mut self, user: &User, new: bool) -> Result<()> {
        let statement = if new {
            user.insert()
        } else {
            user.bind_to(
                "update users set createat = $2, updateat = $3, deleteat = $4, username = $5, password = $6, \
                 authdata = $7, authservice = $8, email = $9, emailverified = $10, nickname = $11, firstname = $12, \
                 lastname = $13, position = $14, roles = $15, allowmarketing = $16, props = $17, notifyprops = $18, \
                 lastpasswordupdate = $19, lastpictureupdate = $20, failedattempts = $21, locale = $22, \
                 timezone = $23, mfaactive = $24, mfasecret = $25, lastlogin = $26 where id = $1",
            )
        };
        statement.execute(&mut *self.connection).await.map_err(taken)?;
        self.touched.push(Touched::User(user.id));
        Ok(())
    }
}

/// Mattermost's error for a user name or email address that is taken.
fn taken(error: sqlx::Error) -> AppError {
    if !is_duplicate(&error) {
        return error.into();
    }
    // SQLite names the column, PostgreSQL the constraint.
    if ["users.email", "users_email_key"].iter().any(|name| error.to_string().contains(name)) {
        address_taken()
    } else {
        AppError::bad_request(
            "app.user.save.username_exists.app_error",
            "An account with that username already exists.",
        )
    }
}

pub(crate) fn address_taken() -> AppError {
    AppError::bad_request(
        "app.user.save.email_exists.app_error",
        "An account with that email already exists.",
    )
}

pub(crate) fn no_such_user() -> AppError {
    AppError::not_found("app.user.missing_account.const", "Unable to find the user.")
}

pub(crate) fn no_open_server() -> AppError {
    AppError::forbidden(
        "api.user.create_user.no_open_server",
        "This server does not allow open signups. Please speak with your Administrator to receive an invitation.",
    )
}

pub(crate) fn invalid_invitation() -> AppError {
    AppError::bad_request(
        "api.user.create_user.signup_link_invalid.app_error",
        "This invitation does not work: it has been used. Ask for another one.",
    )
}

pub(crate) fn expired_invitation() -> AppError {
    AppError::bad_request(
        "api.user.create_user.signup_link_expired.app_error",
        "This invitation is older than 48 hours. Ask for another one.",
    )
}

fn server_full() -> AppError {
    AppError::bad_request(
        "api.user.create_user.user_limits.exceeded",
        format!("The server has its {USER_LIMIT} users. Deactivate one first."),
    )
}

/// The preferences that Mattermost stores for a new account.
fn initial_preferences(user_id: Id) -> [Preference; 3] {
    let preference = |category: &str, name: String, value: &str| Preference {
        user_id,
        category: category.to_owned(),
        name,
        value: value.to_owned(),
    };
    [
        preference("recommended_next_steps", "hide".to_owned(), "false"),
        preference("tutorial_step", user_id.to_string(), "0"),
        preference("system_notice", "GMasDM".to_owned(), "true"),
    ]
}
