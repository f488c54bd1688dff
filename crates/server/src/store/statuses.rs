//! The statuses of users.

use super::handle::Store;
use crate::error::Result;
use crate::id::Id;
use crate::model::Status;
use crate::sql::query;

impl Store {
    /// The statuses of those of `users` who have one.
    pub(crate) async fn statuses(&self, users: &[Id]) -> Result<Vec<Status>> {
        let rows = query("select * from status where userid = any($1)");
        Ok(rows.bind(users).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn save_status(&self, status: Status) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                status
                    .bind_to(
                        "insert into status (userid, status, manual, lastactivityat, dndendtime, prevstatus) \
                         values ($1, $2, $3, $4, $5, $6) on conflict (userid) do update set \
                         status = $2, manual = $3, lastactivityat = $4, dndendtime = $5, prevstatus = $6",
                    )
                    .execute(&mut *tx.connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}
