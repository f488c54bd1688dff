//! What somebody else knows of the upstream: that it takes connections and answers nothing.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How often a request that waits for the upstream looks whether it has fallen silent.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// Whether the upstream is known to be silent. Whoever watches it says so; the edge then answers in its place, because a
/// request would only wait. A request that waits for its answer is answered, too. An answer that has begun and websockets stay, and may
/// go on yet.
#[derive(Debug, Default)]
pub struct Silence {
    is_silent: AtomicBool,
}

impl Silence {
    /// From now on the upstream is silent, or answers again. Whether that is news.
    pub fn set(&self, is_silent: bool) -> bool {
        self.is_silent.swap(is_silent, Relaxed) != is_silent
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent.load(Relaxed)
    }

    /// Returns when the upstream is silent.
    pub(crate) async fn begins(&self) {
        while !self.is_silent() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
