//! Attempts to sign in to an account, and the locks that follow from them.

use serde::Serialize;

use super::record::record;
use crate::id::Id;

/// The first lock, in milliseconds. Each wrong password after a lock doubles the next one.
const FIRST_LOCK: i64 = 60_000;

/// The longest lock, in milliseconds.
const LONGEST_LOCK: i64 = 3_600_000;

/// Failures are forgotten when there was none for this long, in milliseconds.
pub(crate) const FORGOTTEN: i64 = 24 * 3_600_000;

/// How long an address stays known after a sign-in, in milliseconds.
pub(crate) const KNOWN: i64 = 90 * 24 * 3_600_000;

/// Addresses from which nobody signed in before may together fail this many times as often as one alone.
const TOGETHER: i64 = 10;

/// The origin that stands for all unknown addresses together.
pub(crate) const STRANGERS: &str = "";

record! {
    /// The attempts to sign in to one account from one origin. Our own table: Mattermost keeps one number per account.
    struct Attempts in "mainstayloginattempts" {
        user_id userid: Id,
        origin origin: String,
        failures failures: i64,
        last_failure_at lastfailureat: i64,
        last_success_at lastsuccessat: i64,
    }
}

impl Attempts {
    /// When the lock ends that follows after `most` failures; `None` if there is none at `now`.
    fn locked_until(&self, most: i64, now: i64) -> Option<i64> {
        let beyond = self.failures - most;
        if beyond < 0 {
            return None;
        }
        let lock = (FIRST_LOCK << beyond.min(10)).min(LONGEST_LOCK);
        // A clock that was set back must not make a lock longer.
        let until = self.last_failure_at.min(now) + lock;
        (until > now).then_some(until)
    }
}

/// A lock of an account, as who unlocks it is told.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AccountLock {
    pub(crate) user_id: Id,
    /// The address that it is locked for; none where it is locked for every address that nobody signed in from before.
    pub(crate) address: Option<String>,
    /// When it ends, in ms since the epoch.
    pub(crate) until: i64,
}

impl AccountLock {
    /// The lock that follows from these attempts, if there is one at `now`.
    pub(crate) fn of(attempts: Attempts, most: i64, now: i64) -> Option<Self> {
        let is_strangers = attempts.origin == STRANGERS;
        let most = if is_strangers { most.saturating_mul(TOGETHER) } else { most };
        let until = attempts.locked_until(most, now)?;
        Some(Self { user_id: attempts.user_id, address: (!is_strangers).then_some(attempts.origin), until })
    }
}

/// What decides whether an attempt is allowed: what came from the same origin, and from all unknown addresses together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    pub(crate) own: Attempts,
    pub(crate) strangers: Attempts,
}

impl Standing {
    /// Whether somebody signed in to the account from this origin before.
    pub(crate) fn is_known(&self, now: i64) -> bool {
        self.own.last_success_at > now - KNOWN
    }

    /// When the lock ends, if `most` failures (`ServiceSettings.MaximumLoginAttempts`) lock the account for this origin.
    ///
    /// Attempts during a lock are not counted, so a lock always ends. Failures of strangers lock out strangers only.
    pub(crate) fn locked_until(&self, most: i64, now: i64) -> Option<i64> {
        let own = self.own.locked_until(most, now);
        if self.is_known(now) {
            return own;
        }
        own.max(self.strangers.locked_until(most.saturating_mul(TOGETHER), now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn failed(failures: i64) -> Attempts {
        Attempts { failures, last_failure_at: NOW, ..Attempts::default() }
    }

    #[test]
    fn a_lock_doubles_up_to_an_hour_and_always_ends() {
        let seconds = |failures| failed(failures).locked_until(10, NOW).map(|until| (until - NOW) / 1000);
        assert_eq!(seconds(9), None);
        let locks: Vec<Option<i64>> = (10..18).map(seconds).collect();
        assert_eq!(locks, [60, 120, 240, 480, 960, 1920, 3600, 3600].map(Some));
        assert_eq!(seconds(i64::MAX), Some(3600));
        assert_eq!(failed(10).locked_until(10, NOW + 60_000), None);
        let ahead = Attempts { last_failure_at: NOW + 1_000_000, ..failed(10) };
        assert_eq!(ahead.locked_until(10, NOW), Some(NOW + 60_000), "the clock was set back");
    }

    #[test]
    fn strangers_lock_out_strangers_only() {
        let known = Attempts { last_success_at: NOW - KNOWN + 1, ..Attempts::default() };
        let attack = |own| Standing { own, strangers: failed(100) };
        assert_eq!(attack(known).locked_until(10, NOW), None);
        assert!(attack(Attempts::default()).locked_until(10, NOW).is_some());
        let few = Standing { own: Attempts::default(), strangers: failed(99) };
        assert_eq!(few.locked_until(10, NOW), None);
    }

    #[test]
    fn a_lock_is_told_with_the_addresses_that_it_holds_for() {
        let of = |origin: &str, failures| {
            let attempts = Attempts { origin: origin.to_owned(), ..failed(failures) };
            AccountLock::of(attempts, 10, NOW).map(|lock| (lock.address, lock.until - NOW))
        };
        assert_eq!(of("203.0.113.7", 10), Some((Some("203.0.113.7".to_owned()), 60_000)));
        assert_eq!(of("203.0.113.7", 9), None);
        assert_eq!(of(STRANGERS, 99), None);
        assert_eq!(of(STRANGERS, 100), Some((None, 60_000)));
    }

    #[test]
    fn the_own_failures_count_at_a_known_address_too() {
        let own = Attempts { last_success_at: NOW, ..failed(10) };
        let standing = Standing { own, strangers: Attempts::default() };
        assert_eq!(standing.locked_until(10, NOW), Some(NOW + 60_000));
    }
}
