//! The server's config.json.

use std::net::SocketAddr;

use plan::Progress;
use release::ReleaseId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use settings::Base;

use super::blocking;
use super::file::Kept;
use crate::error::Error;
use crate::place::machine::owner;
use crate::state::config_file::{deployed, read, text};
use crate::state::desired::{Desired, Machine};
use crate::state::settled::{config_json, settings_of, with_site_url};
use crate::world::World;

/// Lays what is declared over config.json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The release whose shipped file is the base of a new one.
    pub release: ReleaseId,
    /// Where the server listens, behind the edge.
    pub listen: SocketAddr,
    /// Who reads it; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// Whether it replaces one.
    pub replaces: bool,
}

const NAME: &str = "config.json";

impl Configuration {
    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || this.write(&world)).await.map(|()| Value::Null)
    }

    fn write(&self, world: &World) -> Result<(), Error> {
        let path = world.layout.config();
        Kept { existed: self.replaces }.keep(world, NAME, &path)?;
        let shipped = world.layout.releases().join(self.release.to_string()).join("config/config.json");
        // Resolved here and not when the plan was made: it holds secrets, which the journal must not.
        let wanted = crate::wanted_file(&world.layout)?;
        let resolved = settings_of(world, &wanted, &self.release.version)?;
        let machine = Machine::here(&world.layout, self.user.is_some());
        let desired = Desired::decide(&wanted, &[].into(), &machine)?;
        let there = deployed(&world.layout)?;
        let desired = with_site_url(desired, &resolved, there.as_ref())?;
        let fresh;
        let base = match &there {
            Some(config) => Base::Deployed(config),
            None => {
                fresh = read(&shipped)?;
                Base::Shipped(&fresh)
            }
        };
        let config = config_json(&resolved, &desired, &self.release, &world.layout, self.listen, base)?;
        let owner = owner(self.user.as_deref())?;
        Ok(host::disk::atomic_write(&path, &text(&config)?, 0o600, owner)?)
    }

    pub(super) async fn undo(&self, world: &World, output: Option<&Value>) -> Result<(), Error> {
        let (this, world, output) = (self.clone(), world.clone(), output.cloned());
        blocking(move || {
            let kept = Kept { existed: this.replaces };
            kept.put_back(&world, NAME, &world.layout.config(), output.as_ref())
        })
        .await
    }
}
