//! A supervised program of a part.

use std::path::PathBuf;

use host::Supervisor;
use tokio::sync::watch;

use crate::control::protocol::LastRestart;
use crate::error::{Error, reason};
use crate::state::restarts::{self, PartRestart};

/// A program that is supervised, and what it was started as.
pub(super) struct Running<S> {
    pub spec: S,
    status: watch::Receiver<host::Status>,
    /// `None` while it is being stopped.
    pub supervisor: Option<Supervisor>,
}

/// How a supervised program is.
pub(super) struct Condition {
    pub pid: Option<u32>,
    pub restarts: u64,
    pub last_exit: Option<String>,
    pub last_restart: Option<LastRestart>,
}

impl<S> Running<S> {
    /// Its restarts that nobody asked for are written down in `restarts`, with the part's `name`.
    ///
    /// # Errors
    /// The machine has no thread or descriptor left.
    pub(super) fn new(
        spec: S,
        supervisor: std::io::Result<Supervisor>,
        name: &str,
        restarts: PathBuf,
    ) -> Result<Self, Error> {
        let supervisor = supervisor
            .map_err(|error| Error::not_ready(format!("{name} cannot be supervised: {}", reason(&error))))?;
        tokio::spawn(write_down(supervisor.status(), name.to_owned(), restarts));
        Ok(Self { spec, status: supervisor.status(), supervisor: Some(supervisor) })
    }

    pub(super) fn condition(&self) -> Condition {
        let status = self.status.borrow();
        let (pid, last_exit) = match &status.state {
            host::State::Running { pid, .. } => (Some(*pid), None),
            host::State::BackingOff { last_exit, .. } => (None, Some(last_exit.to_string())),
            host::State::Stopped { last_exit } => (None, last_exit.as_ref().map(ToString::to_string)),
            host::State::Starting => (None, None),
        };
        let last_restart =
            status.last_end.as_ref().map(|end| LastRestart { at: end.at_ms, why: end.exit.to_string() });
        Condition { pid, restarts: status.restarts.into(), last_exit, last_restart }
    }

    /// Whether the program has ended and waits for its next start.
    pub(super) fn waits_to_start(&self) -> bool {
        matches!(self.status.borrow().state, host::State::BackingOff { .. })
    }
}

/// Writes every restart down until the supervisor ends.
async fn write_down(mut status: watch::Receiver<host::Status>, part: String, path: PathBuf) {
    let end_of = |status: &mut watch::Receiver<host::Status>| status.borrow_and_update().last_end.clone();
    let mut known = end_of(&mut status);
    while status.changed().await.is_ok() {
        let end = end_of(&mut status);
        if end == known {
            continue;
        }
        known.clone_from(&end);
        let Some(end) = end else { continue };
        let restart = PartRestart { part: part.clone(), at: end.at_ms, why: end.exit.to_string() };
        let path = path.clone();
        let written = tokio::task::spawn_blocking(move || restarts::add(&path, restart)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "a restart is not in the history");
        }
    }
}
