//! The server's database, brought to the schema of its release.

use std::time::Duration;

use plan::{Progress, Step, Undo};
use release::{Release, ReleaseId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pending::{changes_nothing, saves_plan};
use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::machine::make_dir;
use crate::state::database_failure;
use crate::state::location::{self, Location};
use crate::world::World;

/// How long moving tables aside may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the release's `db migrate`. Its undo deletes nothing: a file is moved, on a server the tables are moved into a schema of
/// their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// The release whose schema it gets.
    pub release: ReleaseId,
    /// Who runs it; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// Whether there was none before: only then may the undo remove it.
    pub fresh: bool,
    /// Whether it is on a server of its own.
    #[serde(default)]
    pub external: bool,
    /// Whether a dump of it was kept just before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dumped: bool,
    /// Whether the same plan makes the cluster that it is in: it is taken back with that, which need not run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_new_cluster: bool,
}

impl Database {
    /// `before` is the release that is current now. A schema that is there already is migrated: what is kept of it brings the old one
    /// back, otherwise only a backup does. `copied` says that a step before this one copies it.
    pub(crate) fn step(self, location: &Location, before: Option<&ReleaseId>, copied: bool) -> Step<Action> {
        let release = &self.release;
        match (self.fresh, self.external, before) {
            (true, false, _) => step("database", "Create the database", Undo::by("Move it aside"), 100, self),
            (true, true, _) => {
                let undo = Undo::by(match self.in_new_cluster {
                    true => "Leave them in the cluster, which is taken back as a whole",
                    false => "Move them into a schema of their own",
                });
                step("database", format!("Create the tables in {location}"), undo, 500, self)
            }
            (false, _, before) => {
                let title = match before.filter(|before| *before != release) {
                    Some(before) => format!("Bring the database from {before} to {release}"),
                    None => format!("Bring the database to {release}"),
                };
                let undo = if self.dumped {
                    Undo::by("Load the dump; what the migration made stays in a schema of its own")
                } else if copied {
                    Undo::by("Leave it to the copy, which brings the old one back")
                } else {
                    Undo::impossible(format!(
                        "the database stays at the schema of {release}; an older release needs a backup of the database that was made before"
                    ))
                };
                step("migration", title, undo, 1000, self)
            }
        }
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let release = Release::open(&world.layout.releases().join(self.release.to_string()))?;
        let config = world.layout.config();
        let saves_plan = !self.fresh && saves_plan(&world.layout);
        let invocation = if saves_plan { release.migrate_saving(&config) } else { release.migrate(&config) };
        let Some(invocation) = invocation else { return Ok(Value::Null) };
        if !self.fresh && changes_nothing(&world.layout) {
            return Ok(serde_json::json!({ "migrated": false }));
        }
        let user = self.user.as_deref().map(host::User::named).transpose()?;
        let server = self.external.then(|| location::of_config(world)).transpose()?;
        super::watched::run(&invocation, user.as_ref(), server.as_ref(), progress).await
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        if self.dumped && changes_nothing(&world.layout) {
            return Ok(());
        }
        if self.dumped {
            return super::kept_dump::load(world, &world.layout.before()).await;
        }
        if self.in_new_cluster {
            return Ok(());
        }
        if !self.fresh {
            // In journals of format 1 the undo of a migration has a title of "nothing", and is not called either.
            return Ok(());
        }
        if self.external {
            let server = location::of_config(world)?;
            let name = format!("{}{}", ::database::ASIDE, jiff::Timestamp::now().as_millisecond());
            let moved = ::database::set_aside(&server, &name, PATIENCE).await;
            return moved.map_err(|failure| database_failure::refused(&failure));
        }
        let (data, undone) = (world.layout.database(), world.layout.undone());
        // Moved and not deleted: between a kill and a resume people may have worked in it.
        blocking(move || {
            if !data.exists() {
                return Ok(());
            }
            make_dir(&undone, 0o700, None)?;
            let kept = undone.join(format!("data-{}", jiff::Timestamp::now().as_millisecond()));
            std::fs::rename(&data, &kept).map_err(|error| Error::path("move aside", data, &error))
        })
        .await
    }
}
