//! The processes that run here, with their arguments: how a process is found that left no file.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::procfs;

/// A process that this process sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its id.
    pub pid: u32,
    /// The user id that it acts with.
    pub uid: u32,
    /// Its program's name as it was called, then its arguments. Whoever starts a program chooses them freely.
    pub arguments: Vec<OsString>,
}

/// Every process that this process sees, but those that have ended.
pub fn all() -> impl Iterator<Item = Running> {
    procfs::pids().filter_map(of)
}

/// One process; `None` when it has ended.
pub fn of(pid: u32) -> Option<Running> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    // Empty for a process that has ended and that nobody took notice of, and for threads of the kernel.
    let words = line.strip_suffix(b"\0").unwrap_or(&line);
    let arguments: Vec<_> =
        words.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.into())).collect();
    let uid = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    (!line.is_empty()).then_some(Running { pid, uid, arguments })
}

/// A process, but this one, that has the file open, and that we may look at.
pub fn opener(path: &Path) -> Option<Running> {
    let file = path.metadata().ok()?;
    let is_it =
        |fd: &PathBuf| fd.metadata().is_ok_and(|open| (open.dev(), open.ino()) == (file.dev(), file.ino()));
    let opens = |pid: u32| descriptors(pid).any(|fd| is_it(&fd));
    procfs::pids().filter(|pid| *pid != std::process::id()).find(|pid| opens(*pid)).and_then(of)
}

/// What a process has open, as the kernel shows it.
fn descriptors(pid: u32) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(|fd| Some(fd.ok()?.path()))
}

impl Running {
    /// Where the files are that it has open, by the names that they have now, those of deleted files too; empty where we may not know.
    pub fn open_files(&self) -> impl Iterator<Item = PathBuf> {
        let names = descriptors(self.pid).filter_map(|fd| std::fs::read_link(fd).ok());
        names.map(|name| match name.to_str().and_then(|name| name.strip_suffix(" (deleted)")) {
            Some(name) => name.into(),
            None => name,
        })
    }

    /// Its number and its program, in words.
    pub fn in_words(&self) -> String {
        let program = Path::new(self.arguments.first().map_or("".as_ref(), OsString::as_os_str));
        match program.file_name() {
            Some(name) => format!("process {} ({})", self.pid, name.to_string_lossy().escape_debug()),
            None => format!("process {}", self.pid),
        }
    }

    /// Whether what this process calls `theirs` is the directory that we call `ours`: a container has other ones by the same names, and a
    /// directory may have several. Of a directory that was deleted only the name is left. `false` too where we may not know.
    pub fn means(&self, theirs: &Path, ours: &Path) -> bool {
        let Ok(below) = theirs.strip_prefix("/") else { return false };
        let process = Path::new("/proc").join(self.pid.to_string());
        let identity = |path: &Path| path.metadata().map(|meta| (meta.dev(), meta.ino()));
        match (identity(&process.join("root").join(below)), identity(ours)) {
            (Ok(theirs), Ok(ours)) => theirs == ours,
            (Err(_), Err(_)) => {
                let mounts = |of: &Path| std::fs::read_link(of.join("ns/mnt")).ok();
                theirs == ours
                    && mounts(&process).is_some_and(|theirs| mounts(Path::new("/proc/self")) == Some(theirs))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_with_its_arguments_until_it_has_ended() {
        let mut child = std::process::Command::new("sleep").arg("61.25").spawn().expect("a process");
        let is_it = |running: &Running| running.arguments == ["sleep", "61.25"].map(OsString::from);
        let mut found = None;
        for _ in 0..500 {
            found = all().find(|running| running.pid == child.id() && is_it(running));
            if found.is_some() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let found = found.expect("it is seen");
        let dir = tempfile::tempdir().expect("a directory");
        let (path, absent) = (dir.path(), dir.path().join("absent"));
        assert!(found.means(path, path) && found.means(&path.join("."), path));
        assert!(
            !found.means(&absent, path) && !found.means(path, &absent) && !found.means(path, Path::new("/"))
        );
        assert_eq!(found.uid, rustix::process::geteuid().as_raw());
        assert!(found.means(&absent, &absent), "both were deleted, and had one name");
        child.kill().expect("ended");
        child.wait().expect("waited");
        assert_eq!(of(found.pid), None);
    }
}
