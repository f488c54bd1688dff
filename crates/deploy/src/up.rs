//! `up`: from whatever is there to a verified deployment.
//!
//! [`observe`] looks, [`plan_up`] decides (data to data), the engine does. What is already as it should be gets no step, so a second
//! `up` has an empty plan.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use plan::{Plan, Step};
use release::{Edition, ReleaseId, Version};
use serde::Serialize;
use settings::{Notice, Resolved};

use crate::action::{
    AcceptanceTest, Action, Activation, Administrator, Agent, Configuration, Database, Directories, Edge,
    Leftovers, Secrets, Server, SystemUser, Turn, Unpacking, WantedFile, World, differs,
};
use crate::agent::{ServerSpec, Status};
use crate::deployment::{self, Caller, ground, read_wanted};
use crate::desired::{Desired, Machine, reachable};
use crate::error::{Error, Kind};
use crate::layout::Layout;
use crate::preflight;
use crate::settled::settings_of;

/// What `up` is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Keys of `mainstay.toml` given on the command line.
    pub flags: BTreeMap<&'static str, String>,
    /// The tarball to install from, if not the embedded default.
    pub tarball: Option<PathBuf>,
}

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
}

/// What is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// Directories of the layout that are missing.
    pub missing: Vec<String>,
    /// The text of `mainstay.toml`.
    pub wanted: Option<String>,
    /// Whether `secrets.toml` is there.
    pub secrets: bool,
    /// Whether the system user is there, where one is wanted.
    pub user: bool,
    /// The unpacked releases.
    pub releases: Vec<ReleaseId>,
    /// The active one.
    pub current: Option<ReleaseId>,
    /// Whether config.json would change; `None` when there is none.
    pub config_differs: Option<bool>,
    /// Whether there is a database that is ours.
    pub database: bool,
    /// The agent, if it runs.
    pub agent: Option<Status>,
    /// Whether its server is well.
    pub healthy: bool,
}

/// The plan that `up` would run, without running it. Changes nothing.
///
/// # Errors
/// What [`up`] would refuse before its first step.
pub async fn planned(world: &World, request: &Request) -> Result<Plan<Action>, Error> {
    Ok(prepare(world, request).await?.plan)
}

/// Brings the deployment up.
///
/// # Errors
/// The machine is not ready, a setting is wrong (nothing has been changed then); or a step failed (everything is undone then).
pub async fn up(world: &World, request: &Request, mut caller: Caller<'_>) -> Result<Up, Error> {
    // First without a trace: what is refused here leaves not even a directory.
    prepare(world, request).await?;
    let turn = deployment::Turn::take(&world.layout, "up", &caller).await?;
    turn.recover(world, &mut caller).await?;
    let Prepared { plan, desired, notices } = prepare(world, request).await?;
    let created = plan.steps.iter().any(|step| matches!(step.action, Action::Administrator(_)));
    if !plan.steps.is_empty() {
        turn.run(&plan, world, &mut caller).await?;
    }
    let status = world.agent.status().await?;
    let release =
        status.and_then(|status| status.server).map(|server| release::name_of(&server.spec.release));
    Ok(Up {
        changed: !plan.steps.is_empty(),
        dir: world.layout.root().to_owned(),
        url: desired.site_url_text().to_owned(),
        listen: desired.listen,
        release: release.unwrap_or_default(),
        administrator: created
            .then(|| crate::action::secrets(world).map(|secrets| secrets.admin_name))
            .transpose()?,
        verified_at: crate::verify::last_pass(&world.layout),
        notices,
    })
}

/// A plan, and what it was made for.
struct Prepared {
    plan: Plan<Action>,
    desired: Desired,
    notices: Vec<Notice>,
}

