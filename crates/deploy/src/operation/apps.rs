//! `apps deploy --to local`, `rollback` and `undeploy`: an app as a part that the agent runs.
//!
//! A deployment copies the bundle beside those before it, runs it in place of the version before, and proves that it answers. A
//! failure runs the version before again. Nothing of another app is touched.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use jiff::Timestamp;
use plan::{Plan, Recovery};
use serde::Serialize;

use super::runner::{Looking, Operation};
use super::verify::refuse_not_installed;
use crate::action::{self, Action, AppFiles, AppRecord, AppRemoval, Check};
use crate::control::app::{AppSpec, is_app_id};
use crate::control::program::Age;
use crate::control::protocol::{AppStatus, Status};
use crate::error::{Error, Exit};
use crate::place::ground::ground;
use crate::state::apps::{self, Deployed, KEPT};
use crate::state::words::DEPLOY_APP;
use crate::world::World;

/// The first port that is looked at for an app that names none.
const FIRST_PORT: u16 = 8090;

/// A bundle that is to run here.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// The app's id.
    pub app_id: String,
    /// The version of the bundle.
    pub version: String,
    /// The directory with the files `bundle.zip` and, if there are variables, `environment`.
    pub source: PathBuf,
    /// The SHA-256 of the bundle.
    pub sha256: String,
    /// Names bundle and variables together: the same for the same bytes.
    pub key: String,
    /// Whether one of its functions answers `/ping`, and is asked to.
    pub ping: bool,
    /// Where it is to answer; `None` = where it does, or at a free port of loopback.
    pub listen: Option<SocketAddr>,
    /// Who may connect besides this machine; `None` = as it is.
    pub from: Option<Vec<IpAddr>>,
    /// Where Mattermost reaches it; `None` = as it is.
    pub root_url: Option<String>,
    /// MiB of memory; `None` = as it is.
    pub memory: Option<u64>,
    /// Seconds that a call may take; `None` = as it is.
    pub timeout: Option<u64>,
    /// Calls at a time; `None` = as it is.
    pub concurrency: Option<u32>,
}

/// Deploys an app to this machine.
#[derive(Debug, Clone)]
pub struct DeployApp {
    /// The app.
    pub app: NewApp,
}

/// Runs the version of an app again that was deployed before.
#[derive(Debug, Clone)]
pub struct RollBackApp {
    /// The app's id.
    pub app_id: String,
}

/// Removes an app from this machine.
#[derive(Debug, Clone)]
pub struct UndeployApp {
    /// The app's id.
    pub app_id: String,
}

/// What an operation on one app decides from.
pub struct Seen {
    /// What is deployed of it, newest first.
    versions: Vec<Deployed>,
    /// What runs of it.
    running: Option<AppSpec>,
    /// Where a new one would answer.
    listen: SocketAddr,
    at: i64,
}

/// What a change of an app came to.
#[derive(Debug, Clone, Serialize)]
pub struct AppChanged {
    /// The app.
    pub app_id: String,
    /// The version that runs now; `None` = the app is not deployed any more.
    pub version: Option<String>,
    /// Where it answers on this machine.
    pub url: Option<String>,
    /// Whether anything was done.
    pub changed: bool,
}

/// A deployed app and how it is.
#[derive(Debug, Clone, Serialize)]
pub struct LocalApp {
    /// The version that shall run.
    #[serde(flatten)]
    pub deployed: Deployed,
    /// How it is; `None` = it does not run.
    pub running: Option<AppStatus>,
    /// Earlier versions, newest first.
    pub earlier: Vec<String>,
}

/// The apps that are deployed to this machine, and the records that cannot be read, in words.
///
/// # Errors
/// The agent does not answer.
pub async fn local_apps(world: &World) -> Result<(Vec<LocalApp>, Vec<String>), Error> {
    let status = world.agent.status().await?;
    let apps::Apps { current, unreadable } = apps::deployed(&world.layout);
    let app = |deployed: Deployed| {
        let id = deployed.spec.app_id.clone();
        let earlier = apps::versions(&world.layout, &id).unwrap_or_default().into_iter().skip(1);
        let running = status.as_ref().and_then(|status| status.app(&id)).cloned();
        LocalApp { deployed, running, earlier: earlier.map(|one| one.spec.version).collect() }
    };
    Ok((current.into_iter().map(app).collect(), unreadable))
}

