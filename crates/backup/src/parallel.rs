//! Work on many files, several at a time.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::watch::Watch;

/// How many files are written or read at a time. On a disk two are as fast as sixteen; in object storage each waits for its answer.
pub(crate) const FILES: usize = 8;

/// Calls `work` for each item, for `at_a_time` of them at once and in no order, and tells `watch` the bytes that are done. The first error ends it, and so does `watch`.
///
/// # Errors
/// That of `work`; it was cancelled.
pub(crate) fn for_each<T: Sync>(
    at_a_time: usize,
    items: &[T],
    size: impl Fn(&T) -> u64 + Sync,
    watch: &dyn Watch,
    work: impl Fn(&T) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let total = items.iter().map(&size).sum();
    let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let failure = Mutex::new(None);
    let take = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let worked = if watch.cancelled() { Err(Error::Cancelled) } else { work(item) };
            if let Err(error) = worked {
                // Nobody takes another.
                next.store(items.len(), Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                return;
            }
            let bytes = size(item);
            watch.bytes(done.fetch_add(bytes, Ordering::Relaxed) + bytes, Some(total));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..at_a_time.min(items.len()) {
            scope.spawn(take);
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
