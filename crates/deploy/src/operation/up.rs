//! `up`: from whatever is there to a verified deployment.
//!
//! [`observe`] looks, [`plan_up`] decides (data to data), the engine does. What is already as it should be gets no step, so a second
//! `up` has an empty plan.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use plan::{Plan, Step};
use release::ReleaseId;
use serde::Serialize;
use settings::Notice;
use tokio_util::sync::CancellationToken;

use crate::action::{
    AcceptanceTest, Action, Activation, Administrator, Agent, Configuration, Directories, Edge, Schedule,
    Secrets, Server, Switch, SystemUser, Unpacking, VolumeVersion, WantedFile,
};
use crate::control::protocol::{ServerSpec, Status, entries};
use crate::error::{Error, Kind};
use crate::operation::runner::{Caller, Turn, refuse_newer};
use crate::part::database::readiness::Patience;
use crate::part::database::steps as database_steps;
use crate::part::observed::{ConfigChange, Observed, observe};
use crate::part::preflight;
use crate::place::ground::ground;
use crate::place::layout::Layout;
use crate::state::creation::Creation;
use crate::state::desired::{Desired, reachable};
use crate::state::settled::{Settled, settle};
use crate::world::World;

/// What `up` is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Keys of `mainstay.toml` given on the command line.
    pub flags: BTreeMap<&'static str, String>,
    /// The tarball to install from, if not the embedded default.
    pub tarball: Option<PathBuf>,
    /// How long to wait for a database server; `None` = 10 s.
    pub wait: Option<Duration>,
    /// Create user and database if they are missing, as the administrator whose login is there.
    pub creation: Option<Creation>,
}

/// How long a database server is waited for on a host, where it is started before us or not at all.
const WAIT: Duration = Duration::from_secs(10);

/// What `up` came to.
#[derive(Debug, Clone, Serialize)]
pub struct Up {
    /// Whether anything had to be changed.
    pub changed: bool,
    /// The deployment's directory.
    pub dir: PathBuf,
    /// The address people type.
    pub url: String,
    /// Where the edge answers.
    pub listen: SocketAddr,
    /// The active release.
    pub release: String,
    /// The administrator's user name, when this `up` created the account.
    pub administrator: Option<String>,
    /// When the acceptance test last passed, in ms since the epoch.
    pub verified_at: Option<i64>,
    /// Settings that are right and do not do what they say.
    pub notices: Vec<Notice>,
    /// What works and yet is not as it should be.
    pub warnings: Vec<String>,
}

/// The plan that `up` would run, without running it. Changes nothing.
///
/// # Errors
/// What [`up`] would refuse before its first step.
pub async fn planned(world: &World, request: &Request) -> Result<Plan<Action>, Error> {
    Ok(prepare(world, request, silent(&mut ())).await?.plan)
}

/// Brings the deployment up.
///
/// # Errors
/// The machine is not ready, a setting is wrong (nothing has been changed then); or a step failed (everything is undone then).
pub async fn up(world: &World, request: &Request, mut caller: Caller<'_>) -> Result<Up, Error> {
    // First without a trace: what is refused here leaves not even a directory.
    let refused = prepare(world, request, patience(request, &mut caller)).await.err();
    // Unless the machine lacks only what a run that was interrupted would bring about: the database that it was to create.
    let interrupted = |error: &Error| error.kind == Kind::NotReady && world.layout.journal().exists();
    let refused = match refused {
        Some(error) if !interrupted(&error) => return Err(error),
        refused => refused,
    };
    let turn = Turn::take(&world.layout, "up", &caller).await?;
    if let Some(error) = refused
        && !turn.is_unfinished().await?
    {
        return Err(error);
    }
    turn.recover(world, &mut caller).await?;
    let Prepared { plan, desired, notices, warnings, .. } =
        prepare(world, request, patience(request, &mut caller)).await?;
    let created = plan.steps.iter().any(|step| matches!(step.action, Action::Secrets(_)));
    if !plan.steps.is_empty() {
        turn.run(&plan, world, &mut caller).await?;
    }
    let status = world.agent.status().await?;
    let release = status
        .as_ref()
        .and_then(|status| status.server())
        .map(|server| release::name_of(&server.spec.release));
    Ok(Up {
        changed: !plan.steps.is_empty(),
        dir: world.layout.root().to_owned(),
        url: desired.site_url_text().to_owned(),
        listen: desired.listen,
        release: release.unwrap_or_default(),
        administrator: created.then(|| world.secrets().map(|secrets| secrets.admin_name)).transpose()?,
        verified_at: crate::operation::verify::last_pass(&world.layout),
        notices,
        warnings,
    })
}

