//! The server's database, brought to the schema of its release.

use plan::Progress;
use release::{Release, ReleaseId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{World, blocking};
use crate::error::Error;
use crate::machine::run_to_end;

/// Runs the release's `db migrate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// The release whose schema it gets.
    pub release: ReleaseId,
    /// Who runs it; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// Whether there was none before: only then may the undo remove it.
    pub fresh: bool,
}

/// SQLite keeps a database in up to three files.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

impl Database {
    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let release = Release::open(&world.layout.releases().join(self.release.to_string()))?;
        let Some(invocation) = release.migrate(&world.layout.config()) else { return Ok(Value::Null) };
        let user = self.user.as_deref().map(host::User::named).transpose()?;
        run_to_end(&invocation, user.as_ref()).await.map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        if !self.fresh {
            // A forward migration is undone by restoring the snapshot that the plan took before it.
            return Ok(());
        }
        let path = world.layout.sqlite().into_os_string();
        blocking(move || {
            SUFFIXES.iter().try_for_each(|suffix| {
                let mut file = path.clone();
                file.push(suffix);
                Ok(host::disk::remove_file(file.as_ref())?)
            })
        })
        .await
    }
}
