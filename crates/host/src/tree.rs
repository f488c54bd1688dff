//! Removes a directory tree while other processes may write in it.
//!
//! Works through directory descriptors and never follows a link. If a service user replaces a directory by a link to `/etc`
//! while root removes the data, the link is removed, and not `/etc`.
//!
//! Several threads remove at a time: where the disk discards what is freed, each removal waits for it.
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fchmod, openat, unlinkat};
use rustix::io::Errno;

use crate::disk::DiskError;

const OPEN: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// How many threads remove at a time.
const AT_A_TIME: usize = 8;

/// Removes `path` and, if it is a directory, everything in it, including read-only directories. Links are removed and not
/// followed. It is not an error if there is nothing at `path`.
pub fn remove_tree(path: &Path) -> Result<(), DiskError> {
    let fail = |e: io::Error| DiskError::new("remove", path, e);
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(fail(e)),
        Ok(meta) if !meta.is_dir() => return fs::remove_file(path).map_err(fail),
        Ok(_) => {}
    }
    let dir = openat(CWD, path, OPEN, Mode::empty()).map_err(|e| fail(e.into()))?;
    empty(dir).map_err(|e| fail(e.into()))?;
    fs::remove_dir(path).map_err(fail)
}

/// A directory that is being emptied.
struct Folder {
    dir: OwnedFd,
    /// The directory that it is in, and its name there; `None` = the one that is emptied and stays.
    within: Option<(Arc<Folder>, CString)>,
    /// Directories in it that are still there, and one more while its names are being read.
    left: AtomicUsize,
}

/// What the threads share.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Directories that nobody has taken yet. The newest is taken first, so that few are open at a time.
    waiting: Vec<(Arc<Folder>, CString)>,
    /// Threads that work, and may add to them.
    working: usize,
    failure: Option<Errno>,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next directory; `None` = all are removed, or one cannot be.
    fn next(&self) -> Option<(Arc<Folder>, CString)> {
        let mut state = self.state();
        loop {
            if state.failure.is_some() {
                return None;
            }
            if let Some(next) = state.waiting.pop() {
                state.working += 1;
                return Some(next);
            }
            if state.working == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self) {
        while let Some((within, name)) = self.next() {
            let removed = self.remove_folder(within, name);
            let mut state = self.state();
            state.working -= 1;
            if let Err(error) = removed {
                state.failure.get_or_insert(error);
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    fn remove_folder(&self, within: Arc<Folder>, name: CString) -> Result<(), Errno> {
        match openat(&within.dir, &*name, OPEN, Mode::empty()) {
            Ok(dir) => {
                let left = AtomicUsize::new(1);
                self.remove_names(&Arc::new(Folder { dir, within: Some((within, name)), left }))
            }
            // Not a directory, or not any more.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                remove_at(within.dir.as_fd(), &name, AtFlags::empty())?;
                one_less(&within)
            }
            Err(Errno::NOENT) => one_less(&within),
            Err(e) => Err(e),
        }
    }

    /// Removes the files of a directory and has its directories wait for a thread.
    fn remove_names(&self, folder: &Arc<Folder>) -> Result<(), Errno> {
        // A release is read-only; its owner may still remove it.
        match fchmod(&folder.dir, Mode::RWXU) {
            Ok(()) | Err(Errno::PERM) => {}
            Err(e) => return Err(e),
        }
        // First list, then remove: a removal during the reading may skip entries.
        let names: Vec<_> = Dir::read_from(&folder.dir)?
            .filter(|entry| !matches!(entry, Ok(e) if e.file_name() == c"." || e.file_name() == c".."))
            .map(|entry| entry.map(|e| (e.file_name().to_owned(), e.file_type())))
            .collect::<Result<_, _>>()?;
        let is_folder = |kind: FileType| matches!(kind, FileType::Directory | FileType::Unknown);
        let (folders, files): (Vec<_>, Vec<_>) = names.into_iter().partition(|(_, kind)| is_folder(*kind));
        if !folders.is_empty() {
            folder.left.fetch_add(folders.len(), Ordering::AcqRel);
            let waiting = folders.into_iter().map(|(name, _)| (Arc::clone(folder), name));
            self.state().waiting.extend(waiting);
            self.changed.notify_all();
        }
        for (name, _) in files {
            remove_at(folder.dir.as_fd(), &name, AtFlags::empty())?;
        }
        one_less(folder)
    }
}

/// One directory less is in it, or its names are read. Whoever does the last removes it, and what is empty by that.
fn one_less(folder: &Arc<Folder>) -> Result<(), Errno> {
    let mut folder = folder;
    while folder.left.fetch_sub(1, Ordering::AcqRel) == 1 {
        let Some((within, name)) = &folder.within else { break };
        remove_at(within.dir.as_fd(), name, AtFlags::REMOVEDIR)?;
        folder = within;
    }
    Ok(())
}

/// Removes everything in a directory.
fn empty(dir: OwnedFd) -> Result<(), Errno> {
    let queue = Queue::default();
    queue.remove_names(&Arc::new(Folder { dir, within: None, left: AtomicUsize::new(1) }))?;
    let helpers = if queue.state().waiting.is_empty() { 0 } else { AT_A_TIME - 1 };
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            // Where no thread can be had, those that there are do it.
            let _ = std::thread::Builder::new().spawn_scoped(scope, || queue.work());
        }
        queue.work();
    });
    let failure = queue.state().failure;
    failure.map_or(Ok(()), Err)
}

/// Removes a name. It is not an error if another process has removed it.
fn remove_at(dir: BorrowedFd<'_>, name: &CStr, how: AtFlags) -> Result<(), Errno> {
    match unlinkat(dir, name, how) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}