/// A plan, and what it was made for.
pub(crate) struct Prepared {
    pub plan: Plan<Action>,
    pub desired: Desired,
    pub release: ReleaseId,
    notices: Vec<Notice>,
    warnings: Vec<String>,
}

/// The patience of somebody who only wants to see a plan: it cannot be broken off, so it is short.
pub(crate) fn silent(nobody: &mut ()) -> Patience<'_> {
    Patience { wait: Duration::ZERO, reader: nobody, cancel: CancellationToken::new() }
}

pub(crate) fn patience<'a>(request: &Request, caller: &'a mut Caller<'_>) -> Patience<'a> {
    let cancel = caller.cancel.clone();
    Patience { wait: request.wait.unwrap_or(WAIT), reader: &mut *caller.reader, cancel }
}

pub(crate) async fn prepare(
    world: &World,
    request: &Request,
    mut patience: Patience<'_>,
) -> Result<Prepared, Error> {
    let layout = &world.layout;
    ground(layout)?;
    refuse_newer(world).await?;
    let settled = settle(world, &request.flags, request.tarball.as_deref())?;
    let observed = observe(world, &settled, request.creation.as_ref(), &mut patience).await?;
    preflight::check(layout, &settled, &observed)?;
    let plan = plan_up(layout, &settled, request, &observed)?;
    let (notices, warnings) = (settled.resolved.notices().to_vec(), observed.warnings);
    Ok(Prepared { plan, notices, warnings, desired: settled.desired, release: settled.release })
}

