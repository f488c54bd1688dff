//! `settings secrets rotate`: new secrets, in use only when the server is verified with them.

use std::collections::BTreeMap;

use plan::Plan;
use settings::{Rotated, Salt};

use crate::action::{AcceptanceTest, Action, Configuration, Rotation, Server, Switch};
use crate::error::{Error, Kind};
use crate::operation::runner::{Caller, Turn};
use crate::operation::up::Steps;
use crate::part::observed::server_listen;
use crate::state::desired::reachable;
use crate::state::settled::{Settled, settle};
use crate::world::World;

/// What stops working when the secrets of these names change.
///
/// # Errors
/// A name is no secret's: the nearest right one.
pub fn broken_by(names: &[String]) -> Result<Vec<Rotated>, Error> {
    let breaks =
        |name: &String| Salt::find(name).map(|salt| Rotated { name: salt.name, breaks: salt.breaks });
    let found = names.iter().map(|name| {
        breaks(name).ok_or_else(|| {
            let known = settings::SALTS.map(|salt| salt.name);
            let near = settings::nearest(name, known).map(|near| format!("; did you mean `{near}`?"));
            let near = near.unwrap_or_else(|| format!("; allowed: {}", known.join(", ")));
            Error::new(Kind::Usage, format!("`{name}` is no secret that can be rotated{near}"))
        })
    });
    found.collect()
}

/// The plan that [`rotate`] would run.
///
/// # Errors
/// A name is no secret's; nothing is installed here.
pub async fn planned(world: &World, names: &[String]) -> Result<Plan<Action>, Error> {
    let names = broken_by(names)?.into_iter().map(|rotated| rotated.name.to_owned()).collect();
    let layout = &world.layout;
    if !layout.current().exists() {
        return Err(Error::not_ready(format!("there is no deployment in {}", layout.root().display()))
            .hint("install one with `mainstay up`, or name its directory with `--dir`"));
    }
    let Settled { desired, release, config, .. } = settle(world, &BTreeMap::new(), None)?;
    let agent = world.agent.status().await?;
    let server = agent.as_ref().and_then(|status| status.server());
    let mut steps = Steps::default();
    if let Some(server) = server {
        let stop = Server { switch: Switch::Off, spec: server.spec.clone() };
        steps.add("stop-server", "Stop the server", Some("Start it again"), 500, stop);
    }
    steps.add("rotation", "Generate the new secrets", Some("Put the old ones back"), 10, Rotation { names });
    let listen = server_listen(layout, agent.as_ref());
    let user = desired.user.clone();
    let configuration = Configuration {
        release,
        listen,
        user,
        replaces: config.config.is_some(),
        remembers: config.memory.is_some(),
        only_remembers: false,
        // The environment that `up` had need not be here.
        undeclared_goes_back: false,
    };
    steps.add("configuration", "Write config.json", Some("Put it back as it was"), 10, configuration);
    if let Some(server) = server {
        let start = Server { switch: Switch::On, spec: server.spec.clone() };
        steps.add("server", "Start the server", Some("Stop it"), 300, start);
        let test = AcceptanceTest { site_url: desired.site_url.clone(), edge: reachable(desired.listen) };
        steps.add("acceptance", format!("Test it as {}", desired.site_url_text()), None, 1500, test);
    }
    Ok(Plan {
        operation: "rotate".to_owned(),
        title: format!("Rotate secrets of {}", layout.root().display()),
        steps: steps.0,
    })
}

/// Replaces the secrets, and restarts and verifies the server where it runs.
///
/// # Errors
/// A step failed: the old secrets are back.
pub async fn rotate(world: &World, names: &[String], mut caller: Caller<'_>) -> Result<(), Error> {
    planned(world, names).await?;
    let turn = Turn::take(&world.layout, "rotate", &caller).await?;
    turn.recover(world, &mut caller).await?;
    let plan = planned(world, names).await?;
    turn.run(&plan, world, &mut caller).await
}