impl Operation for DeployApp {
    const NAME: &'static str = DEPLOY_APP;
    type Seen = Seen;
    type Report = AppChanged;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        let status = running(world).await?;
        look(world, &self.app.app_id, Some(&status))
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let app = &self.app;
        let spec = spec(app, seen);
        let title = format!("Deploy {} {} to {}", app.app_id, app.version, world.layout.root().display());
        let is_current =
            seen.versions.first().is_some_and(|one| one.spec == spec && one.sha256 == app.sha256);
        if is_current && seen.running.as_ref() == Some(&spec) {
            return Ok(Plan::new(Self::NAME, title, Vec::new()));
        }
        let files = AppFiles { app_id: app.app_id.clone(), key: app.key.clone(), source: app.source.clone() };
        let mut versions = seen.versions.clone();
        let deployed = Deployed { spec: spec.clone(), sha256: app.sha256.clone(), at: seen.at };
        if !is_current {
            versions.insert(0, deployed);
            versions.truncate(KEPT);
        }
        let run = action::Apps {
            apps: vec![spec],
            before: seen.running.iter().cloned().collect(),
            check: Some(Check { ping: app.ping }),
        };
        let record = AppRecord { app_id: app.app_id.clone(), versions, before: seen.versions.clone() };
        Ok(Plan::new(Self::NAME, title, vec![files.step(), run.step(), record.step()]))
    }

    async fn report(&self, world: &World, _: Seen, changed: bool) -> Result<AppChanged, Error> {
        report(world, &self.app.app_id, changed)
    }
}

impl Operation for RollBackApp {
    const NAME: &'static str = "roll-back-app";
    type Seen = Seen;
    type Report = AppChanged;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        let status = running(world).await?;
        let seen = look(world, &self.app_id, Some(&status))?;
        match &seen.versions[..] {
            [] => Err(not_deployed(world, &self.app_id)),
            [only] => {
                let what = format!(
                    "there is no version of {} before {}: it was deployed once",
                    self.app_id, only.spec.version
                );
                Err(Error::new(Exit::Refused, what)
                    .hint(format!("`mainstay apps undeploy {} --to local` removes it", self.app_id)))
            }
            _ => Ok(seen),
        }
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let [_, earlier @ ..] = &seen.versions[..] else {
            return Err(not_deployed(world, &self.app_id));
        };
        let Some(to) = earlier.first() else { return Err(not_deployed(world, &self.app_id)) };
        let title = format!("Go back to {} {}", self.app_id, to.spec.version);
        let run = action::Apps {
            apps: vec![to.spec.clone()],
            before: seen.running.iter().cloned().collect(),
            check: Some(Check { ping: false }),
        };
        let record = AppRecord {
            app_id: self.app_id.clone(),
            versions: earlier.to_vec(),
            before: seen.versions.clone(),
        };
        Ok(Plan::new(Self::NAME, title, vec![run.step(), record.step()]))
    }

    async fn report(&self, world: &World, _: Seen, changed: bool) -> Result<AppChanged, Error> {
        report(world, &self.app_id, changed)
    }
}