/// What has to be done. Pure: the same observation gives the same plan.
fn plan_up(
    layout: &Layout,
    settled: &Settled,
    request: &Request,
    observed: &Observed,
) -> Result<Plan<Action>, Error> {
    let Settled { desired, release, .. } = settled;
    let replaced = observed.current.as_ref().filter(|current| *current != release);
    if let Some(current) = replaced.filter(|_| !layout.is_container()) {
        return Err(Error::new(
            Kind::Refused,
            format!("{current} is installed here, and {release} is asked for"),
        )
        .hint(
            "`up` never changes the release; install the other one in a directory of its own with `--dir`",
        ));
    }
    database_steps::check_moved(settled, observed)?;
    let mut steps = Steps::default();
    if let Some(handover) = observed.handover.clone() {
        steps.add("hand-over", handover.title(), None, 200, handover);
    }
    let user = desired.user.clone();
    if let Some(name) = user.clone().filter(|_| !observed.user) {
        steps.add(
            "system-user",
            format!("Create the system user {name}"),
            Some("Delete the user"),
            100,
            SystemUser { name },
        );
    }
    if !observed.missing.is_empty() {
        let action = Directories { user: user.clone(), missing: observed.missing.clone() };
        steps.add(
            "directories",
            format!("Create the directories in {}", layout.root().display()),
            Some("Remove them"),
            10,
            action,
        );
    }
    let changes = wanted_changes(settled, layout, &request.flags);
    if !changes.is_empty() {
        let action = WantedFile { changes, replaces: settled.file.is_some() };
        steps.add("mainstay-toml", "Write mainstay.toml", Some("Put it back as it was"), 10, action);
    }
    if !observed.secrets {
        let action = Secrets { admin_name: "admin".to_owned() };
        steps.add("secrets", "Generate the secrets", Some("Remove them"), 10, action);
    }
    if !observed.releases.contains(release) {
        let action = Unpacking { release: release.clone(), tarball: request.tarball.clone() };
        steps.add("release", format!("Unpack {release}"), Some("Remove it"), 300, action);
    }
    let server = observed.agent.as_ref().and_then(|status| status.server());
    let spec = ServerSpec {
        release: layout.releases().join(release.to_string()),
        user: user.clone(),
        listen: observed.listen,
        overrides: BTreeMap::new(),
    };
    let reconfigured = matches!(observed.config, ConfigChange::New | ConfigChange::Changes);
    let running = server.filter(|server| !reconfigured && observed.healthy && server.spec == spec);
    if let Some(server) = server.filter(|_| running.is_none()) {
        steps.add(
            "stop-server",
            "Stop the server",
            Some("Start it again"),
            500,
            Server { switch: Switch::Off, spec: server.spec.clone() },
        );
    }
    if observed.config != ConfigChange::Stays {
        let action = Configuration {
            release: release.clone(),
            listen: spec.listen,
            user: user.clone(),
            replaces: observed.config != ConfigChange::New,
            remembers: settled.config.memory.is_some(),
            only_remembers: !reconfigured,
            undeclared_goes_back: true,
        };
        let title = if reconfigured { "Write config.json" } else { "Remember what is declared" };
        steps.add("configuration", title, Some("Put it back as it was"), 10, action);
    }
    database_steps::add_steps(settled, request, observed, &mut steps);
    if observed.current.as_ref() != Some(release) {
        let undo = if replaced.is_some() { "Point back" } else { "Remove the link" };
        let action = Activation { release: release.clone(), before: replaced.cloned() };
        steps.add("activation", format!("Make {release} current"), Some(undo), 10, action);
    }
    if observed.agent.is_none() {
        steps.add("agent", "Start the agent", Some("Stop it"), 50, Agent { switch: Switch::On });
    }
    if running.is_none() {
        steps.add(
            "server",
            "Start the server",
            Some("Stop it"),
            300,
            Server { switch: Switch::On, spec: spec.clone() },
        );
    }
    if running.is_none() {
        let action = Administrator { listen: spec.listen, email: admin_email(desired) };
        steps.add("administrator", "Look after the administrator", None, 300, action);
    }
    let before = observed.agent.as_ref().and_then(|status| status.edge()).map(|edge| edge.spec.clone());
    let spec = Some(desired.edge());
    if before != spec {
        let title = format!("Open the edge at {}", desired.listen);
        let undo = if before.is_some() { "Open it as before" } else { "Close it" };
        steps.add("edge", title, Some(undo), 10, Edge { spec, before });
    }
    let before = observed.agent.as_ref().map(Status::scheduled).unwrap_or_default();
    let entries = entries(&desired.wanted.schedule);
    if before != entries {
        steps.add("schedule", "Set the schedule", Some("Set it as before"), 10, Schedule { entries, before });
    }
    if !steps.0.is_empty() {
        let action = AcceptanceTest { site_url: desired.site_url.clone(), edge: reachable(desired.listen) };
        steps.add("acceptance", format!("Test it as {}", desired.site_url_text()), None, 1500, action);
    }
    if let Some(change) = &observed.volume {
        let (version, before) = (release.version.clone(), change.before.clone());
        let action = VolumeVersion { version, before };
        steps.add(
            "volume-version",
            "Say in VERSION which server uses the volume",
            Some("Put it back"),
            10,
            action,
        );
    }
    let title = if observed.current.is_none() { "Install" } else { "Bring up" };
    Ok(Plan {
        operation: "up".to_owned(),
        title: format!("{title} {release} in {}", layout.root().display()),
        steps: steps.0,
    })
}

#[derive(Default)]
pub(crate) struct Steps(pub Vec<Step<Action>>);

