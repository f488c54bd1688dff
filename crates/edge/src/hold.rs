//! A server that is being replaced: requests wait until the next one is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::sync::watch;

use crate::outage::Outage;

/// The header with the word that lets a request through a hold. Never passed on while there is one.
pub const PASS: HeaderName = HeaderName::from_static("x-mainstay-pass");

/// Whether requests wait. Whoever replaces the server says so before it stops it, and ends it when the next one is proven. Several
/// edges may share one.
///
/// A request that has begun goes on. One that arrives waits, its body unread; websockets are told "going away" (1001), and their
/// clients wait as they connect again. A request with the [pass](PASS) does not wait: so the next server is tested through the edge.
#[derive(Debug, Default)]
pub struct Hold {
    /// What is asked for each request.
    is_on: AtomicBool,
    /// The pass, while there is a hold.
    pass: watch::Sender<Option<Arc<str>>>,
}

impl Hold {
    /// From now on requests wait, but for those with the pass.
    pub fn begin(&self, pass: &str) {
        self.is_on.store(true, Relaxed);
        self.pass.send_replace(Some(pass.into()));
    }

    /// Requests go on. Whether there was a hold.
    pub fn end(&self) -> bool {
        self.is_on.store(false, Relaxed);
        self.pass.send_replace(None).is_some()
    }

    /// Whether requests wait.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// Whether a request may go on at once. Takes the pass out of its head.
    pub(crate) fn passes(&self, headers: &mut HeaderMap) -> bool {
        let shown = headers.remove(PASS);
        let pass = self.pass.borrow();
        match (&*pass, shown) {
            (Some(pass), Some(shown)) => {
                // Whoever guesses learns nothing from how long this takes.
                let (pass, shown) = (pass.as_bytes(), shown.as_bytes());
                pass.len() == shown.len()
                    && pass.iter().zip(shown).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
            }
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// Returns when the hold is over.
    pub(crate) async fn over(&self, limit: Duration) -> Result<(), Outage> {
        let mut pass = self.pass.subscribe();
        let over = pass.wait_for(Option::is_none);
        // The sender is ours, so it is not gone.
        tokio::time::timeout(limit, over).await.map(drop).map_err(|_| Outage::Held)
    }

    /// Returns when there is a hold.
    pub(crate) async fn begins(&self) {
        // The sender is ours, so it is not gone.
        let _ = self.pass.subscribe().wait_for(Option::is_some).await;
    }
}
