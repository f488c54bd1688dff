//! `up --start-empty`: what is left of a deployment whose data is gone is moved aside, so that the `up` that follows begins with an empty
//! Mattermost. Nothing is deleted.

use std::path::PathBuf;

use container_contract::VOLUME;
use plan::Plan;

use super::runner::{Looking, Operation};
use super::up::Request;
use crate::action::{Action, SetAside};
use crate::control::protocol::Status;
use crate::error::{Error, Exit};
use crate::part::{identity, observe, stopping};
use crate::place::Place;
use crate::place::container::may_be_uploads;
use crate::place::ground::ground;
use crate::state::cluster::refuse_to_take_away;
use crate::state::location::Location;
use crate::state::settled::settle;
use crate::state::words::START_EMPTY;
use crate::world::World;

/// Moves what is left aside, where something is missing.
#[derive(Debug, Clone, Default)]
pub struct StartEmpty {
    /// What the `up` that follows is asked for.
    pub request: Request,
}

/// What it decides from.
pub struct Seen {
    running: Option<Status>,
    /// `None` where nothing is missing.
    aside: Option<SetAside>,
}

impl Operation for StartEmpty {
    const NAME: &'static str = START_EMPTY;
    type Seen = Seen;
    /// Where everything is now; `None` where nothing was moved.
    type Report = Option<PathBuf>;

    fn may_follow_another_build(&self) -> bool {
        true
    }

    async fn look(&self, world: &World, mut looking: Looking<'_>) -> Result<Seen, Error> {
        let (layout, request) = (&world.layout, &self.request);
        ground(layout)?;
        refuse_to_take_away(layout, "mainstay up --start-empty")?;
        let source = request.source(looking.only_shown);
        let settled = settle(world, &request.flags, source)?;
        let observed =
            observe(world, &settled, request.creation.as_ref(), true, &mut looking.patience).await?;
        let running = observed.agent.clone();
        let gone = identity::gone(layout, &settled, &observed);
        let unnamed = identity::refuse_without_database(layout, &settled, &observed).is_err();
        if gone.is_empty() && !unnamed {
            return Ok(Seen { running, aside: None });
        }
        if let (Location::Server(server) | Location::Managed(server), true) =
            (&settled.location, observed.database.exists)
        {
            return Err(Error::new(
                Exit::Refused,
                format!("{server} still holds a Mattermost, so this would not begin with an empty one"),
            )
            .hint(format!(
                "put back what is gone ({}), or name an empty database; nothing has been changed",
                gone.join(", ")
            )));
        }
        let into = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S.%3fZ").to_string();
        let volume = if layout.place() == Place::Container { volume_names()? } else { Vec::new() };
        let aside = SetAside { names: identity::remains(layout)?, volume, into };
        let is_empty = aside.names.is_empty() && aside.volume.is_empty();
        Ok(Seen { running, aside: (!is_empty).then_some(aside) })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let mut steps = Vec::new();
        if let Some(aside) = &seen.aside {
            steps = stopping(seen.running.as_ref());
            steps.push(aside.clone().step());
        }
        let title = format!("Make room for an empty Mattermost in {}", world.layout.root().display());
        Ok(Plan::new(Self::NAME, title, steps))
    }

    async fn report(&self, world: &World, seen: Seen, _: bool) -> Result<Option<PathBuf>, Error> {
        Ok(seen.aside.map(|aside| world.layout.set_aside().join(aside.into)))
    }
}

/// The names of the files in a container's volume that a server made.
fn volume_names() -> Result<Vec<String>, Error> {
    let failed = |error: std::io::Error| Error::path("read", VOLUME, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(VOLUME).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if may_be_uploads(&name) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
