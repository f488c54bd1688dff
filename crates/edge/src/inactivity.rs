//! A limit on how long nothing may happen.

use std::task::{Context, Poll, ready};
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

/// Why a wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing has happened for the limit.
    Expired,
    /// It is known that nothing will happen.
    InVain,
}

/// A limit on how long nothing may happen, which looks now and then whether the wait is in vain.
#[derive(Debug)]
pub(crate) struct WatchfulTimer {
    limit: Duration,
    /// The longest time between two looks.
    look: Duration,
    inactive_since: Option<Instant>,
    timer: Timer,
}

impl WatchfulTimer {
    pub(crate) fn new(limit: Duration, look: Duration) -> WatchfulTimer {
        WatchfulTimer { limit, look, inactive_since: None, timer: Timer::default() }
    }

    /// Something happened.
    pub(crate) fn reset(&mut self) {
        self.inactive_since = None;
    }

    /// Ready when nothing has happened for the limit, counted from the first call after a reset, or when a look shows that the wait is
    /// in vain. The looks cost nothing as long as the timer does not fire.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>, is_in_vain: impl Fn() -> bool) -> Poll<End> {
        let since = *self.inactive_since.get_or_insert_with(Instant::now);
        // Without an end where the limit is beyond all times.
        let deadline = since.checked_add(self.limit);
        loop {
            let now = ready!(self.timer.poll_fired(deadline, self.look, cx));
            if is_in_vain() {
                return Poll::Ready(End::InVain);
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Poll::Ready(End::Expired);
            }
        }
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
