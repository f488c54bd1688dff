//! The acceptance test, as the last step of a plan.

use std::net::SocketAddr;

use acceptance::{Admin, Check, Report, Secret, Target};
use plan::{Progress, Step, Undo};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Action, step, verifier_login};
use crate::control::protocol::ServerStatus;
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::state::config_file;
use crate::state::desired::{Desired, reachable};
use crate::state::report::keep;
use crate::world::World;

/// Runs the acceptance test through the edge, speaking as the site URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptanceTest {
    /// The address people type.
    pub site_url: Url,
    /// Where the edge is reached from here. The public name may not point at this machine yet: `mainstay verify` tests that.
    pub edge: SocketAddr,
}

impl AcceptanceTest {
    /// Of what is wanted, through its edge.
    pub(crate) fn of(desired: &Desired) -> Self {
        Self { site_url: desired.site_url.clone(), edge: reachable(desired.listen) }
    }

    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Test it as {}", self.site_url.as_str().trim_end_matches('/'));
        step("acceptance", title, Undo::Nothing, 1500, self)
    }

    pub(crate) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let target = target(&self.site_url, Some(self.edge), world)?;
        let progress = progress.clone();
        let before = server(world).await?;
        let report = run(target, &world.layout, move |check| progress.say(check.title)).await?;
        let failure = first_failure(&report);
        // The edge waits for a server that its agent starts again, so the test can pass all the same.
        if failure.is_none()
            && let Some(end) = end_meanwhile(before.as_ref(), server(world).await?.as_ref())
        {
            return Err(Error::new(Exit::NotVerified, format!("{} is not verified: {end}", report.url))
                .hint("`mainstay logs server` shows what it said"));
        }
        match failure {
            None => Ok(json!({ "checks": report.checks.len(), "unchecked": report.unchecked })),
            Some(failed) => {
                Err(Error::new(Exit::NotVerified, format!("{} is not verified: {failed}", report.url))
                    .hint(format!("the whole report is {}", world.layout.failed_report().display())))
            }
        }
    }

    #[allow(clippy::unused_async, reason = "every action has the same shape")]
    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        // The test cleans up after itself.
        Ok(())
    }
}

/// The target that a deployment is, with its own administrator.
pub(crate) fn target(url: &Url, via: Option<SocketAddr>, world: &World) -> Result<Target, Error> {
    let password = world.secrets()?.verifier_password;
    let password = password.expose_secret();
    let socket = crate::local::socket(&world.layout)?.filter(|socket| socket.exists());
    let admin = match socket {
        Some(socket) => Admin::Local(socket),
        // A release before 5.24, or a server that an earlier Mainstay started.
        None => {
            Admin::Login { name: verifier_login(&world.layout)?.to_owned(), secret: Secret::new(password) }
        }
    };
    // Only a container's server may be without a site URL; whether it is, the server itself says.
    Ok(Target {
        via,
        admin,
        password: Some(Secret::new(standing_password(password))),
        marker: Some(world.layout.tokens_marker()),
        left: Some(world.layout.left_by_test()),
        pass: std::fs::read_to_string(world.layout.pass()).ok().map(Secret::new),
        any_address: world.layout.place().may_lack_site_url(),
        any_origin: is_open_to_any_origin(world),
        ..Target::new(url.clone())
    })
}

/// The standing accounts' password: 64 characters, which the rules of every server allow.
pub(crate) fn standing_password(password: &str) -> String {
    password.chars().cycle().take(64).collect()
}

/// Whether config.json allows the pages of every site.
fn is_open_to_any_origin(world: &World) -> bool {
    let config = config_file::read(&world.layout.config()).unwrap_or_default();
    let origins = config["ServiceSettings"]["AllowCorsFrom"].as_str().unwrap_or_default();
    origins.split_whitespace().any(|origin| origin == "*")
}

/// Runs the test as a step of a plan, and keeps its report.
async fn run(
    target: Target,
    layout: &Layout,
    events: impl FnMut(&Check) + Send + 'static,
) -> Result<Report, Error> {
    // A step is cancelled by dropping it. In a task of its own the test still takes its accounts and its team away then.
    let cancel = CancellationToken::new();
    let _dropped = cancel.clone().drop_guard();
    let test = tokio::spawn(async move { acceptance::run(&target, events, cancel).await });
    let report = test.await.map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    keep(&report, layout)?;
    Ok(report)
}

/// How the agent's server is; `None` where there is none.
async fn server(world: &World) -> Result<Option<ServerStatus>, Error> {
    Ok(world.agent.status().await?.and_then(|status| status.server().cloned()))
}

/// Says that the server which was tested is not the one that runs after the test.
fn end_meanwhile(before: Option<&ServerStatus>, after: Option<&ServerStatus>) -> Option<String> {
    let (before, after) = (before?, after?);
    let how = match (&after.last_restart, &after.last_exit) {
        (Some(last), _) if after.restarts != before.restarts => Some(last.why.clone()),
        (_, Some(exit)) => Some(exit.clone()),
        _ => None,
    };
    match how {
        Some(how) => Some(format!("while it was tested, the server {how}")),
        None => (before.pid != after.pid).then(|| "while it was tested, the server was restarted".to_owned()),
    }
}

/// The first failure of a report in one sentence, if it did not pass.
fn first_failure(report: &Report) -> Option<String> {
    if report.passed() {
        return None;
    }
    let failed = report.checks.iter().find_map(|check| match &check.outcome {
        acceptance::Outcome::Failed(f) => Some(format!("{}: {} ({})", check.title, f.what, f.cause)),
        _ => None,
    });
    Some(failed.unwrap_or_else(|| "the test did not come to its end".to_owned()))
}
