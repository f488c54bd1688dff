//! The times that the API uses: milliseconds since the epoch.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::id::Id;

/// How many channels' last times are remembered. Beyond this number, times that have passed are forgotten.
const REMEMBERED: usize = 4096;

/// How far many posts at once may push a channel's times ahead of the clock, in milliseconds.
const AHEAD: i64 = 1000;

/// Milliseconds since the epoch; 0 if the machine's clock is before it.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The time for a post that is created, changed or deleted in `channel`. It is later than the channel's previous time,
/// even within the same millisecond.
///
/// Pages, read marks and "mark as unread" depend on these times. Only this process writes to a channel, so the last
/// times can be kept in memory. If there is more than one post a millisecond for long, and the times are [`AHEAD`] of
/// the clock, posts share times.
pub(crate) fn for_post(channel: Id) -> i64 {
    static LAST: LazyLock<Mutex<HashMap<Id, i64>>> = LazyLock::new(Mutex::default);
    let now = now();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.len() >= REMEMBERED {
        last.retain(|_, time| *time >= now);
    }
    let time = last.get(&channel).map_or(now, |last| now.max((last + 1).min(now + AHEAD)));
    last.insert(channel, time);
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_of_a_channel_have_increasing_times_and_channels_are_independent() {
        let (one, other) = (Id::random(), Id::random());
        let times: Vec<i64> = (0..500).map(|_| for_post(one)).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
        assert!(for_post(other) <= now());
        let flood = (0..5000).map(|_| for_post(one)).max().unwrap_or_default();
        assert!(flood <= now() + AHEAD);
    }
}
