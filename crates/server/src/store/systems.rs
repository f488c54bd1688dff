//! Facts about this installation, and the check that the database works.

use super::handle::Store;
use crate::clock;
use crate::error::Result;
use crate::id::Id;
use crate::sql::{Connection, query};

/// Inserts the rows of a new database. The two completed migrations stop the official server from recomputing counters
/// that are correct already.
pub(super) async fn insert_defaults(connection: &mut Connection) -> sqlx::Result<()> {
    let now = clock::now().to_string();
    let rows = [
        ("DiagnosticId", Id::random().to_string()),
        ("InstallationDate", now.clone()),
        ("FirstServerRunTimestamp", now),
        ("CRTChannelMembershipCountsMigrationComplete", "true".to_owned()),
        ("CRTThreadCountsAndUnreadsMigrationComplete", "true".to_owned()),
    ];
    for (name, value) in rows {
        query("insert into systems (name, value) values ($1, $2) on conflict (name) do nothing")
            .bind(name)
            .bind(value)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

impl Store {
    pub(crate) async fn system(&self, name: &str) -> Result<Option<String>> {
        let value = query("select value from systems where name = $1").bind(name);
        Ok(value.fetch_optional(&self.readers).await?)
    }

    /// Checks that the database is writable: writes a row and returns when it is on disk.
    pub(crate) async fn probe(&self) -> Result<()> {
        self.set_system("DatabaseProbe", clock::now().to_string()).await
    }

    pub(crate) async fn set_system(&self, name: &'static str, value: String) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query(
                    "insert into systems (name, value) values ($1, $2) \
                     on conflict (name) do update set value = $2",
                )
                .bind(name)
                .bind(value)
                .execute(&mut *tx.connection)
                .await?;
                Ok(())
            })
        })
        .await
    }
}
