//! Attempts to sign in.

use super::caches::Touched;
use super::handle::Store;
use super::writer::Transaction;
use crate::clock;
use crate::error::Result;
use crate::id::Id;
use crate::model::{AccountLock, Attempts, FORGOTTEN, KNOWN, STRANGERS, Standing};
use crate::sql::query;

/// The most origins of an account that are remembered without a sign-in. An attacker has any number of addresses.
const ORIGINS: i64 = 500;

impl Store {
    pub(crate) async fn standing(&self, user: Id, origin: &str) -> Result<Standing> {
        let rows = query("select * from mainstayloginattempts where userid = $1 and origin in ($2, '')");
        let rows: Vec<Attempts> = rows.bind(user).bind(origin).fetch_all(&self.readers).await?;
        let mut standing = Standing::default();
        for row in rows {
            match row.origin.as_str() {
                STRANGERS => standing.strangers = row,
                _ => standing.own = row,
            }
        }
        Ok(standing)
    }

    /// Every lock that holds now.
    pub(crate) async fn locks(&self, most: i64) -> Result<Vec<AccountLock>> {
        let rows = query("select * from mainstayloginattempts where failures >= $1 order by userid, origin");
        let rows: Vec<Attempts> = rows.bind(most).fetch_all(&self.readers).await?;
        let now = clock::now();
        Ok(rows.into_iter().filter_map(|attempts| AccountLock::of(attempts, most, now)).collect())
    }

    /// Counts a wrong password; one from an unknown address counts for all of these together, too.
    pub(crate) async fn count_failed_login(
        &self,
        user: Id,
        origin: String,
        is_known: bool,
        most: i64,
    ) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let now = clock::now();
                tx.count_failure(user, &origin, now).await?;
                if !is_known {
                    tx.count_failure(user, STRANGERS, now).await?;
                    tx.forget_origins(user, now).await?;
                }
                // Kept below the limit: the official server, which may take the database over, would lock the account at
                // the limit, and for good.
                query("update users set failedattempts = failedattempts + 1 where id = $1 and failedattempts < $2")
                    .bind(user)
                    .bind(most - 1)
                    .execute(&mut *tx.connection)
                    .await?;
                tx.touched.push(Touched::User(user));
                Ok(())
            })
        })
        .await
    }

    /// Forgets failures from `origin`, which is known from now on. If there is a better `hash`, it replaces the stored one,
    /// unless that is no longer the `checked` one, because the password was changed meanwhile.
    pub(crate) async fn note_login(
        &self,
        id: Id,
        origin: String,
        hash: Option<String>,
        checked: String,
    ) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let now = clock::now();
                query(
                    "update users set failedattempts = 0, lastlogin = $2, \
                     password = case password when $4 then coalesce($3, password) else password end where id = $1",
                )
                .bind(id)
                .bind(now)
                .bind(hash)
                .bind(checked)
                .execute(&mut *tx.connection)
                .await?;
                query(
                    "insert into mainstayloginattempts (userid, origin, failures, lastfailureat, lastsuccessat) \
                     values ($1, $2, 0, 0, $3) \
                     on conflict (userid, origin) do update set failures = 0, lastsuccessat = $3",
                )
                .bind(id)
                .bind(origin)
                .bind(now)
                .execute(&mut *tx.connection)
                .await?;
                tx.touched.push(Touched::User(id));
                Ok(())
            })
        })
        .await
    }

    /// Ends every lock of an account.
    pub(crate) async fn unlock(&self, user: Id) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query("update mainstayloginattempts set failures = 0 where userid = $1")
                    .bind(user)
                    .execute(&mut *tx.connection)
                    .await?;
                query("update users set failedattempts = 0 where id = $1")
                    .bind(user)
                    .execute(&mut *tx.connection)
                    .await?;
                tx.touched.push(Touched::User(user));
                Ok(())
            })
        })
        .await
    }
}

impl Transaction<'_> {
    async fn count_failure(&mut self, user: Id, origin: &str, now: i64) -> Result<()> {
        query(
            "insert into mainstayloginattempts (userid, origin, failures, lastfailureat, lastsuccessat) \
             values ($1, $2, 1, $3, 0) on conflict (userid, origin) do update set \
             failures = case when mainstayloginattempts.lastfailureat < $4 then 1 \
             else mainstayloginattempts.failures + 1 end, lastfailureat = $3",
        )
        .bind(user)
        .bind(origin)
        .bind(now)
        .bind(now - FORGOTTEN)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    /// Deletes what no longer matters, and the oldest of too many origins.
    async fn forget_origins(&mut self, user: Id, now: i64) -> Result<()> {
        query("delete from mainstayloginattempts where userid = $1 and lastfailureat < $2 and lastsuccessat < $3")
            .bind(user)
            .bind(now - FORGOTTEN)
            .bind(now - KNOWN)
            .execute(&mut *self.connection)
            .await?;
        query(
            "delete from mainstayloginattempts where userid = $1 and origin in \
             (select origin from mainstayloginattempts where userid = $1 and lastsuccessat = 0 and origin <> '' \
             order by lastfailureat desc limit 9223372036854775807 offset $2)",
        )
        .bind(user)
        .bind(ORIGINS)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }
}
