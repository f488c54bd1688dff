//! `settings secrets rotate`: new secrets, in use only when the server is verified with them.

use std::collections::BTreeMap;

use plan::Plan;
use settings::{DATABASE_PASSWORD, Rotated, Salt};

use super::runner::{Looking, Operation};
use super::verify::refuse_not_installed;
use crate::action::{Action, Configuration, RolePassword, Rotation};
use crate::control::protocol::Status;
use crate::error::{Error, Exit};
use crate::part::database::startable::check_restart;
use crate::part::edge::held;
use crate::part::identity::refuse_gone_files;
use crate::part::server::{Server, listen_address};
use crate::part::{Part as _, test_step};
use crate::state::location::Location;
use crate::state::proof::prove;
use crate::state::settled::{Settled, settle};
use crate::state::which_release::Source;
use crate::world::World;

/// What stops working when the secrets of these names change.
///
/// # Errors
/// A name is no secret's: the nearest right one.
pub fn broken_by(names: &[String]) -> Result<Vec<Rotated>, Error> {
    names
        .iter()
        .map(|name| settings::rotated(name).map_err(|problem| Error::new(Exit::Usage, problem)))
        .collect()
}

/// A value that is given elsewhere outranks `secrets.toml`: a new one there would change nothing.
fn check_outranked(names: &[String], settled: &Settled) -> Result<(), Error> {
    for salt in names.iter().filter_map(|name| Salt::find(name)) {
        let row = settings::table::find(salt.row);
        let place = row.and_then(|row| row.place(settled.resolved.version()));
        let setting = place.and_then(|place| settled.resolved.setting(place.section, place.key));
        let given = setting.and_then(|setting| setting.origin()).filter(|origin| origin.is_given());
        if let Some(origin) = given {
            return Err(Error::new(
                Exit::Settings,
                format!(
                    "`{}` is given by {origin}, which outranks secrets.toml: a new one there changes nothing",
                    salt.name
                ),
            )
            .hint("take it out there, run `mainstay up` (or start the container anew), and rotate it then"));
        }
    }
    Ok(())
}

/// The password of the database is Mainstay's to change where Mainstay runs it, and while it runs: PostgreSQL keeps it itself.
fn check_database(location: &Location, running: Option<&Status>) -> Result<(), Error> {
    if !matches!(location, Location::Managed(_)) {
        let what = format!(
            "`{}` is for a database that Mainstay runs, and the data of this deployment is in {location}",
            DATABASE_PASSWORD.name
        );
        return Err(Error::new(Exit::Usage, what).hint(
            "change it there, give the new one to Mainstay (DB_PASS, or the address), and run `mainstay up`",
        ));
    }
    let runs = running.and_then(|status| status.postgres()).is_some_and(|postgres| postgres.pid.is_some());
    if runs {
        return Ok(());
    }
    Err(Error::not_ready("the database does not run, and only PostgreSQL itself can change the password")
        .hint("run `mainstay up`, then the same command again; nothing has been changed"))
}

/// Replaces secrets, and restarts and verifies the server where it runs.
#[derive(Debug, Clone)]
pub struct Rotate {
    /// Their names in secrets.toml.
    pub names: Vec<String>,
}

/// What a rotation decides from.
pub struct Seen {
    names: Vec<String>,
    running: Option<Status>,
    settled: Settled,
}

impl Operation for Rotate {
    const NAME: &'static str = "rotate";
    type Seen = Seen;
    type Report = Vec<String>;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        let names: Vec<String> =
            broken_by(&self.names)?.into_iter().map(|rotated| rotated.name.to_owned()).collect();
        refuse_not_installed(&world.layout)?;
        refuse_gone_files(&world.layout).await?;
        let running = world.agent.status().await?;
        let settled = settle(world, &BTreeMap::new(), Source::default())?;
        check_outranked(&names, &settled)?;
        if names.iter().any(|name| name == DATABASE_PASSWORD.name) {
            check_database(&settled.location, running.as_ref())?;
        }
        if let Some(config) = &settled.config.config {
            prove(world, &settled.release, config, Some(&settled.resolved))?;
            if let Some(running) = running.as_ref().filter(|running| running.server().is_some()) {
                check_restart(world, running, config, false).await?;
            }
        }
        Ok(Seen { names, running, settled })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let (layout, Settled { desired, release, config, .. }) = (&world.layout, &seen.settled);
        let running = seen.running.as_ref();
        let server = running.and_then(|running| Some((Server.stop(running)?, Server.start_again(running)?)));
        let (stop, start) = server.unzip();
        let mut steps: Vec<_> = stop.into_iter().collect();
        steps.push(Rotation { names: seen.names.clone() }.step());
        if seen.names.iter().any(|name| name == DATABASE_PASSWORD.name) {
            steps.push(RolePassword {}.step());
        }
        let configuration = Configuration {
            release: release.clone(),
            listen: listen_address(layout, running, desired.listen),
            user: desired.user.clone(),
            replaces: config.config.is_some(),
            remembers: config.memory.is_some(),
            only_remembers: false,
            // The environment that `up` had need not be here.
            undeclared_goes_back: false,
        };
        steps.push(configuration.step());
        if let Some(start) = start {
            steps.extend([start, test_step(desired)]);
        }
        let steps = match running {
            Some(running) if running.server().is_some() => held(steps, running),
            _ => steps,
        };
        Ok(Plan::new(
            Self::NAME,
            format!("Rotate {} of {}", self.names.join(", "), layout.root().display()),
            steps,
        ))
    }

    async fn report(&self, _: &World, seen: Seen, _: bool) -> Result<Vec<String>, Error> {
        Ok(seen.names)
    }
}
