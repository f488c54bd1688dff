//! A hold whose operation was killed: people wait at the edge, and nobody is left who would let them through.
//!
//! An operation holds the deployment's lock for as long as it lives, so a hold without that lock belongs to nobody. The server may be
//! stopped then, and the database half migrated: the agent does not let people through, it begins `mainstay recover`, which finishes or
//! takes back the interrupted run as the next command would.

use std::path::Path;
use std::time::Duration;

use host::leftover::PidFile;
use plan::Lock;
use tokio::time::Instant;

use super::Agent;
use super::found::identity_of;
use crate::boot::attempt::wait_after;
use crate::error::Error;
use crate::state::words::RECOVER;
use crate::world::World;

/// What the history says about it.
const WHY: [&str; 2] = ["--why", "people waited at the edge for an operation that was killed"];

/// How often is looked.
const PERIOD: Duration = Duration::from_millis(500);

/// How long the lock must be free: whoever types the next command at once goes on with the run.
const GRACE: Duration = Duration::from_secs(2);

/// Looks for ever.
pub(super) async fn watch(agent: &Agent, world: &World) {
    let mut abandoned = Abandoned::default();
    let mut process: Option<PidFile> = None;
    loop {
        tokio::time::sleep(PERIOD).await;
        if let Some(running) = &process {
            let Some(exit) = running.ended() else { continue };
            process = None;
            let code = exit.map(|exit| exit.code());
            tracing::info!(code, "the recovery has ended");
            abandoned.ended(code == Some(0));
        }
        // A directory that was moved away has a lock of its own.
        let is_ours = agent.root.is_some() && identity_of(agent.layout.root()) == agent.root;
        let holds = is_ours && agent.hold.is_on();
        if abandoned.is_over_due(holds, holds && is_busy(&agent.layout.lock()).await, Instant::now()) {
            match begin(world) {
                Ok(begun) => process = Some(begun),
                Err(error) => {
                    tracing::error!(%error, "people wait at the edge, and the recovery cannot begin");
                    abandoned.ended(false);
                }
            }
        }
    }
}

/// Whether an operation lives. A lock that cannot be read is taken for one that is held.
async fn is_busy(lock: &Path) -> bool {
    let lock = lock.to_owned();
    // It may wait for whoever writes down who holds the lock.
    let looked = tokio::task::spawn_blocking(move || Lock::present_holder(&lock));
    !matches!(looked.await, Ok(Ok(None)))
}

/// Starts the recovery, in a session of its own: it may have to stop what this agent runs.
fn begin(world: &World) -> Result<PidFile, Error> {
    let World { layout, mainstay, env, .. } = world;
    let output = layout.run().join("recovery.out");
    host::disk::remove_file(&output)?;
    let words = ["leave-session".into(), "--".into(), mainstay.into(), RECOVER.into()];
    let args = words
        .into_iter()
        .chain(WHY.map(Into::into).into_iter().chain(["--json".into(), "--dir".into(), layout.root().into()]))
        .collect();
    let daemon =
        host::daemon::Daemon { program: mainstay.clone(), args, env: env.clone(), cwd: "/".into(), output };
    let child = daemon.start()?;
    tracing::warn!(
        pid = child.id(),
        "the operation that let people wait at the edge was killed: its run is finished or taken back"
    );
    PidFile::of(child.id()).ok_or_else(|| Error::not_ready("its process has gone"))
}

/// What is known of a hold that may be nobody's.
#[derive(Debug, Default)]
struct Abandoned {
    /// Since when it has been seen that there is a hold and nobody has the lock.
    since: Option<Instant>,
    /// How many recoveries of this hold have failed.
    failed: u32,
}

impl Abandoned {
    /// Whether a recovery is to begin now.
    fn is_over_due(&mut self, holds: bool, is_busy: bool, now: Instant) -> bool {
        if !holds {
            *self = Self::default();
        }
        if !holds || is_busy {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now.duration_since(since) >= GRACE + wait_after(self.failed)
    }

    /// A recovery has ended.
    fn ended(&mut self, well: bool) {
        self.since = None;
        self.failed = if well { 0 } else { self.failed.saturating_add(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_that_nobody_has_is_recovered_after_a_moment_and_less_often_after_failures() {
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let mut abandoned = Abandoned::default();
        assert!(!abandoned.is_over_due(false, false, at(0)), "nobody waits");
        assert!(!abandoned.is_over_due(true, true, at(500)), "an operation lives");
        assert!(!abandoned.is_over_due(true, false, at(1000)), "the next command may take it");
        assert!(!abandoned.is_over_due(true, true, at(2000)), "it did");
        assert!(!abandoned.is_over_due(true, false, at(3000)));
        assert!(!abandoned.is_over_due(true, false, at(4999)));
        assert!(abandoned.is_over_due(true, false, at(5000)));
        // Three at once, then with a wait.
        for failed in 0..3 {
            assert_eq!(abandoned.failed, failed);
            abandoned.ended(false);
        }
        assert!(!abandoned.is_over_due(true, false, at(6000)));
        assert!(!abandoned.is_over_due(true, false, at(8000)));
        assert!(abandoned.is_over_due(true, false, at(18_000)));
        // A hold that ended and another one begin anew.
        assert!(!abandoned.is_over_due(false, false, at(19_000)));
        assert_eq!(abandoned.failed, 0);
    }
}