impl Steps {
    pub(crate) fn add(
        &mut self,
        name: &str,
        title: impl Into<String>,
        undo: Option<&str>,
        ms: u64,
        action: impl Into<Action>,
    ) {
        self.0.push(Step {
            name: name.to_owned(),
            title: title.into(),
            undo: undo.map(str::to_owned),
            estimate: Duration::from_millis(ms),
            action: action.into(),
        });
    }
}

/// The keys of `mainstay.toml` that must be written.
fn wanted_changes(
    settled: &Settled,
    layout: &Layout,
    flags: &BTreeMap<&'static str, String>,
) -> BTreeMap<String, String> {
    let Settled { desired, file, .. } = settled;
    let mut changes: BTreeMap<String, String> = BTreeMap::new();
    // In a container image and environment decide, each time anew.
    if file.is_none() && !layout.is_container() {
        // A first file says what was decided, so that a later default does not move a deployment.
        changes.insert("edition".to_owned(), desired.edition.to_string());
        changes.insert("listen".to_owned(), desired.listen.to_string());
        changes.insert("site_url".to_owned(), desired.site_url_text().to_owned());
        changes.extend(desired.user.iter().map(|user| ("user".to_owned(), user.clone())));
    }
    for key in flags.keys().copied().chain(settled.moved.then_some("site_url")) {
        let value = desired.wanted.get(key).unwrap_or_default();
        if file.as_ref().is_none_or(|file| file.get(key) != Some(value)) {
            changes.insert(key.to_owned(), value.to_owned());
        }
    }
    changes
}

