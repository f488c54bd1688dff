//! `status`: how a deployment is, without touching it.

use std::path::PathBuf;
use std::time::Duration;

use plan::{Holder, Lock};
use serde::Serialize;

use crate::action::World;
use crate::agent::{self, health};
use crate::deployment::{Ground, ground, wanted_file};
use crate::error::Error;

/// How a deployment is.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its directory.
    pub dir: PathBuf,
    /// Whether anything is installed there.
    pub installed: bool,
    /// The active release.
    pub release: Option<String>,
    /// The address people type.
    pub url: Option<String>,
    /// The running parts, if any.
    pub agent: Option<agent::Status>,
    /// What is wrong with the server, if it runs and is not well.
    pub trouble: Option<String>,
    /// When the acceptance test last passed, in ms since the epoch.
    pub verified_at: Option<i64>,
    /// The operation that changes the deployment right now.
    pub busy: Option<Holder>,
}

impl Status {
    /// Whether everything runs and is well.
    pub fn is_up(&self) -> bool {
        let agent = self.agent.as_ref();
        agent.is_some_and(|agent| {
            agent.edge.is_some() && agent.server.as_ref().is_some_and(|server| server.pid.is_some())
        }) && self.trouble.is_none()
    }
}

/// Looks.
///
/// # Errors
/// The directory is not a deployment's, or cannot be read.
pub async fn status(world: &World) -> Result<Status, Error> {
    let layout = &world.layout;
    let installed = ground(layout)? == Ground::Ours && layout.current().exists();
    let agent = world.agent.status().await?;
    let trouble = match agent.as_ref().and_then(|agent| agent.server.as_ref()) {
        Some(server) => health::ask(&health::client(Duration::from_secs(5))?, server.spec.listen).await.err(),
        None => None,
    };
    Ok(Status {
        dir: layout.root().to_owned(),
        installed,
        release: release::current(&layout.current()).map(|release| release.to_string()),
        url: wanted_file(layout)?.get("site_url").map(str::to_owned),
        agent,
        trouble,
        verified_at: crate::verify::last_pass(layout),
        busy: Lock::present_holder(&layout.lock()).unwrap_or_default(),
    })
}

/// Stays until the agent ends, or until `cancel`, which stops it.
///
/// # Errors
/// The agent does not answer, or does not stop.
pub async fn stay(world: &World, cancel: tokio_util::sync::CancellationToken) -> Result<(), Error> {
    const LOOK: Duration = Duration::from_millis(500);
    loop {
        tokio::select! {
            () = cancel.cancelled() => {
                world.agent.ask(&agent::Ask::Stop, crate::action::STOP_PATIENCE).await?;
                return Ok(());
            }
            () = tokio::time::sleep(LOOK) => {
                if Lock::present_holder(&world.layout.agent_lock())?.is_none() {
                    return Err(Error::not_ready("the agent has ended").hint("`mainstay logs agent` has its last words"));
                }
            }
        }
    }
}
