//! `app:migrate`: the database of a container, brought to the image's release, without starting anything.

use plan::Plan;
use release::{Capabilities, ReleaseId};

use crate::action::{Action, Database};
use crate::error::{Error, Kind};
use crate::operation::down;
use crate::operation::runner::{Caller, Turn};
use crate::operation::up::{Prepared, Request, Steps, patience, prepare, silent};
use crate::part::database::readiness::Patience;
use crate::world::World;

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

/// The plan that [`migrate`] would run.
///
/// # Errors
/// What `up` would refuse; the deployment runs; its server only migrates as it starts.
pub async fn planned(world: &World, request: &Request) -> Result<Plan<Action>, Error> {
    Ok(decide(world, request, silent(&mut ())).await?.0)
}

/// Migrates, and says to which release.
///
/// # Errors
/// It is refused (nothing has been changed then), or a step failed.
pub async fn migrate(world: &World, request: &Request, mut caller: Caller<'_>) -> Result<ReleaseId, Error> {
    decide(world, request, patience(request, &mut caller)).await?;
    let turn = Turn::take(&world.layout, "migrate", &caller).await?;
    turn.recover(world, &mut caller).await?;
    // What was interrupted may have been a start, which has been brought to its end.
    let stop = down::planned(world).await?;
    if !stop.steps.is_empty() {
        turn.run(&stop, world, &mut caller).await?;
    }
    let (plan, release) = decide(world, request, patience(request, &mut caller)).await?;
    turn.run(&plan, world, &mut caller).await?;
    Ok(release)
}

async fn decide(
    world: &World,
    request: &Request,
    patience: Patience<'_>,
) -> Result<(Plan<Action>, ReleaseId), Error> {
    if world.agent.status().await?.is_some() {
        return Err(Error::not_ready(
            "the deployment runs, and its server has migrated the database when it started",
        )
        .hint("stop it first, if it is to be migrated by itself"));
    }
    let Prepared { plan, desired, release, .. } = prepare(world, request, patience).await?;
    if !Capabilities::of(&release).db_migrate {
        return Err(Error::new(Kind::Refused, format!("{release} migrates the database only as it starts"))
            .hint("use `app:start`"));
    }
    let mut steps = Steps(plan.steps.into_iter().filter(|step| is_at_rest(&step.action)).collect());
    if !steps.0.iter().any(|step| matches!(step.action, Action::Database(_))) {
        let action = Database { release: release.clone(), user: desired.user, fresh: false, external: false };
        steps.add("migration", format!("Bring the database to {release}"), None, 1000, action);
    }
    let title = format!("Migrate to {release}");
    Ok((Plan { operation: "migrate".to_owned(), title, steps: steps.0 }, release))
}
