//! `up`: from whatever is there to a verified deployment.
//!
//! Every part says which steps bring it to what is wanted. What is already as it should be gets no step, so a second `up` has an empty
//! plan.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use plan::Plan;
use release::Origin;

use super::planned::without_backup;
use super::runner::{Looking, Operation, Recovered};
use super::up_report::{self, Report};
use crate::action::Action;
use crate::error::{Error, Exit};
use crate::part::database::plan::check_moved;
use crate::part::{Observed, View, converging, identity, observe, preflight, take_over};
use crate::place::ground::ground;
use crate::place::layout::Layout;
use crate::state::access;
use crate::state::creation::Creation;
use crate::state::lost_journal::lost_journal;
use crate::state::published;
use crate::state::settled::{Settled, settle};
use crate::state::which_release::Source;
use crate::state::words::UP;
use crate::world::World;

/// What `up` is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Keys of `mainstay.toml` given on the command line.
    pub flags: BTreeMap<&'static str, String>,
    /// Where to install from; `None` = the installed release, or the built-in server.
    pub origin: Option<Origin>,
    /// How long to wait for a database server; `None` = 10 s.
    pub wait: Option<Duration>,
    /// Create user and database if they are missing, as the administrator whose login is there.
    pub creation: Option<Creation>,
    /// The config.json of a Mattermost that is taken over.
    pub take_over: Option<PathBuf>,
    /// Leave what starts the deployment at boot as it is: something else starts this `up`.
    pub keeps_boot: bool,
    /// Whether packages of the distribution may be installed.
    pub install_packages: bool,
}

impl Request {
    /// What is installed from.
    pub(super) fn source(&self, only_shown: bool) -> Source<'_> {
        let (origin, take_over) = (self.origin.as_ref(), self.take_over.as_deref());
        let installs_packages = self.install_packages;
        Source {
            origin,
            only_shown,
            take_over,
            installs_packages,
            restoring: None,
            returning: None,
            upgrades: false,
        }
    }

    /// How long to wait for a database server. On a machine it is started before us or not at all.
    pub(super) fn wait(&self) -> Duration {
        const USUAL: Duration = Duration::from_secs(10);
        self.wait.unwrap_or(USUAL)
    }
}

/// Brings the deployment up.
#[derive(Debug, Clone, Default)]
pub struct Up {
    /// What is asked for.
    pub request: Request,
}

/// What `up` decides from.
pub struct Seen {
    pub(super) settled: Settled,
    observed: Observed,
    /// Where a release that is missing comes from.
    origin: Option<Origin>,
    /// The interrupted run that was finished just before.
    resumed: Option<Recovered>,
}

impl Operation for Up {
    const NAME: &'static str = UP;
    type Seen = Seen;
    type Report = Report;

    async fn look(&self, world: &World, mut looking: Looking<'_>) -> Result<Seen, Error> {
        let (layout, request) = (&world.layout, &self.request);
        ground(layout)?;
        preflight::check_directories(layout)?;
        let source = request.source(looking.only_shown);
        let me = host::User::current()?;
        if !me.is_root() {
            // Only root can give a file to somebody.
            access::check(layout, &me)?;
        }
        let mut settled = settle(world, &request.flags, source)?;
        let creation = request.creation.as_ref();
        let observed = observe(world, &settled, creation, request.keeps_boot, &mut looking.patience).await?;
        refuse_lost(layout, &settled, &observed)?;
        preflight::check(layout, &settled, &observed)?;
        settled.remarks.extend(take_over::remarks(layout, &settled, &observed));
        settled.remarks.extend(lost_journal(layout));
        let resumed =
            looking.recovered.filter(|run| run.finished && run.plan.operation == Self::NAME).cloned();
        let release = (&settled.release, &*observed.release.installed);
        let origin = published::origin(world, request.origin.as_ref(), &settled.desired.wanted, release)?;
        Ok(Seen { settled, observed, origin, resumed })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let request = Request { origin: seen.origin.clone(), ..self.request.clone() };
        plan_up(&world.layout, &seen.settled, &request, &seen.observed)
    }

