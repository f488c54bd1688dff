//! `uninstall`: take a deployment away.
//!
//! The plan stops it and moves it aside, which can be undone. Deleting cannot, so it comes after the plan: if it is interrupted, the
//! next `uninstall` has an empty plan and deletes the rest.

use std::path::PathBuf;

use plan::Plan;
use serde::Serialize;

use crate::action::{Action, Removal};
use crate::error::{Error, Kind};
use crate::operation::down::stopping;
use crate::operation::runner::{Caller, Turn};
use crate::place::ground::{self, ground};
use crate::place::layout::Layout;
use crate::state::location;
use crate::world::World;

/// What stays with `--keep-data`: everything that a later `up` in the same directory goes on with.
const DATA: [&str; 10] = [
    "mainstay.toml",
    "secrets.toml",
    "declared.json",
    "config",
    "data",
    "database",
    "plugins",
    "client-plugins",
    "postgres",
    "backups",
];

/// What went and what stayed.
#[derive(Debug, Clone, Serialize)]
pub struct Uninstalled {
    /// The deployment's directory.
    pub dir: PathBuf,
    /// Names that are still there.
    pub kept: Vec<String>,
    /// The system user that `up` made for such deployments: not deleted, because another may run as it.
    pub user: Option<String>,
    /// The database on a server that it used, the password masked: never deleted.
    pub database: Option<String>,
}

/// The plan that [`uninstall`] would run.
///
/// # Errors
/// There is no deployment here.
pub async fn planned(world: &World, keep_data: bool) -> Result<Plan<Action>, Error> {
    let layout = &world.layout;
    if ground(layout)? == ground::Ground::Free {
        return Err(Error::new(
            Kind::NotReady,
            format!("there is no deployment in {}", layout.root().display()),
        )
        .hint("name its directory with `--dir`"));
    }
    let mut steps = stopping(world.agent.status().await?.as_ref());
    let names = removable(layout, keep_data)?;
    if !names.is_empty() {
        steps.add("removal", "Move its files aside", Some("Move them back"), 20, Removal::of(names));
    }
    Ok(Plan {
        operation: "uninstall".to_owned(),
        title: format!("Uninstall {}", layout.root().display()),
        steps: steps.0,
    })
}

/// Stops the deployment and removes it; with `keep_data` all but its data.
///
/// # Errors
/// A step failed: everything is as before. Deleting failed: what was moved aside stays in `run/aside`.
pub async fn uninstall(world: &World, keep_data: bool, mut caller: Caller<'_>) -> Result<Uninstalled, Error> {
    planned(world, keep_data).await?;
    let layout = &world.layout;
    let turn = Turn::take(layout, "uninstall", &caller).await?;
    turn.recover(world, &mut caller).await?;
    let user = crate::wanted_file(layout).ok().and_then(|wanted| wanted.get("user").map(str::to_owned));
    let database = location::of_config(world).ok().map(|server| server.to_string());
    // No run needs it any more: an uninstall that was interrupted while it deleted has left it.
    host::disk::remove_tree(&layout.aside())?;
    let plan = planned(world, keep_data).await?;
    if !plan.steps.is_empty() {
        turn.run(&plan, world, &mut caller).await?;
    }
    host::disk::remove_tree(&layout.aside())?;
    let kept = if keep_data {
        names(layout)?.into_iter().filter(|name| DATA.contains(&name.as_str())).collect()
    } else {
        // The lock is in `run` and goes last: until then nobody else begins.
        for name in names(layout)?.iter().filter(|name| *name != "run") {
            host::disk::remove_tree(&layout.root().join(name))?;
        }
        host::disk::remove_tree(&layout.run())?;
        // The directory itself may be a mount point, or somebody's choice: an empty one does no harm.
        let _ = std::fs::remove_dir(layout.root());
        Vec::new()
    };
    drop(turn);
    Ok(Uninstalled {
        dir: layout.root().to_owned(),
        kept,
        user: user.filter(|user| !keep_data && user == crate::DEFAULT_USER),
        database,
    })
}

fn removable(layout: &Layout, keep_data: bool) -> Result<Vec<String>, Error> {
    let stays = |name: &String| {
        // The journal and its lock watch over the plan that moves the others.
        name == "run" || name.starts_with("state.db") || (keep_data && DATA.contains(&name.as_str()))
    };
    Ok(names(layout)?.into_iter().filter(|name| !stays(name)).collect())
}

fn names(layout: &Layout) -> Result<Vec<String>, Error> {
    let entries =
        std::fs::read_dir(layout.root()).map_err(|error| Error::path("read", layout.root(), &error))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names =
        names.collect::<Result<Vec<_>, _>>().map_err(|error| Error::path("read", layout.root(), &error))?;
    names.sort();
    Ok(names)
}
