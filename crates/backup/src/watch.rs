//! Who looks on while a repository is read or written.
use std::fmt::Debug;
use std::sync::Arc;

use rustic_core::{Progress, ProgressBars, ProgressType, RusticProgress};

/// Hears of progress, and may end the work. Called from several threads.
pub trait Watch: Send + Sync + 'static {
    /// `done` of `total` bytes; a total of `None` is not known yet.
    fn bytes(&self, done: u64, total: Option<u64>);

    /// Whether the work is to end as soon as it can.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Nobody looks on.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Watch for Silent {
    fn bytes(&self, _: u64, _: Option<u64>) {}
}

/// The engine's progress in bytes, told to a [`Watch`]. Its counters and spinners are of no use to anybody.
pub(crate) struct Bars(pub Arc<dyn Watch>);

impl Debug for Bars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bars")
    }
}

impl ProgressBars for Bars {
    fn progress(&self, kind: ProgressType, _prefix: &str) -> Progress {
        match kind {
            ProgressType::Bytes => Progress::new(Bar::new(Arc::clone(&self.0))),
            ProgressType::Spinner | ProgressType::Counter => Progress::hidden(),
        }
    }
}

struct Bar {
    watch: Arc<dyn Watch>,
    state: std::sync::Mutex<(u64, Option<u64>)>,
}

impl Bar {
    fn new(watch: Arc<dyn Watch>) -> Bar {
        Bar { watch, state: std::sync::Mutex::new((0, None)) }
    }

    fn change(&self, change: impl FnOnce(&mut (u64, Option<u64>))) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut state);
        self.watch.bytes(state.0, state.1);
    }
}

impl Debug for Bar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bar")
    }
}

impl RusticProgress for Bar {
    fn is_hidden(&self) -> bool {
        false
    }

    fn set_length(&self, length: u64) {
        self.change(|state| state.1 = Some(length));
    }

    fn set_title(&self, _: &str) {}

    fn inc(&self, bytes: u64) {
        self.change(|state| state.0 = state.0.saturating_add(bytes));
    }

    fn finish(&self) {}
}