    async fn report(&self, world: &World, seen: Seen, changed: bool) -> Result<Report, Error> {
        let Seen { mut settled, observed, origin, resumed } = seen;
        settled.remarks.extend(origin.as_ref().and_then(published::warning));
        up_report::report(world, settled, &observed, resumed, changed).await
    }

    /// It begins with the hand-over to this program.
    fn may_follow_another_build(&self) -> bool {
        true
    }

    fn remarks(&self, seen: &Seen) -> Vec<String> {
        seen.settled.remarks.clone()
    }

    fn wait(&self) -> Duration {
        self.request.wait()
    }
}

/// Refuses what would begin a deployment anew that was used, or take over the data of another.
pub(super) fn refuse_lost(layout: &Layout, settled: &Settled, observed: &Observed) -> Result<(), Error> {
    check_moved(settled, observed)?;
    if let Some(used) = observed.identity.used {
        identity::refuse_gone(layout, used.last, &identity::gone(layout, settled, observed))?;
    }
    identity::refuse_strangers(layout, settled, observed)?;
    identity::refuse_without_database(layout, settled, observed)
}

/// What has to be done. Pure: the same observation gives the same plan.
fn plan_up(
    layout: &Layout,
    settled: &Settled,
    request: &Request,
    observed: &Observed,
) -> Result<Plan<Action>, Error> {
    let (wanted, current) = (&settled.release, observed.release.current.as_ref());
    let replaced = current.filter(|current| *current != wanted);
    if let Some(current) = replaced.filter(|_| !layout.place().image_decides_release()) {
        return Err(Error::new(
            Exit::Refused,
            format!("{current} is installed here, and {wanted} is asked for"),
        )
        .hint("`up` never changes the release: `mainstay upgrade` does"));
    }
    check_moved(settled, observed)?;
    let (creation, origin) = (request.creation.as_ref(), request.origin.as_ref().unwrap_or(&Origin::Builtin));
    let steps = converging(&View { layout, settled, observed, creation, origin });
    let title = if current.is_none() { "Install" } else { "Bring up" };
    let plan = Plan::new(Up::NAME, format!("{title} {wanted} in {}", layout.root().display()), steps);
    Ok(without_backup(plan))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::SocketAddr;

    use release::ReleaseId;
    use settings::{Defaults, Sources, Wanted};

    use super::*;
    use crate::control::protocol::{EdgeStatus, PartStatus, ServerSpec, ServerStatus, Status};
    use crate::part::configuration::ConfigChange;
    use crate::part::{database, directory, identity as part_identity, release as release_part, server};
    use crate::place::container::VersionChange;
    use crate::state::config_file::ConfigFiles;
    use crate::state::desired::Desired;
    use crate::state::desired::Machine;
    use crate::state::identity::{Identity, Used};

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
        let version: version::Series = "11.6".parse().expect("a version");
        let resolved = settings::resolve(version, &sources).expect("nothing is said");
        Settled {
            desired,
            resolved,
            release: release::builtin(),
            file,
            location: crate::state::location::Location::File,
            config: ConfigFiles { config: None, shipped: serde_json::json!({}), memory: None },
            before: None,
            given: Vec::new(),
            build: None,
            remarks: Vec::new(),
            taken: None,
            installs_packages: false,
            restoring: None,
            returning: None,
            moving: None,
        }
    }

    fn plan(observed: &Observed, root: bool) -> Plan<Action> {
        let file = observed.release.current.is_some().then(Wanted::default);
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
            directory: directory::Observed {
                missing: vec!["data".to_owned()],
                secrets: false,
                user: true,
                of_others: Vec::new(),
                exposed: Vec::new(),
                denied: Vec::new(),
            },
            release: release_part::Observed::default(),
            database: database::Observed::default(),
            config: ConfigChange::New,
            server: server::Observed { listen: listen(), healthy: false, administered: true },
            agent: None,
            handover: None,
            verified: true,
            volume: None,
            volume_used: None,
            apps: Vec::new(),
            identity: part_identity::Observed { fresh: "a".repeat(32), ..part_identity::Observed::default() },
            boot: crate::part::boot::Observed::default(),
        }
    }

    /// Everything as a finished `up` leaves it.
    pub(crate) fn finished() -> Observed {
        let release = layout().releases().join(release::builtin().to_string());
        let spec = ServerSpec {
            release,
            user: None,
            listen: listen(),
            socket: Some(layout().http_socket()),
            overrides: BTreeMap::new(),
            path: String::new(),
        };
        let server = ServerStatus { spec, pid: Some(1), restarts: 0, last_exit: None, last_restart: None };
        let spec_of_edge = settled(false, None).desired.edge();
        let edge =
            EdgeStatus { spec: spec_of_edge, connections: 0, websockets: 0, requests: 0, upstream_errors: 0 };
        Observed {
            directory: directory::Observed {
                missing: Vec::new(),
                secrets: true,
                user: true,
                of_others: Vec::new(),
                exposed: Vec::new(),
                denied: Vec::new(),
            },
            release: release_part::Observed {
                installed: vec![release::builtin()],
                current: Some(release::builtin()),
                other_build: false,
                kept: Vec::new(),
            },
            database: database::Observed { exists: true, ..database::Observed::default() },
            config: ConfigChange::Stays,
            server: server::Observed { listen: listen(), healthy: true, administered: true },
            agent: Some(Status {
                holds: false,
                agent_pid: 1,
                since: 0,
                version: Some("0.1.0".to_owned()),
                build: None,
                protocol: 2,
                schedule: Vec::new(),
                parts: [
                    ("server".to_owned(), PartStatus::Server(server)),
                    ("edge".to_owned(), PartStatus::Edge(edge)),
                ]
                .into(),
            }),
            identity: part_identity::Observed {
                record: Some(Identity::new(Some("a".repeat(32)), None, &layout())),
                used: Some(Used { last: 0 }),
                data: Some("a".repeat(32)),
                config: true,
                ..part_identity::Observed::default()
            },
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
            "identity",
        ];
        assert_eq!(names(&plan), expected);
        plan.check().expect("a plan the engine takes");
    }

    #[test]
    fn a_release_that_is_not_there_is_fetched_before_anything_is_changed() {
        let release: ReleaseId = "11.7.15-team".parse().expect("a release");
        let catalogue = release::Catalogue::built_in();
        let wish =
            release::Wish::of(&release, release::Arch::Arm64, &catalogue, &release::Sources::default());
        let origin = wish.map(|wish| Origin::Published { wish, cache: "/var/cache/mainstay".into() });
        let settled = Settled { release, ..settled(false, None) };
        let request = Request { origin, ..Request::default() };
        let plan = |observed: &Observed| plan_up(&layout(), &settled, &request, observed).expect("a plan");
        let fresh = plan(&nothing());
        assert_eq!(names(&fresh)[..5], ["fetch", "directories", "mainstay-toml", "secrets", "release"]);
        assert!(fresh.steps[0].title.contains("releases.mattermost.com"), "{}", fresh.steps[0].title);
        fresh.check().expect("a plan the engine takes");
        let mut unpacked = nothing();
        unpacked.release.installed = vec![settled.release.clone()];
        assert!(!names(&plan(&unpacked)).contains(&"fetch"));
    }

    #[test]
    fn root_makes_a_user_once() {
        let mut missing = nothing();
        missing.directory.user = false;
        assert_eq!(names(&plan(&missing, true))[0], "system-user");
        assert_eq!(names(&plan(&nothing(), true))[0], "directories");
    }

    #[test]
    fn what_is_as_it_should_be_gets_no_step() {
        assert_eq!(names(&plan(&finished(), false)), Vec::<&str>::new());
    }

    #[test]
    fn a_deployment_whose_last_test_failed_is_tested_again() {
        let observed = Observed { verified: false, ..finished() };
        assert_eq!(names(&plan(&observed, false)), ["acceptance"]);
    }

    #[test]
    fn a_changed_setting_stops_the_server_before_it_is_written() {
        let observed = Observed { config: ConfigChange::Changes, ..finished() };
        let expected =
            ["hold", "stop-server", "configuration", "server", "administrator", "acceptance", "admit"];
        assert_eq!(names(&plan(&observed, false)), expected);
    }

    #[test]
    fn a_stopped_deployment_is_started_and_nothing_is_made_again() {
        let mut observed = Observed { agent: None, ..finished() };
        observed.server.healthy = false;
        let expected = ["agent", "server", "administrator", "edge", "acceptance"];
        assert_eq!(names(&plan(&observed, false)), expected);
    }

    #[test]
    fn what_the_servers_user_cannot_read_is_given_to_it_while_the_server_runs() {
        let mut observed = finished();
        let path = layout().config();
        observed.directory.denied = vec![access::Denied { path, owner: (0, 0), mode: 0o400, opened: 0o600 }];
        let plan = plan(&observed, true);
        assert!(names(&plan).contains(&"access"), "{:?}", names(&plan));
        assert!(plan.steps.iter().any(|step| step.title.ends_with("read and write: config/config.json")));
    }

    #[test]
    fn directories_are_given_to_the_servers_user_while_the_server_is_stopped() {
        let mut observed = finished();
        let settled = settled(true, Some(Wanted::default()));
        // The server runs as it is meant to: nothing but the owner has changed.
        for status in observed.agent.iter_mut().flat_map(|agent| agent.parts.values_mut()) {
            if let PartStatus::Server(server) = status {
                server.spec.user.clone_from(&settled.desired.user);
            }
        }
        let plan = |observed: &Observed| {
            let plan = plan_up(&layout(), &settled, &Request::default(), observed).expect("a plan");
            names(&plan).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(plan(&observed), Vec::<String>::new());
        observed.directory.of_others =
            vec![crate::action::Owned { name: "config".to_owned(), owner: (0, 0) }];
        let expected = ["hold", "stop-server", "ownership", "server", "administrator", "acceptance", "admit"];
        assert_eq!(plan(&observed), expected);
    }

    #[test]
    fn an_administrator_is_seen_to_while_the_server_runs() {
        let mut observed = finished();
        observed.server.administered = false;
        assert_eq!(names(&plan(&observed, false)), ["administrator", "acceptance"]);
    }

    #[test]
    fn another_build_of_the_release_is_put_in_its_place_while_the_server_is_stopped() {
        let mut observed = finished();
        observed.release.other_build = true;
        let mut settled = settled(false, Some(Wanted::default()));
        settled.build = Some("fedcba98".to_owned());
        let plan = plan_up(&layout(), &settled, &Request::default(), &observed).expect("a plan");
        let expected =
            ["hold", "stop-server", "replacement", "server", "administrator", "acceptance", "admit"];
        assert_eq!(names(&plan), expected);
    }

    #[test]
    fn a_sick_server_is_started_anew() {
        let mut observed = finished();
        observed.server.healthy = false;
        let expected = ["hold", "stop-server", "server", "administrator", "acceptance", "admit"];
        assert_eq!(names(&plan(&observed, false)), expected);
    }

    #[test]
    fn in_a_container_another_release_is_migrated_to_and_said_in_the_volume() {
        let other: ReleaseId = "11.5.0+0.1.0-builtin".parse().expect("a release");
        let volume = Some(VersionChange { before: Some("11.5.0+0.1.0\n".to_owned()) });
        let mut observed = Observed { agent: None, volume, ..finished() };
        (observed.release.current, observed.server.healthy) = (Some(other), false);
        let plan = plan_up(&Layout::container(), &settled(false, None), &Request::default(), &observed);
        let plan = plan.expect("a plan");
        let expected = [
            "pending",
            "copy",
            "count",
            "migration",
            "activation",
            "agent",
            "server",
            "administrator",
            "hold",
            "edge",
            "acceptance",
            "compare",
            "volume-version",
            "identity",
            "admit",
        ];
        assert_eq!(names(&plan), expected);
    }

    #[test]
    fn another_release_is_an_upgrade_and_refused() {
        let other: ReleaseId = "11.7.15-team".parse().expect("a release");
        let mut observed = finished();
        observed.release.current = Some(other);
        let refused = plan_up(&layout(), &settled(false, None), &Request::default(), &observed);
        assert_eq!(refused.expect_err("refused").exit, Exit::Refused);
    }
}
