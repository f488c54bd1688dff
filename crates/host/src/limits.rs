//! What this process and its children may do: how many file descriptors they open, and how they make files.
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

/// Lets the owner use what this process makes, where the umask forbids even that: such files would fail later, and elsewhere. Others
/// get nothing then. To be called before there is a second thread.
pub fn repair_umask() {
    use rustix::fs::Mode;
    use rustix::process::umask;
    let found = umask(Mode::from_raw_mode(0o077));
    if !found.intersects(Mode::RWXU) {
        umask(found);
    }
}
