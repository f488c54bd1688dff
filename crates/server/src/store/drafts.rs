//! Drafts.

use super::handle::Store;
use crate::error::Result;
use crate::id::Id;
use crate::model::Draft;
use crate::sql::query;

impl Store {
    /// The drafts of `user` in the channels of `team` and in direct ones.
    pub(crate) async fn drafts(&self, user: Id, team: Id) -> Result<Vec<Draft>> {
        let rows = query(
            "select drafts.* from drafts join channels on channels.id = drafts.channelid \
             where drafts.userid = $1 and channels.teamid in ($2, '') and drafts.deleteat = 0 order by drafts.updateat desc",
        );
        Ok(rows.bind(user).bind(team).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn save_draft(&self, draft: Draft) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                draft
                    .bind_to(
                        "insert into drafts (createat, updateat, deleteat, userid, channelid, rootid, message, props, \
                         fileids, priority, type) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
                         on conflict (userid, channelid, rootid) do update set updateat = $2, deleteat = 0, \
                         message = $7, props = $8, fileids = $9, priority = $10, type = $11",
                    )
                    .execute(&mut *tx.connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Deletes all drafts in a channel, because nothing can be posted there any more.
    pub(crate) async fn delete_drafts_of_channel(&self, channel: Id) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query("delete from drafts where channelid = $1")
                    .bind(channel)
                    .execute(&mut *tx.connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Deletes a draft; `false` if there was none.
    pub(crate) async fn delete_draft(&self, user: Id, channel: Id, root: Id) -> Result<bool> {
        let found = query(
            "select exists (select 1 from drafts where userid = $1 and channelid = $2 and rootid = $3)",
        );
        if !found.bind(user).bind(channel).bind(root).fetch_one::<bool>(&self.readers).await? {
            return Ok(false);
        }
        self.write(move |tx| {
            Box::pin(async move {
                query("delete from drafts where userid = $1 and channelid = $2 and rootid = $3")
                    .bind(user)
                    .bind(channel)
                    .bind(root)
                    .execute(&mut *tx.connection)
                    .await?;
                Ok(true)
            })
        })
        .await
    }
}