async fn prepare(world: &World, request: &Request) -> Result<Prepared, Error> {
    let layout = &world.layout;
    ground(layout)?;
    let file = read_wanted(layout)?;
    let machine = Machine { root: host::User::current()?.is_root(), host_name: crate::machine::host_name() };
    let desired = Desired::decide(
        &file.as_ref().map(|(wanted, _)| wanted.clone()).unwrap_or_default(),
        &request.flags,
        &machine,
    )?;
    let release = wanted_release(&desired, request)?;
    let resolved = settings_of(world, &desired.wanted, &release.version)?;
    // A flag outranks the environment, which outranks the file.
    let desired = if request.flags.contains_key("site_url") { desired } else { desired.given(&resolved)? };
    let observed = observe(world, &desired, &resolved, file.map(|(_, text)| text)).await?;
    preflight::check(layout, &desired, observed.agent.as_ref())?;
    let plan = plan_up(layout, &desired, &release, request, &observed)?;
    Ok(Prepared { plan, desired, notices: resolved.notices().to_vec() })
}

/// Which release is asked for.
fn wanted_release(desired: &Desired, request: &Request) -> Result<ReleaseId, Error> {
    let builtin = release::builtin();
    if let Some(tarball) = &request.tarball {
        return Ok(release::identify(tarball)?);
    }
    if desired.edition != Edition::Builtin {
        return Err(Error::new(Kind::Refused, format!("edition `{}` needs a tarball", desired.edition))
            .hint("name one with `--release FILE`, or leave `edition` out for the built-in server"));
    }
    let Some(version) = &desired.version else { return Ok(builtin) };
    let wanted: Version = version.parse()?;
    let same_build = wanted.build.is_none() || wanted.build == builtin.version.build;
    if wanted.numbers() == builtin.version.numbers() && same_build {
        return Ok(builtin);
    }
    Err(Error::new(
        Kind::Refused,
        format!("the built-in server is version {}, not {version}", builtin.version),
    )
    .hint("leave `version` out of mainstay.toml"))
}

async fn observe(
    world: &World,
    desired: &Desired,
    resolved: &Resolved,
    wanted: Option<String>,
) -> Result<Observed, Error> {
    let layout = &world.layout;
    let agent = world.agent.status().await?;
    let server = agent.as_ref().and_then(|status| status.server.as_ref());
    let listen = server_listen(layout, agent.as_ref());
    let healthy = match server {
        Some(server) => {
            let client = crate::agent::health::client(Duration::from_secs(5))?;
            crate::agent::health::ask(&client, server.spec.listen).await.is_ok()
        }
        None => false,
    };
    Ok(Observed {
        missing: Directories::missing(layout),
        wanted,
        secrets: layout.secrets().exists(),
        user: match &desired.user {
            Some(user) => host::User::named(user).is_ok(),
            None => true,
        },
        releases: release::installed(&layout.releases())?,
        current: release::current(&layout.current()),
        config_differs: differs(layout, resolved, desired, listen)?,
        database: layout.sqlite().exists(),
        agent,
        healthy,
    })
}

/// Where the server listens, or will: kept while it runs, otherwise a free port of loopback.
///
/// Below the kernel's range for outgoing connections, so that none of those can take it while the server restarts. Each directory begins to
/// look at a place of its own, so that two deployments that start at once do not find the same one.
pub(crate) fn server_listen(layout: &Layout, agent: Option<&Status>) -> SocketAddr {
    const FIRST: u16 = 18_065;
    const PORTS: u16 = 8_000;
    if let Some(server) = agent.and_then(|status| status.server.as_ref()) {
        return server.spec.listen;
    }
    let mut hasher = DefaultHasher::new();
    layout.root().hash(&mut hasher);
    let begin = (hasher.finish() % u64::from(PORTS)) as u16;
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut ports = (0..PORTS).map(|step| FIRST + (begin + step) % PORTS);
    let free = |port: &u16| host::Listen { address: Some(loopback), port: *port }.check().is_ok();
    SocketAddr::new(loopback, ports.find(free).unwrap_or(FIRST))
}

