//! How long a client may keep the edge waiting.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::timer::Timer;

/// What a client has left of the time in which it may keep the edge waiting. Waiting uses it up; bytes that move give some
/// back, at the least rate, up to the longest pause.
#[derive(Debug, Clone, Copy)]
struct Account {
    left: Duration,
    pause: Duration,
    /// Nanoseconds that one byte gives back.
    per_byte: u64,
    /// What is left of the time for everything, which nothing gives back.
    total_left: Duration,
}

impl Account {
    fn waited(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
        self.total_left = self.total_left.saturating_sub(time);
    }

    fn moved(&mut self, bytes: usize) {
        if self.left < self.pause {
            let earned = Duration::from_nanos(self.per_byte.saturating_mul(bytes as u64));
            self.left = self.left.saturating_add(earned).min(self.pause);
        }
    }

    /// How long the wait that begins now may take.
    fn left(&self) -> Duration {
        self.left.min(self.total_left)
    }
}

/// Watches one client. The time in which the edge waits for somebody else does not count.
///
/// The deadline only ever moves on: bytes add to it, and a wait that ended has not moved it back.
#[derive(Debug)]
pub(crate) struct Patience {
    account: Account,
    waiting_since: Option<Instant>,
    timer: Timer,
}

impl Patience {
    /// Pauses of at most `pause`, `least_rate` bytes a second, and no more than `total` of waiting altogether.
    pub(crate) fn new(pause: Duration, least_rate: u32, total: Duration) -> Patience {
        let per_byte = 1_000_000_000 / u64::from(least_rate.max(1));
        let account = Account { left: pause, pause, per_byte, total_left: total };
        Patience { account, waiting_since: None, timer: Timer::default() }
    }

    /// So many bytes moved: a wait, if there was one, is over.
    pub(crate) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.waiting_since.take() {
            self.account.waited(since.elapsed());
        }
        self.account.moved(bytes);
    }

    /// Ready when the client has used up its time. The wait counts from the first call after bytes moved.
    pub(crate) fn poll_exhausted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        self.timer.poll(since.checked_add(self.account.left()), cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const DAY: Duration = Duration::from_secs(86_400);

    fn account(total: Duration) -> Account {
        Patience::new(Duration::from_secs(60), 500, total).account
    }

    /// How long a client lasts that sends `bytes` every `pause`, at most a day.
    fn lasts(mut account: Account, bytes: usize, pause: Duration) -> Duration {
        let mut time = Duration::ZERO;
        while time < DAY && account.left() > pause {
            account.waited(pause);
            account.moved(bytes);
            time += pause;
        }
        time + account.left().min(pause)
    }

    #[test]
    fn a_byte_every_three_seconds_does_not_hold_a_seat() {
        let three = Duration::from_secs(3);
        let slow = lasts(account(DAY * 2), 1, three);
        assert!(slow > Duration::from_secs(59) && slow < Duration::from_secs(61), "{slow:?}");
        // At the least rate it goes on; and a client that sends enough may pause.
        assert!(lasts(account(DAY * 2), 1500, three) >= DAY);
        assert!(lasts(account(DAY * 2), 1499, three) < DAY);
        assert!(lasts(account(DAY * 2), 30_000, Duration::from_secs(59)) >= DAY);
    }

    #[test]
    fn what_was_sent_before_gives_no_more_than_one_pause() {
        let mut account = account(DAY);
        account.moved(1 << 30);
        assert_eq!(account.left(), Duration::from_secs(60));
        account.waited(Duration::from_secs(30));
        account.moved(usize::MAX);
        assert_eq!(account.left(), Duration::from_secs(60));
    }

    #[test]
    fn nothing_gives_the_total_back() {
        let total = Duration::from_secs(600);
        assert_eq!(lasts(account(total), 1 << 20, Duration::from_secs(1)), total);
    }

    #[tokio::test]
    async fn only_the_time_in_which_the_edge_waits_for_the_client_counts() {
        let pause = Duration::from_millis(80);
        let mut patience = Patience::new(pause, 500, DAY);
        for _ in 0..3 {
            // Nobody asks meanwhile: the edge waits for the server.
            tokio::time::sleep(pause).await;
            patience.moved(0);
        }
        assert!(poll_fn(|cx| Poll::Ready(patience.poll_exhausted(cx))).await.is_pending());
        let begun = Instant::now();
        poll_fn(|cx| patience.poll_exhausted(cx)).await;
        assert!(begun.elapsed() >= pause - Duration::from_millis(5));
    }
}
