//! A limit on waiting.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A limit on one uninterrupted wait. Progress costs a store: the timer stays armed and is moved only when it fires early.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Patience {
        Patience { limit, waiting_since: None, timer: None }
    }

    /// Something happened: the wait is over.
    pub(crate) fn progressed(&mut self) {
        self.waiting_since = None;
    }

    /// Ready when the present wait has lasted the limit. The first call after progress begins the wait.
    pub(crate) fn poll_exhausted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let Some(deadline) = since.checked_add(self.limit) else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn progress_starts_the_wait_anew() {
        let limit = Duration::from_millis(100);
        let mut patience = Patience::new(limit);
        let start = Instant::now();
        let first = poll_fn(|cx| Poll::Ready(patience.poll_exhausted(cx))).await;
        assert!(first.is_pending());
        tokio::time::sleep(limit / 2).await;
        patience.progressed();
        poll_fn(|cx| patience.poll_exhausted(cx)).await;
        assert!(start.elapsed() >= limit * 3 / 2);
    }
}
