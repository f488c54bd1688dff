//! The server's config.json.

use std::net::SocketAddr;
use std::path::Path;

use plan::Progress;
use release::ReleaseId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use settings::{Base, Resolved};

use super::file::{Kept, LIMIT};
use super::{World, blocking};
use crate::desired::{Desired, Machine};
use crate::error::{Error, Kind};
use crate::layout::Layout;
use crate::machine::owner;
use crate::settled::{config_json, settings_of, with_site_url};

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
        let desired = with_site_url(desired, &resolved, &world.layout)?;
        let there = stands(&path);
        let base = read(if there { &path } else { &shipped })?;
        let base = if there { Base::Deployed(&base) } else { Base::Shipped(&base) };
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

/// config.json as data.
///
/// # Errors
/// It cannot be read, is a link or somebody else's, or it is no JSON object: said with its line.
pub(crate) fn read(path: &Path) -> Result<Value, Error> {
    // The server writes in its directory, and this may be root.
    let read = host::disk::read_guarded(path, LIMIT);
    let content = read.map_err(|error| Error::path("read", path, &error.source))?;
    let value: Value = serde_json::from_slice(&content.bytes).map_err(|error| {
        Error::new(Kind::Settings, format!("{}:{}: it is no JSON ({error})", path.display(), error.line()))
            .hint(
                "mend the file, or move it aside and run `mainstay up`: a new one is made from the release's",
            )
    })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Error::new(Kind::Settings, format!("{}: it is no JSON object", path.display())))
    }
}

/// What a rendered config.json differs in from the one in place; `None` when there is none.
pub(crate) fn differs(
    layout: &Layout,
    resolved: &Resolved,
    desired: &Desired,
    release: &ReleaseId,
    listen: SocketAddr,
) -> Result<Option<bool>, Error> {
    let path = layout.config();
    if !stands(&path) {
        return Ok(None);
    }
    let config = read(&path)?;
    let rendered = config_json(resolved, desired, release, layout, listen, Base::Deployed(&config))?;
    Ok(Some(rendered != config))
}

/// Whether something is there, be it a link to nothing: that is refused and not replaced.
fn stands(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn text(config: &Value) -> Result<Vec<u8>, Error> {
    let mut text =
        serde_json::to_vec_pretty(config).map_err(|error| Error::new(Kind::Bug, error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}
