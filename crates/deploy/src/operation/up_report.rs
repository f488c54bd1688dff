//! What `up` came to.

use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use plan::RunId;
use serde::Serialize;
use settings::Notice;

use super::local_apps::{in_trouble, in_trouble_after_start};
use super::runner::Recovered;
use crate::action::{accepted_address, signs_in_by_name};
use crate::boot::Boot;
use crate::error::Error;
use crate::local::{Account, LocalChannel};
use crate::part::Observed;
use crate::part::boot::said;
use crate::part::server::admin_email;
use crate::state::config_file;
use crate::state::desired::Desired;
use crate::state::left_behind::left_behind;
use crate::state::report::{last_pass, last_test};
use crate::state::settled::Settled;
use crate::world::World;

/// What `up` came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether anything had to be changed.
    pub changed: bool,
    /// The interrupted run that was finished first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Resumed>,
    /// The deployment's directory.
    pub dir: PathBuf,
    /// The address people type.
    pub url: String,
    /// Where the edge answers.
    pub listen: SocketAddr,
    /// The active release.
    pub release: String,
    /// What the administrator signs in with, when this `up` created the account.
    pub administrator: Option<String>,
    /// The administrators of a Mattermost that this `up` took over, by their user names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub administrators_kept: Vec<String>,
    /// When the acceptance test last passed, in ms since the epoch.
    pub verified_at: Option<i64>,
    /// What the acceptance test said nothing about.
    pub unchecked: Vec<String>,
    /// What the acceptance test removed that an interrupted one had left, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cleared: Vec<String>,
    /// Settings that are right and do not do what they say.
    pub notices: Vec<Notice>,
    /// What works and yet is not as it should be.
    pub warnings: Vec<String>,
    /// Whether it starts at boot; `None` where something outside decides that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
}

/// An interrupted run that was finished.
#[derive(Debug, Clone, Serialize)]
pub struct Resumed {
    /// Its number.
    pub run: RunId,
    /// What it was for.
    pub title: String,
    /// When it began.
    pub began: Timestamp,
}

/// # Errors
/// The agent does not answer; a file of the deployment cannot be read.
pub(super) async fn report(
    world: &World,
    settled: Settled,
    observed: &Observed,
    resumed: Option<Recovered>,
    changed: bool,
) -> Result<Report, Error> {
    let Settled { desired, resolved, remarks, .. } = settled;
    let status = world.agent.status().await?;
    let server = status.as_ref().and_then(|status| status.server());
    let created =
        resumed.as_ref().is_some_and(|resumed| resumed.plan.steps.iter().any(|step| step.name == "secrets"))
            || (changed && !observed.directory.secrets);
    let resumed = resumed.map(|Recovered { run, plan, began, .. }| Resumed { run, title: plan.title, began });
    let (administrator, administrators_kept) =
        if created { administrators(world, &desired).await? } else { (None, Vec::new()) };
    let test = last_test(&world.layout);
    let (unchecked, cleared) = test.map(|test| (test.unchecked, test.cleared)).unwrap_or_default();
    let apps = match (changed, &status) {
        (true, _) => in_trouble_after_start(world).await?,
        (false, Some(status)) => in_trouble(&world.layout, status).await,
        (false, None) => Vec::new(),
    };
    let boot = super::boot::of(world, said(&desired.wanted) != Some(false)).await;
    Ok(Report {
        boot,
        changed: changed || resumed.is_some(),
        resumed,
        dir: world.layout.root().to_owned(),
        url: desired.site_url_text().to_owned(),
        listen: desired.listen,
        release: server.map(|server| release::name_of(&server.spec.release)).unwrap_or_default(),
        administrator,
        administrators_kept,
        verified_at: last_pass(&world.layout),
        unchecked,
        cleared: if changed { cleared } else { Vec::new() },
        notices: resolved.notices().to_vec(),
        warnings: remarks
            .into_iter()
            .chain(observed.database.warnings.clone())
            .chain(left_behind(&world.layout))
            .chain(apps.iter().map(ToString::to_string))
            .chain(world.layout.place().runs_as_root(desired.wanted.get("user")))
            .collect(),
    })
}

/// What the administrator that the installation made signs in with: name or address, as the server allows. Where there is no such account,
/// a Mattermost was taken over: its administrators.
async fn administrators(world: &World, desired: &Desired) -> Result<(Option<String>, Vec<String>), Error> {
    let (name, config) = (world.secrets()?.admin_name, config_file::read(&world.layout.config())?);
    // A release before 5.24 has no local channel, and no Mattermost is taken over with it.
    if let Some(channel) = LocalChannel::open(&world.layout).await?
        && channel.named(&name).await?.is_none()
    {
        let administrators = channel.accounts(true).await?.into_iter().filter(Account::is_active);
        return Ok((None, administrators.map(|account| account.username).collect()));
    }
    let login = match signs_in_by_name(&config) {
        true => name,
        false => accepted_address(&name, &admin_email(desired), &config),
    };
    Ok((Some(login), Vec::new()))
}
