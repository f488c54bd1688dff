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
        query("INSERT INTO systems (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(value)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

impl Store {
    pub(crate) async fn system(&self, name: &str) -> Result<Option<String>> {
        let value = query("SELECT value FROM systems WHERE name = $1").bind(name);
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
                    "INSERT INTO systems (name, value) VALUES ($1, $2) \
                     ON CONFLICT (name) DO UPDATE SET value = $2",
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
