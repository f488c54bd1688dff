//! `app:migrate`: the database of a container, brought to the image's release, without starting anything.

use std::time::Duration;

use plan::Plan;
use release::{Capabilities, ReleaseId};

use super::planned::without_backup;
use super::runner::{Looking, Operation};
use super::up::{Request, Seen as Prepared, Up};
use crate::action::{Action, Database};
use crate::control::protocol::Status;
use crate::error::{Error, Exit};
use crate::part::stopping;
use crate::state::location::Location;
use crate::world::World;

/// Brings the database to the release and reports which that is.
#[derive(Debug, Clone)]
pub struct Migrate {
    /// As for `up`.
    pub request: Request,
}

/// What a migration decides from.
pub struct Seen {
    up: Prepared,
    /// What an interrupted start, brought to its end just before, has left running.
    running: Option<Status>,
}

impl Operation for Migrate {
    const NAME: &'static str = "migrate";
    type Seen = Seen;
    type Report = ReleaseId;

    async fn look(&self, world: &World, looking: Looking<'_>) -> Result<Seen, Error> {
        let running = world.agent.status().await?;
        if running.is_some() && looking.recovered.is_none() {
            return Err(Error::not_ready(
                "the deployment runs, and its server migrated the database when it started",
            )
            .hint("to migrate the database by itself, stop the deployment first"));
        }
        let up = Up { request: self.request.clone() }.look(world, looking).await?;
        let release = &up.settled.release;
        if !Capabilities::of(release).db_migrate {
            return Err(Error::new(
                Exit::Refused,
                format!("{release} migrates the database only as it starts"),
            )
            .hint("use `app:start`"));
        }
        Ok(Seen { up, running })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let settled = &seen.up.settled;
        let up = Up { request: self.request.clone() }.plan(world, &seen.up)?;
        let mut steps = stopping(seen.running.as_ref());
        steps.extend(up.steps.into_iter().filter(|step| is_at_rest(&step.action)));
        if !steps.iter().any(|step| matches!(step.action, Action::Database(_))) {
            let release = settled.release.clone();
            let external = settled.location != Location::File;
            let action = Database {
                release,
                user: settled.desired.user.clone(),
                fresh: false,
                external,
                dumped: false,
                in_new_cluster: false,
            };
            steps.push(action.step(&settled.location, None, false));
        }
        Ok(without_backup(Plan::new(Self::NAME, format!("Migrate to {}", settled.release), steps)))
    }

    async fn report(&self, _: &World, seen: Seen, _: bool) -> Result<ReleaseId, Error> {
        Ok(seen.up.settled.release)
    }

    fn wait(&self) -> Duration {
        self.request.wait()
    }
}

/// Whether a step of `up` is part of a migration: it prepares one or is it, and needs no running part.
fn is_at_rest(action: &Action) -> bool {
    matches!(
        action,
        Action::Directories(_)
            | Action::Secrets(_)
            | Action::Configuration(_)
            | Action::CreateDatabase(_)
            | Action::Database(_)
    )
}
