//! `restart`: stop a part and start it as it was, then prove that the deployment works.

use plan::Plan;
use serde_json::Value;

use super::runner::{Looking, Operation};
use super::verify::refuse_not_installed;
use crate::action::{AcceptanceTest, Action};
use crate::control::protocol::{ServerSpec, Status};
use crate::error::{Error, Exit};
use crate::part::database::startable::check_restart;
use crate::part::identity::refuse_gone_files;
use crate::part::{self, PARTS, Part};
use crate::place::ground::ground;
use crate::place::machine::host_name;
use crate::state::desired::{default_site_url, reachable};
use crate::state::proof::prove;
use crate::state::{access, config_file};
use crate::world::World;

/// Restarts one part that runs. While the server restarts, requests wait at the edge.
#[derive(Debug, Clone)]
pub struct Restart {
    /// The part's name.
    pub part: String,
}

/// What a restart decides from.
pub struct Seen {
    running: Status,
    test: AcceptanceTest,
}

/// What a restart came to.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Restarted {
    /// The part.
    pub part: String,
    /// Whether the acceptance test was part of it: an app is only seen to answer.
    #[serde(skip)]
    pub verified: bool,
    /// When the acceptance test passed, in ms since the epoch.
    pub verified_at: Option<i64>,
}

impl Operation for Restart {
    const NAME: &'static str = "restart";
    type Seen = Seen;
    type Report = Restarted;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Self::Seen, Error> {
        ground(&world.layout)?;
        refuse_not_installed(&world.layout)?;
        refuse_gone_files(&world.layout).await?;
        let running = world.agent.status().await?.ok_or_else(stopped)?;
        let test = deployed_test(world, &running)?.ok_or_else(stopped)?;
        // What is in force now: what mainstay.toml says meanwhile is for `up`.
        let config = config_file::deployed(&world.layout)?.unwrap_or_default();
        if let Some(server) = running.server() {
            let user = server.spec.user.as_deref().map_or_else(host::User::current, host::User::named)?;
            access::check(&world.layout, &user)?;
        }
        if let Some(server) = running.server() {
            check_start(world, &server.spec, &config)?;
            let (stops_server, stops_database) = match self.part.as_str() {
                "server" => (true, false),
                "agent" => (true, true),
                "database" => (running.postgres().is_some(), true),
                _ => (false, false),
            };
            if stops_server {
                check_restart(world, &running, &config, stops_database).await?;
            }
        }
        Ok(Seen { running, test })
    }

    fn plan(&self, world: &World, Seen { running, test }: &Seen) -> Result<Plan<Action>, Error> {
        let dir = world.layout.root().display();
        let title = format!("Restart {} of {dir}", shown(&self.part));
        let can_restart = |part: &&&dyn Part| is_restartable(**part, running);
        let stops_server = |steps: &[plan::Step<Action>]| steps.iter().any(|step| step.name == "stop-server");
        let mut steps: Vec<plan::Step<Action>> = match self.part.as_str() {
            // It runs the others, so they stop and start with it.
            "agent" => {
                let stop = PARTS.iter().rev().filter_map(|part| part.stop(running));
                stop.chain(PARTS.iter().filter_map(|part| part.start_again(running))).collect()
            }
            // Its server stops first, so that no request finds a database that is away.
            "database" if running.postgres().is_some() => {
                let both = || PARTS.iter().filter(|part| ["database", "server"].contains(&part.name()));
                let stop = both().rev().filter_map(|part| part.stop(running));
                stop.chain(both().filter_map(|part| part.start_again(running))).collect()
            }
            name => match PARTS.iter().filter(can_restart).find(|part| part.name() == name) {
                Some(part) => part.stop(running).into_iter().chain(part.start_again(running)).collect(),
                None => match part::restarting(name, running) {
                    // That people are served is not in question.
                    Some(steps) => return Ok(Plan::new(Self::NAME, title, steps)),
                    None => return Err(unknown(name, running)),
                },
            },
        };
        let holds = self.part != "agent" && stops_server(&steps);
        steps.push(test.clone().step());
        let steps = if holds { part::edge::held(steps, running) } else { steps };
        Ok(Plan::new(Self::NAME, title, steps))
    }

    async fn report(&self, world: &World, _: Self::Seen, _: bool) -> Result<Restarted, Error> {
        let verified = PARTS.iter().any(|part| part.name() == self.part);
        let verified_at = crate::state::report::last_pass(&world.layout).filter(|_| verified);
        Ok(Restarted { part: self.part.clone(), verified, verified_at })
    }
}

/// Whether the server would start again as it is: to be known before it is stopped.
///
/// # Errors
/// Its release is damaged, or what its config.json says is wrong.
fn check_start(world: &World, spec: &ServerSpec, config: &Value) -> Result<(), Error> {
    part::release::check(world.layout.place(), &spec.release)?;
    match release::Release::open(&spec.release) {
        Ok(release) => prove(world, release.id(), config, None),
        Err(error) => Err(error.into()),
    }
}

/// The acceptance test of what is in force now; `None` where nobody could be let in.
///
/// # Errors
/// config.json cannot be read.
pub(super) fn deployed_test(world: &World, running: &Status) -> Result<Option<AcceptanceTest>, Error> {
    let Some(edge) = running.edge().map(|edge| edge.spec.listen) else { return Ok(None) };
    let config = config_file::deployed(&world.layout)?.unwrap_or_default();
    let site_url = config["ServiceSettings"]["SiteURL"].as_str().and_then(|url| url.parse().ok());
    let site_url = site_url.or_else(|| default_site_url(edge, &host_name()).parse().ok());
    let site_url = site_url.ok_or_else(|| Error::new(Exit::Bug, "the edge has no address"))?;
    Ok(Some(AcceptanceTest { site_url, edge: reachable(edge) }))
}

fn stopped() -> Error {
    Error::not_ready("the deployment does not run").hint("start it with `mainstay up`")
}

/// The part with its article; an app has none.
fn shown(part: &str) -> String {
    match PARTS.iter().any(|known| known.name() == part) {
        true => format!("the {part}"),
        false => part.to_owned(),
    }
}

/// Whether it runs, and so can be stopped and started again.
fn is_restartable(part: &dyn Part, running: &Status) -> bool {
    part.stop(running).is_some() && part.start_again(running).is_some()
}

/// Why a part cannot be restarted: it does not run, or is none.
fn unknown(name: &str, running: &Status) -> Error {
    let restartable = PARTS.iter().filter(|part| is_restartable(**part, running));
    let apps = running.apps().map(|app| app.spec.part()).collect::<Vec<_>>();
    let names: Vec<&str> =
        restartable.map(|part| part.name()).chain(apps.iter().map(String::as_str)).collect();
    if ["server", "edge"].contains(&name) {
        return Error::not_ready(format!("the {name} does not run"))
            .hint("start everything with `mainstay up`");
    }
    if name == "database" {
        let what = "the database of this deployment is not run by Mainstay, so it cannot restart it";
        return Error::new(Exit::Usage, what).hint("`mainstay database status` says which database it is");
    }
    let near = settings::nearest(name, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    let near = near.unwrap_or_else(|| format!("allowed: {}", names.join(", ")));
    Error::new(Exit::Usage, format!("`{name}` is not a part that can be restarted; {near}"))
}
