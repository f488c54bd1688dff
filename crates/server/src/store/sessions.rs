//! Sessions.

use std::sync::Arc;

use super::caches::Touched;
use super::handle::Store;
use super::writer::Transaction;
use crate::error::Result;
use crate::id::Id;
use crate::model::Session;
use crate::sql::query;

/// The most sessions of a user; the least recently used are deleted first.
const SESSIONS_PER_USER: i64 = 500;

impl Store {
    pub(crate) async fn session(&self, token: &str) -> Result<Option<Arc<Session>>> {
        let epoch = match self.caches.sessions.get(&token.to_owned()) {
            Ok(session) => return Ok(session),
            Err(epoch) => epoch,
        };
        let session = query("select * from sessions where token = $1")
            .bind(token)
            .fetch_optional(&self.readers)
            .await?
            .map(Arc::new);
        // Unknown tokens are not cached: anybody can invent any number of them.
        if session.is_some() {
            self.caches.sessions.put(epoch, token.to_owned(), session.clone());
        }
        Ok(session)
    }

    pub(crate) async fn sessions_of(&self, user: Id) -> Result<Vec<Session>> {
        let rows = query("select * from sessions where userid = $1 order by lastactivityat desc");
        Ok(rows.bind(user).fetch_all(&self.readers).await?)
    }

    /// Deletes one session of `user`; `false` if there is none.
    pub(crate) async fn revoke_session(&self, user: Id, session: Id) -> Result<bool> {
        self.write(move |tx| {
            Box::pin(async move {
                let token: Option<String> =
                    query("delete from sessions where id = $1 and userid = $2 returning token")
                        .bind(session)
                        .bind(user)
                        .fetch_optional(&mut *tx.connection)
                        .await?;
                let found = token.is_some();
                tx.touched.extend(token.map(Touched::Session));
                Ok(found)
            })
        })
        .await
    }

    pub(crate) async fn revoke_sessions(&self, user: Id) -> Result<()> {
        self.write(move |tx| Box::pin(async move { tx.revoke_sessions(user).await })).await
    }

    /// Deletes every session of `user` but this one.
    pub(crate) async fn revoke_other_sessions(&self, user: Id, session: Id) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query("delete from sessions where userid = $1 and id <> $2")
                    .bind(user)
                    .bind(session)
                    .execute(&mut *tx.connection)
                    .await?;
                tx.touched.push(Touched::Sessions(user));
                Ok(())
            })
        })
        .await
    }

    /// Stores that a session was used, and its new expiry.
    pub(crate) async fn extend_session(
        &self,
        id: Id,
        token: String,
        now: i64,
        expires_at: i64,
    ) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query("update sessions set lastactivityat = $2, expiresat = $3 where id = $1")
                    .bind(id)
                    .bind(now)
                    .bind(expires_at)
                    .execute(&mut *tx.connection)
                    .await?;
                tx.touched.push(Touched::Session(token));
                Ok(())
            })
        })
        .await
    }
}

impl Transaction<'_> {
    pub(crate) async fn insert_session(&mut self, session: &Session) -> Result<()> {
        session.insert().execute(&mut *self.connection).await?;
        let given_way: Vec<String> = query(
            "delete from sessions where id in (select id from sessions where userid = $1 \
             order by lastactivityat desc, createat desc limit 9223372036854775807 offset $2) returning token",
        )
        .bind(session.user_id)
        .bind(SESSIONS_PER_USER)
        .fetch_all(&mut *self.connection)
        .await?;
        self.touched.extend(given_way.into_iter().map(Touched::Session));
        Ok(())
    }

    pub(crate) async fn revoke_sessions(&mut self, user: Id) -> Result<()> {
        query("delete from sessions where userid = $1").bind(user).execute(&mut *self.connection).await?;
        self.touched.push(Touched::Sessions(user));
        Ok(())
    }
}
