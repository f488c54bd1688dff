//! What all connections of one worker share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Book;
use crate::addresses::Addresses;
use crate::counters::Counters;
use crate::hold::Hold;
use crate::limits::Limits;
use crate::silence::Silence;
use crate::upstream::Upstream;

/// What all connections of one worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) limits: Limits,
    pub(crate) counters: Arc<Counters>,
    /// The connections of each client, in all workers.
    pub(crate) connections: Arc<Addresses>,
    /// The requests under way of each client behind trusted proxies, in all workers.
    pub(crate) requests: Arc<Addresses>,
    /// What this worker has to say in the access log.
    pub(crate) book: Arc<Book>,
    pub(crate) silence: Arc<Silence>,
    pub(crate) hold: Arc<Hold>,
    /// Connections and websocket relays that have not ended.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the edge drains: finish what has begun, begin nothing new.
    pub(crate) drain: CancellationToken,
}
