//! Rows of stored files.

use super::caches::Touched;
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

    /// Notes the previews that were made after a file was stored. False if its row is gone.
    pub(crate) async fn add_previews(&self, file: FileInfo) -> Result<bool> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.touched.push(Touched::Posts(file.channel_id));
                let noted = query(
                    "update fileinfo set thumbnailpath = $2, previewpath = $3, haspreviewimage = $4, width = $5, height = $6, \
                     minipreview = $7 where id = $1",
                )
                .bind(file.id)
                .bind(file.thumbnail_path)
                .bind(file.preview_path)
                .bind(file.has_preview_image)
                .bind(file.width)
                .bind(file.height)
                .bind(file.mini_preview)
                .execute(&mut *tx.connection)
                .await?;
                Ok(noted > 0)
            })
        })
        .await
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
