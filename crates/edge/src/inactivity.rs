//! A limit on how long nothing may happen.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::timer::Timer;

/// Expires when nothing has happened for a time. A [`reset`](InactivityTimer::reset) costs one store: the timer stays
/// armed, and is moved only when it fires too early.
#[derive(Debug)]
pub(crate) struct InactivityTimer {
    limit: Duration,
    inactive_since: Option<Instant>,
    timer: Timer,
}

impl InactivityTimer {
    pub(crate) fn new(limit: Duration) -> InactivityTimer {
        InactivityTimer { limit, inactive_since: None, timer: Timer::default() }
    }

    /// Something happened.
    pub(crate) fn reset(&mut self) {
        self.inactive_since = None;
    }

    /// Ready when nothing has happened for the limit, counted from the first call after a reset.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.inactive_since.get_or_insert_with(Instant::now);
        self.timer.poll(since.checked_add(self.limit), cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn a_reset_starts_the_time_anew() {
        let limit = Duration::from_millis(100);
        let mut timer = InactivityTimer::new(limit);
        let start = Instant::now();
        let first = poll_fn(|cx| Poll::Ready(timer.poll_expired(cx))).await;
        assert!(first.is_pending());
        tokio::time::sleep(limit / 2).await;
        timer.reset();
        poll_fn(|cx| timer.poll_expired(cx)).await;
        assert!(start.elapsed() >= limit * 3 / 2);
    }
}
