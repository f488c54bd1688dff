//! How far a long work has come.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes done so far: the work adds, a progress bar reads whenever it likes.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Bytes done so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Back to an earlier count, when a part has to be done again.
    pub(crate) fn reset(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}
