//! How many file descriptors this process and its children may open.
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limits of open files; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// The limit in force.
    pub soft: Option<u64>,
    /// The limit up to which a user other than root may raise it.
    pub hard: Option<u64>,
}

/// The limits in force.
pub fn open_files() -> OpenFiles {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    OpenFiles { soft: current, hard: maximum }
}

/// Raises the soft limit to the hard one. Every websocket is a descriptor, and most systems start at 1024.
pub fn raise_open_files() -> io::Result<OpenFiles> {
    let now = open_files();
    setrlimit(Resource::Nofile, Rlimit { current: now.hard, maximum: now.hard })?;
    Ok(open_files())
}
