//! Rows of stored files.

use super::{Store, id_list};
use crate::error::Result;
use crate::id::Id;
use crate::model::FileInfo;

impl Store {
    pub(crate) async fn file(&self, id: Id) -> Result<Option<FileInfo>> {
        let row = sqlx::query_as("SELECT * FROM fileinfo WHERE id = ? AND deleteat = 0");
        Ok(row.bind(id).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn files_of_posts(&self, posts: &[Id]) -> Result<Vec<FileInfo>> {
        let rows = sqlx::query_as(
            "SELECT * FROM fileinfo WHERE postid IN (SELECT value FROM json_each(?)) AND deleteat = 0 \
             ORDER BY createat, id",
        );
        Ok(rows.bind(id_list(posts)).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn create_file(&self, file: FileInfo) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                file.insert().execute(&mut *tx.connection).await?;
                Ok(())
            })
        })
        .await
    }
}
