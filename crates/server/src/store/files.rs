//! Rows of stored files.

use super::handle::Store;
use crate::error::Result;
use crate::id::Id;
use crate::model::FileInfo;
use crate::sql::query;

impl Store {
    pub(crate) async fn file(&self, id: Id) -> Result<Option<FileInfo>> {
        let row = query("select * from fileinfo where id = $1 and deleteat = 0");
        Ok(row.bind(id).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn files_of_posts(&self, posts: &[Id]) -> Result<Vec<FileInfo>> {
        let rows = query(
            "select * from fileinfo where postid = any($1) and deleteat = 0 \
             order by createat, id",
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
