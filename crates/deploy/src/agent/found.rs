//! The agent stays where commands find it: if its lock's file, its socket or `run/` itself is deleted, it makes them again.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plan::Lock;

use super::{Agent, listen};
use crate::error::Error;
use crate::place::machine::make_dir;

/// How often the agent looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Looks for ever.
pub(super) async fn keep(agent: &Agent) {
    // The socket that was opened last, which has no other name.
    let mut socket = identity_of(&agent.layout.socket());
    let mut told = String::new();
    loop {
        tokio::time::sleep(PERIOD).await;
        // What is being changed may be this very agent: a hand-over takes both along.
        let Ok(_turn) = agent.turn.try_lock() else { continue };
        match agent.be_found(&mut socket) {
            Ok(()) => told.clear(),
            // Told once, and tried again.
            Err(error) if error.what == told => {}
            Err(error) => {
                tracing::error!(%error, "commands cannot find this agent");
                told = error.what;
            }
        }
    }
}

/// Device and inode of a file or directory.
pub(super) fn identity_of(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
}

impl Agent {
    /// Makes again what is missing of that by which commands find this agent.
    fn be_found(&self, socket: &mut Option<(u64, u64)>) -> Result<(), Error> {
        let layout = &self.layout;
        // The directory was moved away, or deleted: what has its name now is not this agent's.
        if self.root.is_none() || identity_of(layout.root()) != self.root {
            return Ok(());
        }
        let ours = rustix::fs::fstat(&*self.lock()).ok().map(|file| (file.st_dev, file.st_ino));
        let is_locked = ours.is_some() && identity_of(&layout.agent_lock()) == ours;
        let is_open = socket.is_some() && identity_of(&layout.socket()) == *socket;
        if is_locked && is_open {
            return Ok(());
        }
        make_dir(&layout.run(), 0o700, None)?;
        if !is_locked {
            let lock = Lock::acquire(&layout.agent_lock(), &self.holder)?;
            *self.lock() = lock;
        }
        if !is_open {
            self.control.send_replace(Arc::new(listen(layout)?));
            *socket = identity_of(&layout.socket());
        }
        tracing::warn!("files in `run` were deleted: the lock and the socket of this agent are there again");
        Ok(())
    }
}
