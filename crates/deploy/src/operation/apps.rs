//! `apps deploy --to local`, `rollback` and `undeploy`: an app as a part that the agent runs.
//!
//! A deployment copies the bundle beside those before it, runs it in place of the version before, and proves that it answers. A
//! failure runs the version before again. Nothing of another app is touched.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ::apps::is_app_id;
use jiff::Timestamp;
use plan::{Plan, Recovery};
use serde::Serialize;

use super::new_app::NewApp;
use super::runner::{Looking, Operation};
use super::verify::refuse_not_installed;
use crate::action::{self, Action, AppFiles, AppRecord, AppRemoval, Check};
use crate::control::app::AppSpec;
use crate::control::program::Age;
use crate::control::protocol::Status;
use crate::error::{Error, Exit};
use crate::place::ground::ground;
use crate::state::apps::{self, Deployed, KEPT};
use crate::state::words::{DEPLOY_APP, ROLL_BACK_APP, UNDEPLOY_APP};
use crate::world::World;

/// The first port that is looked at for an app that names none.
const FIRST_PORT: u16 = 8090;

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
    /// Whether nothing at all is there of it.
    is_new: bool,
    /// Whether it has a record, which may be one that cannot be read.
    is_recorded: bool,
    /// Whether the interrupted run that was just brought to its end did what is asked for.
    is_done: bool,
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

impl Operation for DeployApp {
    const NAME: &'static str = DEPLOY_APP;
    type Seen = Seen;
    type Report = AppChanged;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        let status = running(world).await?;
        let seen = look(world, &self.app.app_id, Some(&status))?;
        let listen = spec(&self.app, &seen).listen;
        if seen.running.as_ref().is_none_or(|running| running.listen != listen) {
            host::port::check(listen.into())?;
        }
        Ok(seen)
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let app = &self.app;
        let spec = spec(app, seen);
        let mut title = format!("Deploy {} {} to {}", app.app_id, app.version, world.layout.root().display());
        if let Some(other) = other_app(app, &seen.versions) {
            title.push_str(&format!(", in place of {other}"));
        }
        let is_current =
            seen.versions.first().is_some_and(|one| one.spec == spec && one.sha256 == app.sha256);
        if is_current && seen.running.as_ref() == Some(&spec) {
            return Ok(Plan::new(Self::NAME, title, Vec::new()));
        }
        let files = AppFiles {
            app_id: app.app_id.clone(),
            key: app.key.clone(),
            source: app.source.clone(),
            is_new: seen.is_new,
        };
        let mut versions = seen.versions.clone();
        let deployed = Deployed {
            spec: spec.clone(),
            sha256: app.sha256.clone(),
            at: seen.at,
            about: Some(app.about.clone()),
        };
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
    const NAME: &'static str = ROLL_BACK_APP;
    type Seen = Seen;
    type Report = AppChanged;

    async fn look(&self, world: &World, looking: Looking<'_>) -> Result<Seen, Error> {
        let status = running(world).await?;
        let mut seen = look(world, &self.app_id, Some(&status))?;
        seen.is_done = looking.recovered.is_some_and(|run| went_back(&run.plan, run.finished, &self.app_id));
        match &seen.versions[..] {
            _ if seen.is_done => Ok(seen),
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
        if seen.is_done {
            return Ok(Plan::new(Self::NAME, format!("Go back with {}", self.app_id), Vec::new()));
        }
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

    async fn report(&self, world: &World, seen: Seen, changed: bool) -> Result<AppChanged, Error> {
        report(world, &self.app_id, changed || seen.is_done)
    }
}

impl Operation for UndeployApp {
    const NAME: &'static str = UNDEPLOY_APP;
    type Seen = Seen;
    type Report = AppChanged;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        ground(&world.layout)?;
        refuse_no_id(&self.app_id)?;
        let status = world.agent.status().await?;
        // An app whose record is damaged can be removed: nothing else gets rid of it.
        let versions = apps::versions(&world.layout, &self.app_id).unwrap_or_default();
        Ok(seen(world, &self.app_id, status.as_ref(), versions))
    }

    /// What is removed already needs no removal.
    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let title = format!("Undeploy {} from {}", self.app_id, world.layout.root().display());
        if !seen.is_recorded && seen.running.is_none() {
            return Ok(Plan::new(Self::NAME, title, Vec::new()));
        }
        let stop = seen
            .running
            .iter()
            .map(|spec| action::Apps { apps: Vec::new(), before: vec![spec.clone()], check: None }.step());
        let mut steps: Vec<_> = stop.collect();
        steps.push(AppRemoval { app_id: self.app_id.clone() }.step());
        Ok(Plan::new(Self::NAME, title, steps))
    }

