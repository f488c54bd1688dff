//! Whether a deployment starts at boot, for the commands that tell it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::boot::{Boot, boot, look, service, unit_of, unit_text};
use crate::error::Error;
use crate::part::boot::said;
use crate::state::settled::settle;
use crate::state::which_release::Source;
use crate::world::World;

/// A unit that is only shown.
pub struct Unit {
    /// Its name, without `.service`.
    pub name: String,
    /// Where its file belongs.
    pub path: PathBuf,
    /// The command with which a person speaks to the manager that runs it.
    pub systemctl: &'static str,
    /// What its file says.
    pub text: String,
}

/// The unit that `up` would write for the deployment.
///
/// # Errors
/// A setting is wrong.
pub fn unit(world: &World) -> Result<Unit, Error> {
    let settled = settle(world, &BTreeMap::new(), Source { only_shown: true, ..Source::default() })?;
    let (manager, name) = unit_of(world)?;
    let text = unit_text(world, &settled, &name, manager.scope()).text();
    let path = manager.units().join(&name);
    let name = name.trim_end_matches(".service").to_owned();
    Ok(Unit { name, path, systemctl: manager.command(), text })
}

/// How it is now; `None` where something outside decides that, or where systemd does not answer.
pub(super) async fn of(world: &World, is_wanted: bool) -> Option<Boot> {
    let standing = look(world).await;
    let standing = standing.inspect_err(|error| tracing::warn!(%error, "systemd does not answer")).ok()?;
    let agent = service::of_agent(world);
    boot(&standing, is_wanted, agent.as_ref().map(Option::as_deref))
}

/// The same by what mainstay.toml says; one that cannot be read refuses nothing.
pub(super) async fn of_file(world: &World) -> Option<Boot> {
    let wanted = crate::wanted_file(&world.layout).unwrap_or_default();
    of(world, said(&wanted) != Some(false)).await
}
