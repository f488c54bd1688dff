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

    /// The statuses `dnd` whose time is over at `now`, in seconds.
    pub(crate) async fn ended_dnd(&self, now: i64) -> Result<Vec<Status>> {
        let rows = query("select * from status where status = 'dnd' and dndendtime > 0 and dndendtime <= $1");
        Ok(rows.bind(now).fetch_all(&self.readers).await?)
    }

    /// Stores a status, and returns whether it was stored.
    pub(crate) async fn save_status(&self, status: Status) -> Result<bool> {
        self.save_status_if(status, false, || true).await
    }

    /// Stores a status that nobody chose, unless its user chose one or has it already. `holds` is asked when it is written:
    /// writes come in their order, so that the last one knows best.
    pub(crate) async fn save_automatic_status(
        &self,
        status: Status,
        holds: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<bool> {
        self.save_status_if(status, true, holds).await
    }

    async fn save_status_if(
        &self,
        status: Status,
        automatic: bool,
        holds: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<bool> {
        self.write(move |tx| {
            Box::pin(async move {
                if !holds() {
                    return Ok(false);
                }
                let mut statement =
                    "insert into status (userid, status, manual, lastactivityat, dndendtime, prevstatus) \
                     values ($1, $2, $3, $4, $5, $6) on conflict (userid) do update set \
                     status = $2, manual = $3, lastactivityat = $4, dndendtime = $5, prevstatus = $6"
                        .to_owned();
                if automatic {
                    statement += " where not coalesce(status.manual, false) and status.status <> $2";
                }
                Ok(status.bind_to(statement).execute(&mut *tx.connection).await? > 0)
            })
        })
        .await
    }
}
