//! What all connections of one worker share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::counters::Counters;
use crate::limits::Limits;
use crate::upstream::Upstream;

/// What all connections of one worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) limits: Limits,
    pub(crate) counters: Arc<Counters>,
    /// Connections and websocket relays that have not ended.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the edge drains: finish what has begun, begin nothing new.
    pub(crate) drain: CancellationToken,
}
