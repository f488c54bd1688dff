//! A byte counter for progress bars.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes done so far. The working thread adds to it; a progress bar may read it at any time.
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

    /// Goes back to an earlier count, before a part is done again.
    pub(crate) fn reset(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}
