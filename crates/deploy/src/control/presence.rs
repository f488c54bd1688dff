//! The agent's process, found without its socket: whoever deletes files in `run/` must not make our own agent a stranger.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use host::running::{self, Running};
use plan::Lock;

use crate::error::Error;
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
    let owner = root.metadata().map(|meta| meta.uid()).ok();
    let is_ours = owner == Some(found.uid) || found.uid == rustix::process::geteuid().as_raw();
    is_ours && found.means(dir, root)
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
        let found = |uid, words: &[&str]| Running {
            pid: std::process::id(),
            uid,
            arguments: words.iter().map(Into::into).collect(),
        };
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
    }
}
