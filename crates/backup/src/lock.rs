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
        let location = || store.location();
        if let Some(lock) = store.list(FOREIGN_LOCKS)?.into_iter().next() {
            return Err(Error::ForeignLock { location: location(), lock: lock.name });
        }
        let holder = Holder::here(what);
        let content = serde_json::to_vec(&holder).map_err(|error| Error::Engine(error.to_string()))?;
        // Twice: a lock that was removed meanwhile, and one that was left by a process that has ended.
        for _ in 0..2 {
            if store.create(LOCK, &content)? {
                return Ok(Writer::renewed(store, holder));
            }
            let other = match store.read(LOCK) {
                Ok(bytes) => serde_json::from_slice::<Holder>(&bytes).ok(),
                Err(error) if error.is_missing() => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(other) = other else {
                if !take_over {
                    return Err(Error::Damaged {
                        location: location(),
                        why: format!("{LOCK} is there and cannot be read"),
                    });
                }
                store.remove(LOCK)?;
                continue;
            };
            let left = holder.renewed.duration_since(other.renewed) > LEFT_AFTER;
            match (other.has_ended(&holder), left, take_over) {
                (true, ..) | (_, true, true) => store.remove(LOCK)?,
                (false, true, false) => {
                    return Err(Error::LeftLocked { location: location(), holder: Box::new(other) });
                }
                (false, false, _) => {
                    return Err(Error::Busy { location: location(), holder: Box::new(other) });
                }
            }
        }
        Err(Error::Engine(format!("the lock in {} comes and goes; try again", location())))
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