impl Operation for UndeployApp {
    const NAME: &'static str = "undeploy-app";
    type Seen = Seen;
    type Report = AppChanged;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        ground(&world.layout)?;
        let status = world.agent.status().await?;
        let seen = look(world, &self.app_id, status.as_ref())?;
        match seen.versions.is_empty() && seen.running.is_none() {
            true => Err(not_deployed(world, &self.app_id)),
            false => Ok(seen),
        }
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let title = format!("Undeploy {} from {}", self.app_id, world.layout.root().display());
        let stop = seen
            .running
            .iter()
            .map(|spec| action::Apps { apps: Vec::new(), before: vec![spec.clone()], check: None }.step());
        let mut steps: Vec<_> = stop.collect();
        steps.push(AppRemoval { app_id: self.app_id.clone() }.step());
        Ok(Plan::new(Self::NAME, title, steps))
    }

    async fn report(&self, world: &World, _: Seen, changed: bool) -> Result<AppChanged, Error> {
        host::disk::remove_tree(&world.layout.unneeded())?;
        Ok(AppChanged { app_id: self.app_id.clone(), version: None, url: None, changed })
    }

    /// A removal that was asked for again goes on.
    fn recovery(&self, interrupted: &str) -> Recovery {
        match interrupted == Self::NAME {
            true => Recovery::Resume,
            false => Recovery::Undo,
        }
    }
}

/// The agent and what it runs, for what needs one.
///
/// # Errors
/// There is no deployment, it is down, or an older Mainstay runs it.
async fn running(world: &World) -> Result<Status, Error> {
    ground(&world.layout)?;
    refuse_not_installed(&world.layout)?;
    let status = world.agent.status().await?;
    let status = status.ok_or_else(|| {
        Error::not_ready("the deployment does not run, and its agent runs the apps")
            .hint("start it with `mainstay up`")
    })?;
    match status.age(world.program()) {
        Age::Older | Age::OtherBuild => {
            Err(Error::not_ready("the agent is of another Mainstay, which may not know apps")
                .hint("`mainstay up` replaces it; what runs goes on"))
        }
        Age::Same | Age::Newer => Ok(status),
    }
}

fn look(world: &World, app_id: &str, status: Option<&Status>) -> Result<Seen, Error> {
    if !is_app_id(app_id) {
        let what = format!("`{}` is not the id of an app", app_id.escape_debug());
        return Err(Error::new(Exit::Usage, what)
            .hint("`mainstay apps list --to local` shows those that are deployed"));
    }
    let versions = apps::versions(&world.layout, app_id)?;
    let running = status.and_then(|status| status.app(app_id)).map(|app| app.spec.clone());
    let listen = match versions.first() {
        Some(deployed) => deployed.spec.listen,
        None => free_address(world),
    };
    Ok(Seen { versions, running, listen, at: Timestamp::now().as_millisecond() })
}

/// An address of loopback that no deployed app has, and where nobody listens.
fn free_address(world: &World) -> SocketAddr {
    let taken: Vec<u16> =
        apps::deployed(&world.layout).current.iter().map(|deployed| deployed.spec.listen.port()).collect();
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let is_free = |port: &u16| {
        !taken.contains(port)
            && host::port::check(host::Listen { address: Some(loopback), port: *port }).is_ok()
    };
    SocketAddr::new(loopback, (FIRST_PORT..FIRST_PORT + 1000).find(is_free).unwrap_or(FIRST_PORT))
}

/// What shall run: what is asked for, and otherwise as it is.
fn spec(app: &NewApp, seen: &Seen) -> AppSpec {
    let now = seen.versions.first().map(|deployed| &deployed.spec);
    AppSpec {
        app_id: app.app_id.clone(),
        version: app.version.clone(),
        key: app.key.clone(),
        listen: app.listen.unwrap_or(seen.listen),
        from: app.from.clone().or_else(|| now.map(|now| now.from.clone())).unwrap_or_default(),
        root_url: app.root_url.clone().or_else(|| now.and_then(|now| now.root_url.clone())),
        memory: app.memory.or(now.map(|now| now.memory)).unwrap_or(512),
        timeout: app.timeout.or(now.map(|now| now.timeout)).unwrap_or(30),
        concurrency: app.concurrency.or(now.map(|now| now.concurrency)).unwrap_or(4),
    }
}