/// A mail address for the first administrator: at the site's own host where that can have one.
fn admin_email(desired: &Desired) -> String {
    match desired.site_url.domain() {
        Some(domain) if domain.contains('.') => format!("admin@{domain}"),
        _ => "admin@localhost".to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use settings::{Defaults, Sources, Wanted};

    use super::*;
    use crate::control::protocol::{EdgeStatus, PartStatus, ServerStatus, Status};
    use crate::place::container::VersionChange;
    use crate::state::config_file::ConfigFiles;
    use crate::state::desired::Machine;

    fn layout() -> Layout {
        Layout::new("/srv/chat")
    }

    pub(crate) fn settled(root: bool, file: Option<Wanted>) -> Settled {
        let machine = Machine { root, ..Machine::here(&layout(), root) };
        let desired =
            Desired::decide(&Wanted::default(), &BTreeMap::new(), &machine).expect("the defaults are valid");
        let none = BTreeMap::new();
        let sources = Sources {
            defaults: Defaults::Release,
            secrets: None,
            wanted: None,
            environment: &none,
            flags: &none,
            site_url: None,
            read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        let version = "11.6".parse().expect("a version");
        let resolved = settings::resolve(version, &sources).expect("nothing is said");
        Settled {
            desired,
            resolved,
            release: release::builtin(),
            file,
            location: crate::state::location::Location::File,
            config: ConfigFiles { config: None, shipped: serde_json::json!({}), memory: None },
            before: None,
            moved: false,
        }
    }

    fn plan(observed: &Observed, root: bool) -> Plan<Action> {
        let file = observed.current.is_some().then(Wanted::default);
        plan_up(&layout(), &settled(root, file), &Request::default(), observed).expect("a plan")
    }

    fn names(plan: &Plan<Action>) -> Vec<&str> {
        plan.steps.iter().map(|step| step.name.as_str()).collect()
    }

    fn listen() -> SocketAddr {
        "127.0.0.1:18065".parse().expect("an address")
    }

    pub(crate) fn nothing() -> Observed {
        Observed {
            missing: vec!["data".to_owned()],
            secrets: false,
            user: true,
            releases: Vec::new(),
            current: None,
            listen: listen(),
            config: ConfigChange::New,
            database: false,
            lacking: None,
            warnings: Vec::new(),
            agent: None,
            handover: None,
            healthy: false,
            volume: None,
        }
    }

    /// Everything as a finished `up` leaves it.
    pub(crate) fn finished() -> Observed {
        let release = layout().releases().join(release::builtin().to_string());
        let spec = ServerSpec { release, user: None, listen: listen(), overrides: BTreeMap::new() };
        let server = ServerStatus { spec, pid: Some(1), restarts: 0, last_exit: None };
        let spec_of_edge = settled(false, None).desired.edge();
        let edge =
            EdgeStatus { spec: spec_of_edge, connections: 0, websockets: 0, requests: 0, upstream_errors: 0 };
        Observed {
            missing: Vec::new(),
            secrets: true,
            releases: vec![release::builtin()],
            current: Some(release::builtin()),
            config: ConfigChange::Stays,
            database: true,
            agent: Some(Status {
                agent_pid: 1,
                since: 0,
                version: Some("0.1.0".to_owned()),
                protocol: 2,
                schedule: Vec::new(),
                parts: [
                    ("server".to_owned(), PartStatus::Server(server)),
                    ("edge".to_owned(), PartStatus::Edge(edge)),
                ]
                .into(),
            }),
            handover: None,
            healthy: true,
            ..nothing()
        }
    }

    #[test]
    fn a_fresh_installation_opens_the_edge_after_the_administrator_and_ends_with_the_test() {
        let plan = plan(&nothing(), false);
        let expected = [
            "directories",
            "mainstay-toml",
            "secrets",
            "release",
            "configuration",
            "database",
            "activation",
            "agent",
            "server",
            "administrator",
            "edge",
            "acceptance",
        ];
        assert_eq!(names(&plan), expected);
        plan.check().expect("a plan the engine takes");
    }

    #[test]
    fn root_makes_a_user_once() {
        let missing = Observed { user: false, ..nothing() };
        assert_eq!(names(&plan(&missing, true))[0], "system-user");
        assert_eq!(names(&plan(&nothing(), true))[0], "directories");
    }

    #[test]
    fn what_is_as_it_should_be_gets_no_step() {
        assert_eq!(names(&plan(&finished(), false)), Vec::<&str>::new());
    }

    #[test]
    fn a_changed_setting_stops_the_server_before_it_is_written() {
        let observed = Observed { config: ConfigChange::Changes, ..finished() };
        let expected = ["stop-server", "configuration", "server", "administrator", "acceptance"];
        assert_eq!(names(&plan(&observed, false)), expected);
    }

    #[test]
    fn a_stopped_deployment_is_started_and_nothing_is_made_again() {
        let observed = Observed { agent: None, healthy: false, ..finished() };
        assert_eq!(
            names(&plan(&observed, false)),
            ["agent", "server", "administrator", "edge", "acceptance"]
        );
    }

    #[test]
    fn a_sick_server_is_started_anew() {
        let observed = Observed { healthy: false, ..finished() };
        assert_eq!(names(&plan(&observed, false)), ["stop-server", "server", "administrator", "acceptance"]);
    }

    #[test]
    fn in_a_container_another_release_is_migrated_to_and_said_in_the_volume() {
        let other: ReleaseId = "11.5.0+0.1.0-builtin".parse().expect("a release");
        let volume = Some(VersionChange { before: Some("11.5.0+0.1.0\n".to_owned()) });
        let observed = Observed { current: Some(other), agent: None, healthy: false, volume, ..finished() };
        let plan = plan_up(&Layout::container(), &settled(false, None), &Request::default(), &observed);
        let plan = plan.expect("a plan");
        let expected = [
            "migration",
            "activation",
            "agent",
            "server",
            "administrator",
            "edge",
            "acceptance",
            "volume-version",
        ];
        assert_eq!(names(&plan), expected);
    }

    #[test]
    fn another_release_is_an_upgrade_and_refused() {
        let other: ReleaseId = "11.7.15-team".parse().expect("a release");
        let observed = Observed { current: Some(other), ..finished() };
        let refused = plan_up(&layout(), &settled(false, None), &Request::default(), &observed);
        assert_eq!(refused.expect_err("refused").kind, Kind::Refused);
    }
}
