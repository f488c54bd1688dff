//! The wire's clock.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::id::Id;

/// Channels whose last time is remembered; more are forgotten first where their time has passed.
const REMEMBERED: usize = 4096;

/// How far a flood may push the times of a channel ahead of the clock, in ms.
const AHEAD: i64 = 1000;

/// Milliseconds since the epoch; 0 if the machine's clock stands before it.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The time of a post that is made, changed or deleted in `channel`: later than the one before, although both may be of one
/// millisecond.
///
/// Pages, read marks and "unread from here" are told by these times. A channel is written by one process only, so its memory
/// is enough; a flood of more than a post a millisecond shares times once it is [`AHEAD`] of the clock.
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
    fn posts_of_a_channel_never_share_a_time_and_channels_do_not_wait_for_each_other() {
        let (one, other) = (Id::random(), Id::random());
        let times: Vec<i64> = (0..500).map(|_| for_post(one)).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
        assert!(for_post(other) <= now());
        let flood = (0..5000).map(|_| for_post(one)).max().unwrap_or_default();
        assert!(flood <= now() + AHEAD);
    }
}