    async fn report(&self, world: &World, _: Seen, changed: bool) -> Result<AppChanged, Error> {
        if changed {
            host::disk::remove_tree(&world.layout.unneeded())?;
        }
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
    refuse_no_id(app_id)?;
    Ok(seen(world, app_id, status, apps::versions(&world.layout, app_id)?))
}

fn refuse_no_id(app_id: &str) -> Result<(), Error> {
    if is_app_id(app_id) {
        return Ok(());
    }
    let what = format!("`{}` is not the id of an app", app_id.escape_debug());
    Err(Error::new(Exit::Usage, what).hint("`mainstay apps list --to local` shows those that are deployed"))
}

/// What there is of an app whose record says these versions.
fn seen(world: &World, app_id: &str, status: Option<&Status>, versions: Vec<Deployed>) -> Seen {
    let running = status.and_then(|status| status.app(app_id)).map(|app| app.spec.clone());
    let listen = match versions.first() {
        Some(deployed) => deployed.spec.listen,
        None => free_address(world),
    };
    let is_new = world.layout.apps().join(app_id).symlink_metadata().is_err();
    let is_recorded = world.layout.app_record(app_id).exists();
    let at = Timestamp::now().as_millisecond();
    Seen { versions, running, listen, is_new, is_recorded, is_done: false, at }
}

/// Whether this run ended with the version before: it was a rollback that was finished, or a deployment that was taken back.
fn went_back(run: &Plan<Action>, finished: bool, app_id: &str) -> bool {
    let is_about = run.steps.iter().any(|step| match &step.action {
        Action::AppRecord(record) => record.app_id == app_id,
        _ => false,
    });
    let is_back = match run.operation.as_str() {
        ROLL_BACK_APP => finished,
        DEPLOY_APP => !finished,
        _ => false,
    };
    is_about && is_back
}

/// The app that a deployment of `app` would replace, in words, if it is another app that has the same id.
fn other_app(app: &NewApp, versions: &[Deployed]) -> Option<String> {
    let now = versions.first()?;
    now.about.as_ref()?.replaced_by(&app.about, [&now.spec.version, &app.version])
}

/// The app that a deployment of `app` would replace, in words, if it is another app that has the same id.
///
/// # Errors
/// The record of what is deployed cannot be read.
pub fn replaced_app(world: &World, app: &NewApp) -> Result<Option<String>, Error> {
    Ok(other_app(app, &apps::versions(&world.layout, &app.app_id)?))
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
    use ::apps::About;

    use super::*;

    fn new(version: &str) -> NewApp {
        NewApp {
            app_id: "com.example.hello".into(),
            version: version.into(),
            about: about("Hello", "https://example.com/hello"),
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

    fn about(name: &str, homepage: &str) -> About {
        About { display_name: name.into(), homepage_url: homepage.into() }
    }

    fn world() -> World {
        let layout = crate::place::layout::Layout::new("/nowhere");
        World::new(layout, "/nowhere/mainstay".into(), "0.1.0", std::collections::BTreeMap::new())
    }

    fn seen(versions: Vec<Deployed>) -> Seen {
        let running = versions.first().map(|deployed| deployed.spec.clone());
        let listen = ([127, 0, 0, 1], 8091).into();
        let is_recorded = !versions.is_empty();
        Seen { is_new: !is_recorded, is_recorded, versions, running, listen, is_done: false, at: 5 }
    }

    fn deployed(version: &str) -> Deployed {
        let app = new(version);
        Deployed { spec: spec(&app, &seen(Vec::new())), sha256: app.sha256, at: 1, about: Some(app.about) }
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

    #[test]
    fn what_has_a_record_is_removed_even_if_nobody_can_read_it() {
        let undeploy = UndeployApp { app_id: "com.example.hello".into() };
        let plan = |seen: &Seen| undeploy.plan(&world(), seen).expect("a plan");
        assert!(plan(&seen(Vec::new())).steps.is_empty());
        let damaged = Seen { is_recorded: true, ..seen(Vec::new()) };
        assert_eq!(names(&plan(&damaged)), ["app-removal"]);
        let running = Some(deployed("1").spec);
        assert_eq!(names(&plan(&Seen { running, ..damaged })), ["stop-apps", "app-removal"]);
    }

    #[test]
    fn an_interrupted_run_that_went_back_counts_as_the_rollback() {
        let before = seen(vec![deployed("2"), deployed("1")]);
        let (id, other) = ("com.example.hello", "com.example.other");
        let back = RollBackApp { app_id: id.into() }.plan(&world(), &before).expect("a plan");
        let deploy = DeployApp { app: new("3") }.plan(&world(), &before).expect("a plan");
        assert!(went_back(&back, true, id), "it is finished");
        assert!(!went_back(&back, false, id), "it was undone");
        assert!(!went_back(&back, true, other));
        assert!(went_back(&deploy, false, id), "it was taken back");
        assert!(!went_back(&deploy, true, id));
        let done = Seen { is_done: true, ..before };
        let plan = RollBackApp { app_id: id.into() }.plan(&world(), &done).expect("a plan");
        assert!(plan.steps.is_empty());
    }

    #[test]
    fn the_plan_names_the_other_app_that_it_replaces() {
        let now = [deployed("1.0.0")];
        let with = |homepage: &str| NewApp { about: about("Other", homepage), ..new("2.0.0") };
        assert_eq!(other_app(&with("https://example.com"), &now), None);
        let unknown = [Deployed { about: None, ..deployed("1.0.0") }];
        assert_eq!(other_app(&with("https://example.org"), &unknown), None, "nobody knows whose it was");
        let plan = DeployApp { app: with("https://example.org") }
            .plan(&world(), &seen(now.to_vec()))
            .expect("a plan");
        assert!(plan.title.contains("in place of another app of this id: `Hello` 1.0.0"), "{}", plan.title);
    }
}
