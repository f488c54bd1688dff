//! Personal access tokens.

use super::handle::Store;
use crate::error::Result;
use crate::id::Id;
use crate::model::AccessToken;
use crate::sql::{escape_like, query};

impl Store {
    pub(crate) async fn access_token(&self, token: &str) -> Result<Option<AccessToken>> {
        let row = query("select * from useraccesstokens where token = $1 and isactive");
        Ok(row.bind(token).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn access_tokens_of(&self, user: Id) -> Result<Vec<AccessToken>> {
        let rows = query("select * from useraccesstokens where userid = $1 order by id");
        Ok(rows.bind(user).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn access_token_by_id(&self, id: Id) -> Result<Option<AccessToken>> {
        let row = query("select * from useraccesstokens where id = $1");
        Ok(row.bind(id).fetch_optional(&self.readers).await?)
    }

    /// The tokens whose id, or whose account's id or name, begins with `term`.
    pub(crate) async fn access_tokens(
        &self,
        term: &str,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<AccessToken>> {
        let rows = query(
            "select useraccesstokens.* from useraccesstokens join users on users.id = useraccesstokens.userid \
             where useraccesstokens.id like $1 escape '\\' or userid like $1 escape '\\' \
             or users.username like $1 escape '\\' order by userid, useraccesstokens.id limit $2 offset $3",
        );
        let pattern = format!("{}%", escape_like(&term.to_lowercase()));
        Ok(rows.bind(pattern).bind(limit).bind(offset).fetch_all(&self.readers).await?)
    }

    /// Lets a token sign in, or not.
    pub(crate) async fn switch_access_token(&self, id: Id, active: bool) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let changed = query("update useraccesstokens set isactive = $2 where id = $1");
                changed.bind(id).bind(active).execute(&mut *tx.connection).await?;
                Ok(())
            })
        })
        .await
    }

    pub(crate) async fn save_access_token(&self, token: AccessToken) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                token.insert().execute(&mut *tx.connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// Deletes a token and returns whose it was; `None` if there is none.
    pub(crate) async fn revoke_access_token(&self, id: Id) -> Result<Option<Id>> {
        self.write(move |tx| {
            Box::pin(async move {
                let row = query("delete from useraccesstokens where id = $1 returning userid");
                Ok(row.bind(id).fetch_optional(&mut *tx.connection).await?)
            })
        })
        .await
    }
}
