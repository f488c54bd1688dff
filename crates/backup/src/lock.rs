//! One writer at a time: a file `mainstay.lock` in the repository, which its writer renews.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::error::Error;
use crate::holder::Holder;
use crate::store::Shared;

const LOCK: &str = "mainstay.lock";
/// restic keeps a file here for as long as it works.
const FOREIGN_LOCKS: &str = "locks";
/// How often a writer says that it is still there.
const RENEWAL: Duration = Duration::from_secs(60);
/// A lock that was not renewed for so long was left behind.
const LEFT_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// The right to write to a repository. It ends when this is dropped.
pub struct Writer {
    store: Shared,
    holder: Holder,
    lost: Arc<AtomicBool>,
    renewal: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Writer {
    /// Takes the lock, or says who has it. The lock of a process of this host that has ended is taken over; another's that was
    /// left is taken over only if `take_over` says so.
    pub(crate) fn take(store: &Shared, what: &str, take_over: bool) -> Result<Writer, Error> {
        let holder = Holder::here(what);
        let content = serde_json::to_vec(&holder).map_err(|error| Error::Engine(error.to_string()))?;
        // Twice: a lock that was removed meanwhile, and one that was left by a process that has ended.
        for _ in 0..2 {
            let is_left = left(store, &holder, take_over)?;
            if store.create(LOCK, &content)? {
                return Ok(Writer::renewed(store, holder));
            }
            if is_left {
                store.remove(LOCK)?;
            }
        }
        // Somebody was faster.
        left(store, &holder, false)?;
        Err(Error::Engine(format!("the lock in {} comes and goes; try again", store.location())))
    }

    fn renewed(store: &Shared, holder: Holder) -> Writer {
        let lost = Arc::new(AtomicBool::new(false));
        let (end, ended) = mpsc::channel::<()>();
        let thread = {
            let (store, mut holder, lost) = (Arc::clone(store), holder.clone(), Arc::clone(&lost));
            thread::spawn(move || {
                while ended.recv_timeout(RENEWAL) == Err(mpsc::RecvTimeoutError::Timeout) {
                    // A place that cannot be reached now may be reached again: only another's lock means that this one is lost.
                    match held_by(&store) {
                        Ok(Some(nonce)) if nonce == holder.nonce => {}
                        Ok(_) => {
                            lost.store(true, Ordering::SeqCst);
                            return;
                        }
                        Err(_) => continue,
                    }
                    holder.renewed = Timestamp::now();
                    if let Ok(content) = serde_json::to_vec(&holder) {
                        let _ = store.write(LOCK, &[Bytes::from(content)]);
                    }
                }
            })
        };
        Writer { store: Arc::clone(store), holder, lost, renewal: Some((end, thread)) }
    }

    /// Looks whether the lock is still ours: before a snapshot is called complete.
    pub(crate) fn assert_held(&self) -> Result<(), Error> {
        let held = held_by(&self.store)? == Some(self.holder.nonce);
        if held && !self.lost.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(Error::LockLost { location: self.store.location() })
    }
}

/// Whether a lock is there that its holder left, and that may be taken over. Nothing is written.
///
/// # Errors
/// Somebody has it, or left it and `take_over` does not say that it may be taken; restic is at work.
pub(crate) fn left(store: &Shared, here: &Holder, take_over: bool) -> Result<bool, Error> {
    let location = store.location();
    if let Some(lock) = store.list(FOREIGN_LOCKS)?.into_iter().next() {
        return Err(Error::ForeignLock { location, lock: lock.name });
    }
    let other = match store.read(LOCK) {
        Ok(bytes) => serde_json::from_slice::<Holder>(&bytes).ok(),
        Err(error) if error.is_missing() => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let Some(other) = other else {
        let why = format!("{LOCK} is there and cannot be read");
        return if take_over { Ok(true) } else { Err(Error::Damaged { location, why }) };
    };
    // A clock that was ahead has dated it after now, and would have it never grow old.
    let is_old = here.renewed.duration_since(other.renewed).abs() > LEFT_AFTER;
    match (other.has_ended(here), is_old, take_over) {
        (true, ..) | (_, true, true) => Ok(true),
        (false, true, false) => Err(Error::LeftLocked { location, holder: Box::new(other) }),
        (false, false, _) => Err(Error::Busy { location, holder: Box::new(other) }),
    }
}

/// Whose lock is there.
fn held_by(store: &Shared) -> Result<Option<u64>, Error> {
    match store.read(LOCK) {
        Ok(bytes) => Ok(serde_json::from_slice::<Holder>(&bytes).ok().map(|holder| holder.nonce)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.renewal.take() {
            drop(end);
            let _ = thread.join();
        }
        if matches!(held_by(&self.store), Ok(Some(nonce)) if nonce == self.holder.nonce) {
            let _ = self.store.remove(LOCK);
        }
    }
}