/// What has to be done. Pure: the same observation gives the same plan.
fn plan_up(
    layout: &Layout,
    desired: &Desired,
    release: &ReleaseId,
    request: &Request,
    observed: &Observed,
) -> Result<Plan<Action>, Error> {
    if let Some(current) = observed.current.as_ref().filter(|current| *current != release) {
        return Err(Error::new(
            Kind::Refused,
            format!("{current} is installed here, and {release} is asked for"),
        )
        .hint("`up` never changes the release; use `mainstay upgrade`"));
    }
    let mut steps = Steps::default();
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
    if let Some(text) = wanted_text(layout, desired, request, observed.wanted.as_deref())? {
        let action = WantedFile { text, replaces: observed.wanted.is_some() };
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
    let server = observed.agent.as_ref().and_then(|status| status.server.as_ref());
    let spec = ServerSpec {
        release: layout.releases().join(release.to_string()),
        user: user.clone(),
        listen: server_listen(layout, observed.agent.as_ref()),
    };
    let reconfigured = observed.config_differs != Some(false);
    let running = server.filter(|server| !reconfigured && observed.healthy && server.spec == spec);
    if let Some(server) = server.filter(|_| running.is_none()) {
        steps.add(
            "stop-server",
            "Stop the server",
            Some("Start it again"),
            500,
            Server { turn: Turn::Off, spec: server.spec.clone() },
        );
    }
    if reconfigured {
        let replaces = observed.config_differs.is_some();
        let action =
            Configuration { release: release.clone(), listen: spec.listen, user: user.clone(), replaces };
        steps.add("configuration", "Write config.json", Some("Put it back as it was"), 10, action);
    }
    let fresh = !observed.database;
    if fresh {
        steps.add(
            "database",
            "Create the database",
            Some("Remove it"),
            100,
            Database { release: release.clone(), user, fresh },
        );
    }
    if observed.current.is_none() {
        let action = Activation { release: release.clone(), before: None };
        steps.add("activation", format!("Make {release} current"), Some("Remove the link"), 10, action);
    }
    if observed.agent.is_none() {
        steps.add("agent", "Start the agent", Some("Stop it"), 50, Agent { turn: Turn::On });
    }
    if running.is_none() {
        steps.add(
            "server",
            "Start the server",
            Some("Stop it"),
            300,
            Server { turn: Turn::On, spec: spec.clone() },
        );
    }
    if fresh {
        let action = Administrator { listen: spec.listen, email: admin_email(desired) };
        steps.add("administrator", "Create the administrator", None, 300, action);
    }
    let open = observed.agent.as_ref().and_then(|status| status.edge.as_ref()).map(|edge| edge.listen);
    if open != Some(desired.listen) {
        let title = format!("Open the edge at {}", desired.listen);
        steps.add("edge", title, Some("Close it"), 10, Edge { listen: Some(desired.listen), before: open });
    }
    if !steps.0.is_empty() {
        let action = AcceptanceTest { site_url: desired.site_url.clone(), edge: reachable(desired.listen) };
        steps.add("acceptance", format!("Test it as {}", desired.site_url_text()), None, 1500, action);
        steps.add("leftovers", "Forget how it was before", None, 10, Leftovers {});
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

/// The text that `mainstay.toml` must get, if another than it has.
fn wanted_text(
    layout: &Layout,
    desired: &Desired,
    request: &Request,
    text: Option<&str>,
) -> Result<Option<String>, Error> {
    let Some(text) = text else {
        // A first file says what was decided, so that a later default does not move a deployment.
        let decided = [
            ("edition", desired.edition.to_string()),
            ("listen", desired.listen.to_string()),
            ("site_url", desired.site_url_text().to_owned()),
        ];
        let user = desired.user.iter().map(|user| ("user", user.clone()));
        let wanted =
            decided.into_iter().chain(user).try_fold(desired.wanted.clone(), |wanted, (key, value)| {
                wanted.with(key, &value).map_err(|problem| Error::new(Kind::Bug, problem))
            })?;
        return Ok(Some(settings::write(&wanted)));
    };
    let changed = settings::change(&layout.wanted(), text, &request.flags)
        .map_err(|findings| Error::new(Kind::Settings, findings.to_string()))?;
    Ok((changed != text).then_some(changed))
}

/// A mail address for the first administrator: at the site's own host where that can have one.
fn admin_email(desired: &Desired) -> String {
    match desired.site_url.domain() {
        Some(domain) if domain.contains('.') => format!("admin@{domain}"),
        _ => "admin@localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use settings::Wanted;

    use super::*;
    use crate::agent::{EdgeStatus, ServerStatus};

    fn layout() -> Layout {
        Layout::new("/srv/chat")
    }

    fn desired(root: bool) -> Desired {
        let machine = Machine { root, host_name: "chat-1".to_owned() };
        Desired::decide(&Wanted::default(), &BTreeMap::new(), &machine).expect("the defaults are valid")
    }

    fn plan(observed: &Observed, desired: &Desired) -> Plan<Action> {
        let request = Request::default();
        plan_up(&layout(), desired, &release::builtin(), &request, observed).expect("a plan")
    }

    fn names(plan: &Plan<Action>) -> Vec<&str> {
        plan.steps.iter().map(|step| step.name.as_str()).collect()
    }

    fn nothing() -> Observed {
        Observed { missing: vec!["data".to_owned()], user: true, ..Observed::default() }
    }

    /// Everything as a finished `up` leaves it.
    fn finished() -> Observed {
        let listen = "127.0.0.1:18065".parse().expect("an address");
        let spec = ServerSpec {
            release: layout().releases().join(release::builtin().to_string()),
            user: None,
            listen,
        };
        let server = ServerStatus { spec, pid: Some(1), restarts: 0, last_exit: None };
        let edge = EdgeStatus {
            listen: desired(false).listen,
            connections: 0,
            websockets: 0,
            requests: 0,
            upstream_errors: 0,
        };
        let wanted = wanted_text(&layout(), &desired(false), &Request::default(), None).expect("a text");
        Observed {
            missing: Vec::new(),
            wanted,
            secrets: true,
            user: true,
            releases: vec![release::builtin()],
            current: Some(release::builtin()),
            config_differs: Some(false),
            database: true,
            agent: Some(Status { agent_pid: 1, since: 0, server: Some(server), edge: Some(edge) }),
            healthy: true,
        }
    }

    #[test]
    fn a_fresh_installation_opens_the_edge_after_the_administrator_and_ends_with_the_test() {
        let plan = plan(&nothing(), &desired(false));
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
            "leftovers",
        ];
        assert_eq!(names(&plan), expected);
        plan.check().expect("a plan the engine takes");
    }

    #[test]
    fn root_makes_a_user_once() {
        let missing = Observed { user: false, ..nothing() };
        assert_eq!(names(&plan(&missing, &desired(true)))[0], "system-user");
        assert_eq!(names(&plan(&nothing(), &desired(true)))[0], "directories");
    }

    #[test]
    fn what_is_as_it_should_be_gets_no_step() {
        assert_eq!(names(&plan(&finished(), &desired(false))), Vec::<&str>::new());
    }

    #[test]
    fn a_changed_setting_stops_the_server_before_it_is_written() {
        let observed = Observed { config_differs: Some(true), ..finished() };
        let expected = ["stop-server", "configuration", "server", "acceptance", "leftovers"];
        assert_eq!(names(&plan(&observed, &desired(false))), expected);
    }

    #[test]
    fn a_stopped_deployment_is_started_and_nothing_is_made_again() {
        let observed = Observed { agent: None, healthy: false, ..finished() };
        assert_eq!(
            names(&plan(&observed, &desired(false))),
            ["agent", "server", "edge", "acceptance", "leftovers"]
        );
    }

    #[test]
    fn a_sick_server_is_started_anew() {
        let observed = Observed { healthy: false, ..finished() };
        assert_eq!(
            names(&plan(&observed, &desired(false))),
            ["stop-server", "server", "acceptance", "leftovers"]
        );
    }

    #[test]
    fn another_release_is_an_upgrade_and_refused() {
        let other: ReleaseId = "11.7.15-team".parse().expect("a release");
        let observed = Observed { current: Some(other), ..finished() };
        let refused =
            plan_up(&layout(), &desired(false), &release::builtin(), &Request::default(), &observed);
        assert_eq!(refused.expect_err("refused").kind, Kind::Refused);
    }

    #[test]
    fn no_secret_is_in_a_plan() {
        let text = serde_json::to_string(&plan(&nothing(), &desired(true))).expect("JSON");
        assert!(!text.contains("password"), "{text}");
    }
}
