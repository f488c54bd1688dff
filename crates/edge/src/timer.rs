//! A timer for a deadline that mostly moves on before it comes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Made when it is first needed. It stays armed when the deadline moves on, and is moved only when it fires too early: a
/// deadline that moves with every byte costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready at the deadline, which must not be before that of an earlier call; `None` never comes.
    pub(crate) fn poll(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }

    /// Ready, with the time, whenever it fires: at the deadline, and after each `interval` before it. Poll it again after that.
    pub(crate) fn poll_fired(
        &mut self,
        deadline: Option<Instant>,
        interval: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<Instant> {
        let next = |now: Instant| deadline.map_or(now + interval, |deadline| deadline.min(now + interval));
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(next(Instant::now()))));
        ready!(timer.as_mut().poll(cx));
        let now = Instant::now();
        timer.as_mut().reset(next(now));
        Poll::Ready(now)
    }
}
