//! When a scheduled operation runs: decided from data, with the clock as an argument.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions, parse_crontab_with};
use serde::{Deserialize, Serialize};

use crate::control::protocol::ScheduleEntry;
use crate::error::{Error, Exit};

/// How late a run may begin, in ms, and still count as on time: the machine may be busy.
const ON_TIME: i64 = 120_000;

/// More missed runs than this are not counted.
const MOST_MISSED: u32 = 1_000;

/// What is remembered of an entry, also by the next agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    /// The expression that the times below belong to.
    pub cron: String,
    /// Every due time up to this one is dealt with, in ms since the epoch.
    pub decided: i64,
    /// Runs that no agent was there to begin.
    #[serde(default)]
    pub missed: u32,
    /// Runs that were left out because the one before was still running.
    #[serde(default)]
    pub skipped: u32,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing is due.
    Wait,
    /// Begin the run that was due then.
    Run { due: i64 },
    /// The run before it is still running.
    Skip { due: i64 },
    /// It was due too long ago.
    Missed { due: i64 },
}

/// Reads the five fields of an expression: minute, hour, day of the month, month, day of the week. Times are the machine's.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(cron: &str) -> Result<Crontab, Error> {
    let wrong =
        |what: String| Error::new(Exit::Settings, format!("the schedule `{}` {what}", cron.escape_debug()));
    settings::check_cron(cron).map_err(wrong)?;
    let mut options = ParseOptions::default();
    options.fallback_timezone_option = FallbackTimezoneOption::System;
    parse_crontab_with(cron, options).map_err(|error| wrong(error.to_string()))
}

/// The first due time after a moment, in ms since the epoch; `None` for a date that never comes.
pub(super) fn next(entry: &ScheduleEntry, cron: &Crontab, after: i64) -> Option<i64> {
    let at = cron.find_next(MakeTimestamp::from_millisecond(after - delay(entry)).ok()?).ok()?;
    Some(at.timestamp().as_millisecond() + delay(entry))
}

/// How long after its time an entry is due: the same every time, other for each name, so that not all begin at once.
fn delay(entry: &ScheduleEntry) -> i64 {
    let mut hasher = DefaultHasher::new();
    entry.name.hash(&mut hasher);
    (hasher.finish() % (u64::from(entry.jitter) + 1)) as i64 * 1000
}

