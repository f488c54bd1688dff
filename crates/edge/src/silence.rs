//! What somebody else knows of the upstream: that it takes connections and answers nothing.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether the upstream is known to be silent. Whoever watches it says so; the edge then answers in its place, because a
/// request would only wait. Connections that are open stay, and may get their answers yet.
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
}
