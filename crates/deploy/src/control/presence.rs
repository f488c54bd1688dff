//! The agent's process, found without its socket: whoever deletes files in `run/` must not make our own agent a stranger.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use host::running::{self, Running};
use plan::Lock;

use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::whereabouts::is_here;

/// The process of the deployment's agent, where this process sees it: the holder of the agent's lock, or the one that was started as
/// the agent of this directory.
pub(crate) fn process(layout: &Layout) -> Option<u32> {
    let holder = Lock::present_holder(&layout.agent_lock()).ok().flatten().filter(is_here);
    let by_lock =
        holder.and_then(|holder| running::of(holder.pid)).filter(|found| is_agent_of(layout, found));
    by_lock.or_else(|| running::all().find(|found| is_agent_of(layout, found))).map(|found| found.pid)
}

/// Whether an agent runs the deployment, here or elsewhere.
///
/// # Errors
/// The lock cannot be looked at.
pub(crate) fn lives(layout: &Layout) -> Result<bool, Error> {
    Ok(Lock::present_holder(&layout.agent_lock())?.is_some() || process(layout).is_some())
}

/// Whether the process was started as the agent of this directory, by whom the directory belongs to, or by this user. Anybody can
/// start a program with such arguments: a stranger's counts for nothing.
fn is_agent_of(layout: &Layout, found: &Running) -> bool {
    let root = layout.root();
    let Some(dir) = agent_directory(found) else { return false };
    // The name may have become another directory's, or none's, since the agent was started.
    if let Some(now) = directory_now(found) {
        return is_user_of(root, found) && found.means(&now, root);
    }
    is_user_of(root, found) && found.means(dir, root)
}

fn is_user_of(root: &Path, found: &Running) -> bool {
    let owner = root.metadata().map(|meta| meta.uid()).ok();
    owner == Some(found.uid) || found.uid == rustix::process::geteuid().as_raw()
}

/// Where the directory of an agent is now: the kernel follows the lock that it has open. `None` where we may not know.
fn directory_now(found: &Running) -> Option<PathBuf> {
    let lock = Layout::new("/").agent_lock();
    let lock = lock.strip_prefix("/").ok()?;
    let dir = |file: PathBuf| {
        file.ends_with(lock).then(|| file.ancestors().nth(lock.components().count()).map(Path::to_owned))?
    };
    found.open_files().find_map(dir)
}

/// An agent whose directory was moved while it runs: it goes on with paths that are no longer there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The agent.
    pub pid: u32,
    /// Where the directory was.
    pub from: PathBuf,
}

/// The agent of this directory, where the directory was moved since it was started.
pub(crate) fn moved(layout: &Layout) -> Option<Moved> {
    let found = running::of(process(layout)?)?;
    let from = agent_directory(&found)?;
    (!found.means(from, layout.root())).then(|| Moved { pid: found.pid, from: from.to_owned() })
}

/// Where the directory went that had this name when an agent was started, and that is not there any more.
pub(crate) fn moved_to(layout: &Layout) -> Option<PathBuf> {
    let went = |found: Running| {
        let now = directory_now(&found).filter(|_| agent_directory(&found) == Some(layout.root()))?;
        (!found.means(&now, layout.root())).then_some(now)
    };
    running::all().find_map(went)
}

impl Moved {
    /// Why nothing can be done but to stop it.
    pub(crate) fn refusal(&self, layout: &Layout) -> Error {
        let (pid, from, now) = (self.pid, self.from.display(), layout.root().display());
        Error::new(
            Exit::Refused,
            format!("{now} was moved there from {from} while it ran: its agent (process {pid}) and its server still use the old name"),
        )
        .hint("`mainstay down` stops them, then `mainstay up` starts everything under the new name; nothing has been changed")
    }
}

/// The directory that the process was started as the agent of, by the name that it had then.
pub(crate) fn agent_directory(found: &Running) -> Option<&Path> {
    let [_, agent, flag, dir, ..] = &found.arguments[..] else { return None };
    (agent == "agent" && flag == "--dir").then_some(Path::new(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_started_as_the_agent_of_this_directory_is_its_agent() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        let root = dir.path().to_str().expect("text");
        let me = rustix::process::geteuid().as_raw();
        // Not this process: other tests have locks open in it.
        let mut other = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
        let pid = other.id();
        let found =
            |uid, words: &[&str]| Running { pid, uid, arguments: words.iter().map(Into::into).collect() };
        assert!(is_agent_of(&layout, &found(me, &["/usr/bin/mainstay", "agent", "--dir", root])));
        assert!(is_agent_of(&layout, &found(me, &["mainstay", "agent", "--dir", root, "--handed-over"])));
        for words in [
            &["mainstay", "--dir", root, "restart", "agent"][..],
            &["mainstay", "agent", "--dir", "/elsewhere"],
            &["mainstay", "logs", "agent", "--dir", root],
            &["mainstay"],
            &[],
        ] {
            assert!(!is_agent_of(&layout, &found(me, words)), "{words:?}");
        }
        assert!(!is_agent_of(&layout, &found(me + 54_321, &["mainstay", "agent", "--dir", root])));
        assert_eq!(process(&layout), None);
        other.kill().and_then(|()| other.wait()).expect("ended");
    }
}
