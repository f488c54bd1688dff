//! Personal access tokens.

use super::handle::Store;
use crate::error::Result;
use crate::id::Id;
use crate::model::AccessToken;
use crate::sql::query;

impl Store {
    pub(crate) async fn access_token(&self, token: &str) -> Result<Option<AccessToken>> {
        let row = query("select * from useraccesstokens where token = $1 and isactive");
        Ok(row.bind(token).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn access_tokens_of(&self, user: Id) -> Result<Vec<AccessToken>> {
        let rows = query("select * from useraccesstokens where userid = $1 order by id");
        Ok(rows.bind(user).fetch_all(&self.readers).await?)
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
