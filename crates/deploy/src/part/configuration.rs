//! The server's config.json, and `declared.json`, which remembers what Mainstay wrote there.

use std::net::SocketAddr;

use plan::Step;
use settings::Undeclared;

use super::{Part, Stage, View};
use crate::action::{self, Action};
use crate::error::Error;
use crate::state::location::{Location, Managed};
use crate::state::proof::prove;
use crate::state::settled::{Settled, reconcile};
use crate::state::taken::Files;
use crate::world::World;

/// What happens to config.json, and to `declared.json` with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigChange {
    /// There is none yet.
    New,
    /// It changes.
    Changes,
    /// It stays, but other things are to be remembered of it.
    OnlyRemembered,
    /// Nothing.
    Stays,
}

impl ConfigChange {
    /// Whether the server reads another config.json afterwards.
    pub(super) fn reconfigures(self) -> bool {
        matches!(self, Self::New | Self::Changes)
    }
}

/// # Errors
/// The server could not read what config.json becomes.
pub(super) fn observe(world: &World, settled: &Settled, listen: SocketAddr) -> Result<ConfigChange, Error> {
    let Settled { resolved, release, config, desired, .. } = settled;
    // Where it was settled that there is a managed database, there is one, or there will be.
    let is_managed = matches!(settled.location, Location::Managed(_));
    let managed = Managed::of(world, &desired.wanted, release, is_managed);
    let files = (config, &managed);
    let next = reconcile(resolved, release, &world.layout, listen, files, Undeclared::GoesBack)?;
    prove(world, release, &next.config, Some(resolved))?;
    if config.config.is_none() {
        return Ok(ConfigChange::New);
    }
    Ok(match next.changes_config() {
        true => ConfigChange::Changes,
        false if config.memory.as_ref() != Some(&next.memory) => ConfigChange::OnlyRemembered,
        false => ConfigChange::Stays,
    })
}

pub(super) struct Configuration;

impl Part for Configuration {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        let change = view.observed.config;
        if stage != Stage::Change || change == ConfigChange::Stays {
            return Vec::new();
        }
        let user = view.settled.desired.user.clone();
        let taken = view.settled.taken.as_ref();
        let config =
            taken.map(|taken| action::TakenConfig { from: taken.path.clone(), user: user.clone() }.step());
        let files = taken.and_then(|taken| taken.files.clone());
        let files =
            files.map(|Files { from, names }| action::TakenFiles { from, user: user.clone(), names }.step());
        let action = action::Configuration {
            release: view.settled.release.clone(),
            listen: view.observed.server.listen,
            user,
            replaces: change != ConfigChange::New,
            remembers: view.settled.config.memory.is_some(),
            only_remembers: !change.reconfigures(),
            undeclared_goes_back: true,
        };
        config.into_iter().chain(files).chain([action.step()]).collect()
    }
}