/// Decides, and remembers that it did.
pub(super) fn decide(
    entry: &ScheduleEntry,
    cron: &Crontab,
    past: &mut Past,
    runs: bool,
    now: i64,
) -> Decision {
    let mut due = None;
    let mut count = 0;
    while let Some(at) = next(entry, cron, past.decided)
        && at <= now
    {
        if count == MOST_MISSED {
            past.decided = now;
            break;
        }
        (due, past.decided) = (Some(at), at);
        count += 1;
    }
    let Some(due) = due else { return Decision::Wait };
    let on_time = now - due <= ON_TIME;
    past.missed += count - u32::from(on_time);
    match (on_time || entry.catch_up, runs) {
        (true, true) => {
            past.skipped += 1;
            Decision::Skip { due }
        }
        (true, false) => Decision::Run { due },
        (false, _) => Decision::Missed { due },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(cron: &str, catch_up: bool) -> (ScheduleEntry, Crontab) {
        let arguments = vec!["verify".to_owned()];
        let entry = ScheduleEntry {
            name: "verify".to_owned(),
            cron: cron.to_owned(),
            jitter: 0,
            catch_up,
            arguments,
        };
        let cron = parse_crontab_with(&format!("{cron} UTC"), ParseOptions::default()).expect("valid");
        (entry, cron)
    }

    fn past(entry: &ScheduleEntry, decided: i64) -> Past {
        Past { cron: entry.cron.clone(), decided, missed: 0, skipped: 0 }
    }

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().expect("a time").as_millisecond()
    }

    #[test]
    fn a_run_begins_once_at_its_time() {
        let (entry, cron) = entry("0 3 * * *", false);
        let mut past = past(&entry, at("2026-11-26T12:00:00Z"));
        let mut decide = |now: &str| decide(&entry, &cron, &mut past, false, at(now));
        assert_eq!(decide("2026-11-27T02:59:59Z"), Decision::Wait);
        let due = at("2026-11-27T03:00:00Z");
        assert_eq!(decide("2026-11-27T03:00:00.400Z"), Decision::Run { due });
        assert_eq!(decide("2026-11-27T03:00:01Z"), Decision::Wait);
        assert_eq!(decide("2026-11-28T03:01:30Z"), Decision::Run { due: due + 24 * 3_600_000 });
    }

    #[test]
    fn a_run_that_goes_on_leaves_the_next_out() {
        let (entry, cron) = entry("*/5 * * * *", true);
        let mut past = past(&entry, at("2026-11-26T12:00:00Z"));
        let due = at("2026-11-26T12:05:00Z");
        assert_eq!(decide(&entry, &cron, &mut past, true, due), Decision::Skip { due });
        assert_eq!((past.skipped, past.missed), (1, 0));
        assert_eq!(decide(&entry, &cron, &mut past, false, due + 1000), Decision::Wait);
    }

    #[test]
    fn missed_runs_are_counted_and_caught_up_once_where_that_is_wanted() {
        for (catch_up, expected_run) in [(false, false), (true, true)] {
            let (entry, cron) = entry("0 * * * *", catch_up);
            let mut past = past(&entry, at("2026-11-26T12:00:00Z"));
            let due = at("2026-11-26T15:00:00Z");
            let decision = decide(&entry, &cron, &mut past, false, at("2026-11-26T15:30:00Z"));
            assert_eq!(decision, if expected_run { Decision::Run { due } } else { Decision::Missed { due } });
            assert_eq!(past.missed, 3);
            assert_eq!(decide(&entry, &cron, &mut past, false, at("2026-11-26T15:59:00Z")), Decision::Wait);
        }
    }

    #[test]
    fn years_without_an_agent_end_the_count() {
        let (entry, cron) = entry("* * * * *", false);
        let mut past = past(&entry, at("2016-01-01T00:00:00Z"));
        let now = at("2026-11-26T12:00:30Z");
        assert!(matches!(decide(&entry, &cron, &mut past, false, now), Decision::Missed { .. }));
        assert_eq!(past.missed, MOST_MISSED);
        assert_eq!(decide(&entry, &cron, &mut past, false, now), Decision::Wait);
    }

    #[test]
    fn a_delay_is_the_same_every_time_and_within_the_jitter() {
        let (mut entry, cron) = entry("0 3 * * *", false);
        entry.jitter = 600;
        let first = next(&entry, &cron, at("2026-11-26T12:00:00Z")).expect("a time");
        let second = next(&entry, &cron, first).expect("a time");
        assert_eq!(second - first, 24 * 3_600_000);
        let delay = first - at("2026-11-27T03:00:00Z");
        assert!((0..=600_000).contains(&delay), "{delay}");
    }

    /// The library against a walk over every minute that knows lists, steps and ranges of minute, hour and weekday.
    #[test]
    fn the_next_time_is_the_first_minute_that_fits() {
        let fits = |field: &str, value: i64| {
            field.split(',').any(|part| {
                let (range, step) =
                    part.split_once('/').map_or((part, 1), |(r, s)| (r, s.parse().expect("a step")));
                let (low, high) = match range.split_once('-') {
                    _ if range == "*" => (0, 59),
                    Some((low, high)) => (low.parse().expect("low"), high.parse().expect("high")),
                    None => (range.parse().expect("a number"), range.parse().expect("a number")),
                };
                (low..=high).contains(&value) && (value - low) % step == 0
            })
        };
        for expression in
            ["0 3 * * *", "*/7 * * * *", "5,35 1-4 * * *", "0 */6 * * 1-5", "59 23 * * 0", "0-10/5 12 * * 3"]
        {
            let (entry, cron) = entry(expression, false);
            let fields: Vec<&str> = expression.split(' ').collect();
            for start in 0..40 {
                let after = at("2026-02-26T21:13:20Z") + start * 3_123_457;
                let naive = (after / 60_000 + 1..).find(|minute| {
                    let weekday = (minute / 1440 + 4) % 7;
                    fits(fields[0], minute % 60)
                        && fits(fields[1], minute / 60 % 24)
                        && fits(fields[4], weekday)
                });
                assert_eq!(
                    next(&entry, &cron, after),
                    naive.map(|minute| minute * 60_000),
                    "{expression} {after}"
                );
            }
        }
    }

    #[test]
    fn a_mistake_is_named() {
        for (wrong, what) in
            [("0 3 * *", "4 fields"), ("0 25 * * *", "23"), ("0 3 * * * UTC", "6 fields"), ("x * * * *", "x")]
        {
            let error = read(wrong).expect_err("refused");
            assert!(error.what.contains(what) && error.what.contains(wrong), "{error}");
        }
        read("0 3 * * MON-FRI").expect("valid");
    }
}
