//! Rows of stored files.

use super::handle::Store;
use crate::error::Result;
use crate::id::Id;
use crate::model::FileInfo;
use crate::sql::query;

impl Store {
    pub(crate) async fn file(&self, id: Id) -> Result<Option<FileInfo>> {
        let row = query("SELECT * FROM fileinfo WHERE id = $1 AND deleteat = 0");
        Ok(row.bind(id).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn files_of_posts(&self, posts: &[Id]) -> Result<Vec<FileInfo>> {
        let rows = query(
            "SELECT * FROM fileinfo WHERE postid = ANY($1) AND deleteat = 0 \
             ORDER BY createat, id",
        );
        Ok(rows.bind(posts).fetch_all(&self.readers).await?)
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
