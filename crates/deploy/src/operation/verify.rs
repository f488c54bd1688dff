//! `verify`: the acceptance test, against this deployment or any Mattermost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use acceptance::{Admin, Check, Report, Secret, Target};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::action::target;
use crate::error::{Error, Exit, reason};
use crate::part::identity::refuse_gone_files;
use crate::place::layout::Layout;
use crate::state::deleted::deleted_database;
use crate::state::full_disk::{explained, refuse_full};
use crate::state::half_deleted::half_deleted;
use crate::state::installed::{check_release, is_installed};
use crate::state::report::keep;
use crate::state::settled::settle;
use crate::state::which_release::Source;
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
    /// Leave the websockets silent for so long.
    pub idle: Option<Duration>,
    /// Drive the web client as well.
    pub browser: Option<acceptance::Browser>,
}

/// Runs the acceptance test.
///
/// # Errors
/// There is no deployment and no URL; its server works on a database file that was deleted; the test was interrupted. A deployment that
/// does not pass is no error: the report says so.
pub async fn verify(
    world: &World,
    what: &Verification,
    events: impl FnMut(&Check) + Send,
    cancel: CancellationToken,
) -> Result<Report, Error> {
    let ours = what.url.is_none();
    let mut target = match &what.url {
        Some(url) => Target::new(url.clone()),
        None => of_deployment(world).await?,
    };
    if let Some(token) = &what.admin_token {
        target.admin = Admin::Token(token.clone());
    }
    target.via = what.via.or(target.via);
    target.keep = what.keep;
    target.idle = what.idle;
    target.browser.clone_from(&what.browser);
    if ours {
        // The server would fail at its first write, and the test would name the database.
        refuse_full(&world.layout)?;
    }
    let report = acceptance::run(&target, events, cancel.clone()).await;
    if !counts(&report, &cancel) {
        return Err(interrupted(ours));
    }
    if ours {
        keep(&report, &world.layout).map_err(|error| explained(&world.layout, error))?;
    }
    Ok(report)
}

/// Whether the result says something about the deployment. A test that was interrupted says nothing, unless it was through by then.
fn counts(report: &Report, cancel: &CancellationToken) -> bool {
    report.passed() || !cancel.is_cancelled()
}

fn interrupted(ours: bool) -> Error {
    let kept = if ours { "; the result of the last one still counts" } else { "" };
    Error::new(Exit::NotVerified, format!("the test was interrupted before its end{kept}"))
        .hint("run the same command again")
}

async fn of_deployment(world: &World) -> Result<Target, Error> {
    let layout = &world.layout;
    if !is_installed(layout) && half_deleted(layout).is_none() {
        let what = format!("there is no deployment in {}", layout.root().display());
        let hint = "install one with `mainstay up`, or name any Mattermost with `--url`";
        return Err(Error::not_ready(what).hint(hint));
    }
    refuse_not_installed(layout)?;
    // Every check may pass: the server still has what it works on.
    if let Some(deleted) = deleted_database(&world.layout) {
        return Err(Error::new(Exit::NotVerified, deleted.what()).hint(deleted.hint()));
    }
    refuse_gone_files(layout).await?;
    // A public name leads somewhere else than here, so that is tested whatever runs here.
    let settled = settle(world, &BTreeMap::new(), Source::default())?;
    let status = world.agent.status().await;
    // The test has a pass; people have not.
    if status.as_ref().is_ok_and(|status| status.as_ref().is_some_and(|status| status.holds)) {
        let what =
            "people wait at the edge: an operation replaces the server, or was interrupted while it did";
        return Err(Error::new(Exit::NotVerified, what)
            .hint("`mainstay status` says which; where it was interrupted, `mainstay up` brings it to its end and tests the deployment"));
    }
    if let Ok(None) = status {
        return Err(Error::new(Exit::NotVerified, "the deployment does not run").hint(
            "start it with `mainstay up`, which tests it as well; `mainstay verify --url URL` tests what answers at any address",
        ));
    }
    target(&settled.desired.site_url, None, world)
}

/// Refuses an operation that needs a deployment.
///
/// # Errors
/// There is none, it is being deleted, or its release is missing.
pub fn refuse_not_installed(layout: &Layout) -> Result<(), Error> {
    if layout.current().exists() {
        return Ok(());
    }
    if let Some(refusal) = half_deleted(layout) {
        return Err(refusal);
    }
    check_release(layout)?;
    Err(Error::not_ready(format!("there is no deployment in {}", layout.root().display()))
        .hint("install one with `mainstay up`, or name its directory with `--dir`"))
}

/// Writes a report for people.
///
/// # Errors
/// The file cannot be written.
pub fn write_report(report: &Report, path: &std::path::Path) -> Result<(), Error> {
    std::fs::write(path, report.to_markdown())
        .map_err(|error| Error::not_ready(format!("cannot write {}: {}", path.display(), reason(&error))))
}