/// Removes the bundles that nothing goes back to, and reports.
fn report(world: &World, app_id: &str, changed: bool) -> Result<AppChanged, Error> {
    let versions = apps::versions(&world.layout, app_id)?;
    let dir = world.layout.app_versions(app_id);
    for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !versions.iter().any(|version| *version.spec.key == *name.to_string_lossy()) {
            host::disk::remove_tree(&dir.join(name))?;
        }
    }
    let current = versions.first().map(|deployed| &deployed.spec);
    Ok(AppChanged {
        app_id: app_id.to_owned(),
        version: current.map(|spec| spec.version.clone()),
        url: current.map(|spec| format!("http://{}", spec.listen)),
        changed,
    })
}

fn not_deployed(world: &World, app_id: &str) -> Error {
    let deployed = apps::deployed(&world.layout).current;
    let names: Vec<&str> = deployed.iter().map(|deployed| deployed.spec.app_id.as_str()).collect();
    let what = format!("{app_id} is not deployed to this machine");
    Error::not_ready(what).hint(match settings::nearest(app_id, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => {
            "no app is; `mainstay apps deploy BUNDLE --to local` deploys one".to_owned()
        }
        None => format!("these are: {}", names.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(version: &str) -> NewApp {
        NewApp {
            app_id: "com.example.hello".into(),
            version: version.into(),
            source: "/somewhere".into(),
            sha256: format!("sha-{version}"),
            key: format!("key-{version}"),
            ping: true,
            listen: None,
            from: None,
            root_url: None,
            memory: None,
            timeout: None,
            concurrency: None,
        }
    }

    fn world() -> World {
        let layout = crate::place::layout::Layout::new("/nowhere");
        World::new(layout, "/nowhere/mainstay".into(), "0.1.0", std::collections::BTreeMap::new())
    }

    fn seen(versions: Vec<Deployed>) -> Seen {
        let running = versions.first().map(|deployed| deployed.spec.clone());
        Seen { versions, running, listen: ([127, 0, 0, 1], 8091).into(), at: 5 }
    }

    fn deployed(version: &str) -> Deployed {
        let app = new(version);
        Deployed { spec: spec(&app, &seen(Vec::new())), sha256: app.sha256, at: 1 }
    }

    fn names(plan: &Plan<Action>) -> Vec<&str> {
        plan.steps.iter().map(|step| &*step.name).collect()
    }

    #[test]
    fn what_runs_already_is_not_deployed_again() {
        let plan = |app: NewApp, seen: &Seen| DeployApp { app }.plan(&world(), seen).expect("a plan");
        let before = seen(vec![deployed("1.0.0")]);
        assert!(plan(new("1.0.0"), &before).steps.is_empty());
        assert_eq!(names(&plan(new("1.1.0"), &before)), ["app-files", "apps", "app-record"]);
        let more = NewApp { memory: Some(128), ..new("1.0.0") };
        assert_eq!(names(&plan(more, &before)), ["app-files", "apps", "app-record"]);
        // Deployed, and nobody runs it.
        let stopped = Seen { running: None, ..before };
        let plan = plan(new("1.0.0"), &stopped);
        let Action::AppRecord(record) = &plan.steps[2].action else { panic!("{plan:?}") };
        assert_eq!(record.versions.len(), 1, "it is no further version");
    }

    #[test]
    fn what_is_not_said_stays_as_it_is() {
        let before = Deployed {
            spec: AppSpec {
                memory: 64,
                root_url: Some("https://x.example".into()),
                ..deployed("1.0.0").spec
            },
            ..deployed("1.0.0")
        };
        let now = spec(&new("1.1.0"), &seen(vec![before]));
        assert_eq!((now.memory, now.root_url.as_deref()), (64, Some("https://x.example")));
    }

    #[test]
    fn a_rollback_takes_the_version_before() {
        let three = seen(vec![deployed("3"), deployed("2"), deployed("1")]);
        let plan = RollBackApp { app_id: "com.example.hello".into() }.plan(&world(), &three).expect("a plan");
        let Action::Apps(run) = &plan.steps[0].action else { panic!("{plan:?}") };
        assert_eq!((&*run.apps[0].version, &*run.before[0].version), ("2", "3"));
        let Action::AppRecord(record) = &plan.steps[1].action else { panic!("{plan:?}") };
        assert_eq!(record.versions.len(), 2);
    }
}
