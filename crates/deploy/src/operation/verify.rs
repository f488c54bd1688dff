//! `verify`: the acceptance test, against this deployment or any Mattermost.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use acceptance::{Admin, Check, Report, Secret, Target};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::action::verifier_login;
use crate::error::{Error, Exit, reason};
use crate::place::layout::Layout;
use crate::state::settled::settle;
use crate::world::World;

/// What to verify, and how.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    /// Any Mattermost; `None` = this deployment, by its own site URL.
    pub url: Option<Url>,
    /// Connect here instead of where the URL's name points.
    pub via: Option<SocketAddr>,
    /// A token of a system administrator of that Mattermost.
    pub admin_token: Option<Secret>,
    /// Leave accounts and team behind.
    pub keep: bool,
    /// Drive the web client as well.
    pub browser: Option<acceptance::Browser>,
}

/// Runs the acceptance test.
///
/// # Errors
/// There is no deployment and no URL. A deployment that does not pass is no error: the report says so.
pub async fn verify(
    world: &World,
    what: &Verification,
    events: impl FnMut(&Check) + Send,
    cancel: CancellationToken,
) -> Result<Report, Error> {
    let ours = what.url.is_none();
    let mut target = match &what.url {
        Some(url) => Target::new(url.clone()),
        None => of_deployment(world)?,
    };
    if let Some(token) = &what.admin_token {
        target.admin = Admin::Token(token.clone());
    }
    target.via = what.via.or(target.via);
    target.keep = what.keep;
    target.browser.clone_from(&what.browser);
    let report = acceptance::run(&target, events, cancel).await;
    if ours {
        keep(&report, &world.layout)?;
    }
    Ok(report)
}

fn of_deployment(world: &World) -> Result<Target, Error> {
    if !world.layout.current().exists() {
        return Err(not_installed(&world.layout)
            .hint("install one with `mainstay up`, or name any Mattermost with `--url`"));
    }
    let settled = settle(world, &BTreeMap::new(), None)?;
    target(&settled.desired.site_url, None, world)
}

/// An operation needs a deployment, and there is none.
pub(super) fn not_installed(layout: &Layout) -> Error {
    Error::not_ready(format!("there is no deployment in {}", layout.root().display()))
        .hint("install one with `mainstay up`, or name its directory with `--dir`")
}

/// The target that a deployment is, with its own administrator.
pub(crate) fn target(url: &Url, via: Option<SocketAddr>, world: &World) -> Result<Target, Error> {
    let secret = Secret::new(world.secrets()?.verifier_password.expose_secret());
    let admin = Admin::Login { name: verifier_login(&world.layout)?.to_owned(), secret };
    // Only a container's server may be without a site URL; whether it is, the server itself says.
    Ok(Target {
        via,
        admin,
        any_address: world.layout.place().may_lack_site_url(),
        ..Target::new(url.clone())
    })
}

/// Runs the test as a step of a plan, and keeps its report.
pub(crate) async fn run(
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

/// The newest report, in `run`.
fn keep(report: &Report, layout: &Layout) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(report).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    Ok(host::disk::atomic_write(&layout.report(), &text, 0o600, None)?)
}

/// The first failure of a report in one sentence, if it did not pass.
pub(crate) fn first_failure(report: &Report) -> Option<String> {
    if report.passed() {
        return None;
    }
    let failed = report.checks.iter().find_map(|check| match &check.outcome {
        acceptance::Outcome::Failed(f) => Some(format!("{}: {} ({})", check.title, f.what, f.cause)),
        _ => None,
    });
    Some(failed.unwrap_or_else(|| "the test did not come to its end".to_owned()))
}

/// Writes a report for people.
///
/// # Errors
/// The file cannot be written.
pub fn write_report(report: &Report, path: &std::path::Path) -> Result<(), Error> {
    std::fs::write(path, report.to_markdown())
        .map_err(|error| Error::not_ready(format!("cannot write {}: {}", path.display(), reason(&error))))
}
