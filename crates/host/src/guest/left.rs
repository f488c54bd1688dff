//! What guests of a killed process left running: programs that left their groups, and so stand in no pid file.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::{FIRST, MARK, MOST, Slot};
use crate::disk::DiskError;
use crate::leftover::PidFile;
use crate::procfs::{self, Stat};

/// How long what a guest left may take to end after KILL.
pub(super) const SWEEP: Duration = Duration::from_secs(2);
/// The time between two looks at what is left.
const LOOK: Duration = Duration::from_millis(5);

/// The value of [`MARK`] of a guest of this process. `what` tells it from an earlier one in the same slot.
pub fn mark(slot: &Slot, what: &str) -> String {
    format!("{}-{}-{what}", std::process::id(), slot.number())
}

/// Writes into `path` that this process has guests, for [`end_left`].
///
/// # Errors
/// The disk.
pub fn keep(path: &Path) -> Result<(), DiskError> {
    PidFile::of(std::process::id()).map_or(Ok(()), |keeper| keeper.write(path))
}

/// Ends (KILL) whatever guests of the process left that wrote `path` with [`keep`] and has ended since: all of their user ids, and
/// all that carry its mark. Returns how many there were. Blocks for at most two seconds.
pub fn end_left(path: &Path) -> usize {
    let Some(keeper) = PidFile::read(path).filter(|keeper| keeper.is_of_here() && !keeper.is_running())
    else {
        return 0;
    };
    // Another process may have the number by now, and guests of its own: they began after it. One that has ended and was not waited
    // for is the keeper itself, or has no guests that should live.
    let living = Stat::of(keeper.pid).filter(|now| now.state != 'Z');
    let before = living.map_or(u64::MAX, |now| now.started);
    let first = first_user(keeper.pid);
    let strays =
        Strays { uids: first..first + MOST, mark: format!("{MARK}={}-", keeper.pid).into(), is_whole: false };
    strays.end(before)
}

/// Ends (KILL) everything that runs in a slot of this process. Blocks for at most two seconds.
pub fn end_in(slot: &Slot) -> usize {
    let uid = first_user(std::process::id()) + slot.number();
    Strays { uids: uid..uid + 1, mark: format!("{MARK}={}", mark(slot, "")).into(), is_whole: false }
        .end(u64::MAX)
}

/// The user id of the guest in the first slot of this process; the others follow.
pub(super) fn first_user(pid: u32) -> u32 {
    FIRST + (pid % (1 << 22)) * MOST
}

/// How the processes are known that guests started and that left their groups.
#[derive(Debug, Clone)]
pub(super) struct Strays {
    /// Their user ids, which nobody else has. For root only.
    pub(super) uids: Range<u32>,
    /// What stands in their environment: a variable, or its beginning.
    pub(super) mark: Vec<u8>,
    /// Whether `mark` is the whole variable.
    pub(super) is_whole: bool,
}

impl Strays {
    fn is_one(&self, pid: u32) -> bool {
        self.has_user(pid) || self.has_mark(pid)
    }

    /// Whether the process is of a user that nobody else is.
    pub(super) fn has_user(&self, pid: u32) -> bool {
        // The owner of the directory is the process's effective user.
        let owner = fs::metadata(format!("/proc/{pid}")).map(|meta| meta.uid());
        geteuid().is_root() && owner.is_ok_and(|owner| self.uids.contains(&owner))
    }

    /// Whether the process carries the mark.
    pub(super) fn has_mark(&self, pid: u32) -> bool {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let is_mark = |variable: &[u8]| {
            if self.is_whole { variable == self.mark } else { variable.starts_with(&self.mark) }
        };
        !self.mark.is_empty() && environment.split(|byte| *byte == 0).any(is_mark)
    }

    /// Those that live and began before `before`, in clock ticks after boot.
    pub(super) fn living(&self, before: u64) -> Vec<u32> {
        let is_alive = |pid| Stat::of(pid).is_some_and(|stat| stat.state != 'Z' && stat.started < before);
        procfs::pids()
            .filter(|pid| *pid != std::process::id() && is_alive(*pid) && self.is_one(*pid))
            .collect()
    }

    fn end(&self, before: u64) -> usize {
        let deadline = Instant::now() + SWEEP;
        let mut ended = 0;
        loop {
            let living = self.living(before);
            ended = ended.max(living.len());
            kill(&living);
            if living.is_empty() || Instant::now() >= deadline {
                return ended;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The same, for what waits on others meanwhile.
    pub(super) async fn sweep(&self) {
        let deadline = Instant::now() + SWEEP;
        loop {
            let living = self.living(u64::MAX);
            kill(&living);
            if living.is_empty() || Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn kill(pids: &[u32]) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};

    use super::*;

    fn sleeper(mark: &str) -> Child {
        Command::new("/bin/sleep").arg("60").env(MARK, mark).process_group(0).spawn().unwrap()
    }

    #[test]
    fn what_a_killed_process_left_is_ended_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keeper");
        let mut keeper = sleeper("");
        let pid = keeper.id();
        let file = PidFile::of(pid).unwrap();
        file.write(&path).unwrap();
        let (mut left, mut other) = (sleeper(&format!("{pid}-3-8080")), sleeper(&format!("{pid}1-3-8080")));
        // A process's environment is the old one until it has become the new program.
        while !fs::read(format!("/proc/{}/cmdline", left.id())).unwrap().starts_with(b"/bin/sleep") {
            std::thread::sleep(LOOK);
        }
        assert_eq!(end_left(&path), 0, "its keeper lives");
        keeper.kill().unwrap();
        // As long as nobody has waited for it, it is there and has ended.
        let stat = format!("/proc/{pid}/stat");
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::sleep(LOOK);
        }
        assert_eq!(end_left(&path), 1);
        keeper.wait().unwrap();
        assert!(!left.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "a guest of another process");
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
