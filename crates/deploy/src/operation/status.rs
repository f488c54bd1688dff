//! `status`: how a deployment is, without touching it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use plan::{Faults, Holder, Lock};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::down::Down;
use super::runner::{self, Caller, Consent};
use crate::control::{health, protocol};
use crate::error::{Error, Exit};
use crate::place::ground::{Ground, ground};
use crate::place::holder::told_elsewhere;
use crate::state::exposed::warnings;
use crate::state::report::{LastTest, last_test};
use crate::state::settled::{Source, settle};
use crate::state::wanted::wanted_file;
use crate::world::World;

/// How long the server may take to say that it is well: whoever looks wants to know now.
const PATIENCE: Duration = Duration::from_secs(1);

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
    /// Where the data is, the password masked.
    pub database: Option<String>,
    /// The running parts, if any.
    pub agent: Option<protocol::Status>,
    /// What is wrong with the server, if it runs and is not healthy.
    pub trouble: Option<String>,
    /// When the acceptance test last passed, in ms since the epoch.
    pub verified_at: Option<i64>,
    /// How the newest acceptance test ended.
    pub last_test: Option<LastTest>,
    /// The operation that changes the deployment right now.
    pub busy: Option<Holder>,
    /// What is not as it should be, each with what to do.
    pub warnings: Vec<String>,
}

impl Status {
    /// Whether everything runs and is well.
    pub fn is_up(&self) -> bool {
        let agent = self.agent.as_ref();
        agent.is_some_and(|agent| {
            agent.edge().is_some() && agent.server().is_some_and(|server| server.pid.is_some())
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
    let trouble = match agent.as_ref().and_then(|agent| agent.server()) {
        Some(server) => health::ask(&health::client(PATIENCE)?, server.spec.listen).await.err(),
        None => None,
    };
    Ok(Status {
        dir: layout.root().to_owned(),
        installed,
        release: release::current(&layout.current()).map(|release| release.to_string()),
        url: url(world)?,
        database: if installed { crate::database_address(world) } else { None },
        agent,
        trouble,
        verified_at: crate::state::report::last_pass(layout),
        last_test: last_test(layout),
        busy: Lock::present_holder(&layout.lock()).unwrap_or_default(),
        warnings: told_elsewhere(layout).into_iter().chain(warnings(layout)).collect(),
    })
}

/// The address people type; in a container no file says it.
fn url(world: &World) -> Result<Option<String>, Error> {
    if !world.layout.place().keeps_decisions() && world.layout.root().exists() {
        let settled = settle(world, &BTreeMap::new(), Source::default())?;
        return Ok(Some(settled.desired.site_url_text().to_owned()));
    }
    Ok(wanted_file(&world.layout)?.get("site_url").map(str::to_owned))
}

/// Stays until the agent has been stopped by somebody, or stops everything itself when the caller cancels.
///
/// # Errors
/// The agent ended without being told; a part does not stop.
pub async fn stay(world: &World, mut caller: Caller<'_>) -> Result<(), Error> {
    const LOOK: Duration = Duration::from_millis(500);
    let layout = &world.layout;
    // Its stop is not to be cancelled in its turn.
    let told = std::mem::take(&mut caller.cancel);
    loop {
        if told.is_cancelled() {
            let Caller { who, why, reader, .. } = &mut caller;
            let (who, why, cancel) = (who.clone(), why.clone(), CancellationToken::new());
            let (reader, faults, consent) = (&mut **reader, Faults::default(), Consent::Given);
            let stopper = Caller { who, why, reader, faults, cancel, consent };
            match runner::run(&Down, world, stopper).await {
                // Another operation is running; wait until it is done.
                Err(error) if error.exit == Exit::Busy => tokio::time::sleep(LOOK).await,
                stopped => return stopped.map(|_| ()),
            }
        }
        if Lock::present_holder(&layout.agent_lock())?.is_none() {
            // An agent that ends in order takes its socket with it.
            return if layout.socket().exists() {
                Err(Error::not_ready("the agent has ended without being told to")
                    .hint("`mainstay logs agent` has its last words; `mainstay up` starts everything again"))
            } else {
                Ok(())
            };
        }
        let _ = tokio::time::timeout(LOOK, told.cancelled()).await;
    }
}
