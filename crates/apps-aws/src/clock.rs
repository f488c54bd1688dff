//! How old an object is, by the bucket's own clock: the clocks of the machines that share it may differ by minutes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::DateTime;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// A time of S3's.
pub(crate) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), 0).ok()
}

/// Hears what time the bucket says it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Date(Arc<Mutex<Option<Timestamp>>>);

impl Date {
    /// How old what was written then is; `None` where the bucket does not say what time it is.
    pub(crate) fn age(&self, written: Option<&DateTime>) -> Option<Duration> {
        let now = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(now.duration_since(timestamp(written?)?).try_into().unwrap_or_default())
    }
}

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| rfc2822::parse(date).ok()).map(|date| date.timestamp());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}

/// How many seconds a lease of `lease` seconds still counts, whose object has this age. `until` is its end by the clock of its writer, 0 where
/// it was given back: that clock counts alone where the bucket has none.
pub(crate) fn seconds_left(until: i64, age: Option<Duration>, lease: i64, now: Timestamp) -> i64 {
    match (until, age) {
        (0, _) => 0,
        (_, Some(age)) => lease.saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX)),
        (until, None) => until.saturating_sub(now.as_second()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_counts_by_the_bucket_s_clock() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let age = |seconds| Some(Duration::from_secs(seconds));
        // The writer's clock is minutes behind that of the reader, or before it.
        for until in [999_000, 1_000_060, 1_001_000] {
            assert_eq!(seconds_left(until, age(20), 60, now), 40, "{until}");
            assert!(seconds_left(until, age(61), 60, now) <= 0, "{until}");
        }
        assert_eq!(seconds_left(0, age(1), 60, now), 0, "it was given back");
        assert_eq!(seconds_left(1_000_030, None, 60, now), 30);
    }
}
