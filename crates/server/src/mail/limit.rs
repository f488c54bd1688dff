//! How many mails one origin may cause, or one address may get, in an hour: mails are sent for strangers, too.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

const HOUR: i64 = 3_600_000;

/// Keys that are remembered at most. Beyond them, new ones are refused until old ones are an hour old.
const KEYS: usize = 20_000;

/// The times of the mails of the last hour, by what caused them.
#[derive(Default)]
pub(crate) struct Limits(Mutex<HashMap<String, VecDeque<i64>>>);

impl Limits {
    /// Counts `count` mails for `key` and returns `true`, unless there would be more than `most` in the hour before `now`.
    pub(crate) fn allow(&self, key: &str, count: usize, most: usize, now: i64) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &i64| *at > now - HOUR;
        if all.len() >= KEYS && !all.contains_key(key) {
            all.retain(|_, times| times.back().is_some_and(is_recent));
            if all.len() >= KEYS {
                return false;
            }
        }
        let times = all.entry(key.to_owned()).or_default();
        while times.front().is_some_and(|at| !is_recent(at)) {
            times.pop_front();
        }
        if times.len() + count > most {
            return false;
        }
        times.extend(std::iter::repeat_n(now, count));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_number_in_an_hour_and_others_theirs() {
        let limits = Limits::default();
        assert!(
            limits.allow("a", 2, 3, HOUR) && !limits.allow("a", 2, 3, HOUR) && limits.allow("a", 1, 3, HOUR)
        );
        assert!(!limits.allow("a", 1, 3, HOUR + HOUR / 2) && limits.allow("b", 3, 3, HOUR));
        assert!(limits.allow("a", 3, 3, 2 * HOUR));
    }

    #[test]
    fn a_flood_of_keys_is_bounded_and_ends() {
        let limits = Limits::default();
        assert!((0..KEYS).all(|n| limits.allow(&n.to_string(), 1, 1, HOUR)));
        assert!(!limits.allow("one more", 1, 1, HOUR));
        assert!(limits.allow("one more", 1, 1, 2 * HOUR + 1));
    }
}
