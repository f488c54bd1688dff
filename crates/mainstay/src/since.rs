//! The moment that `--since` names.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Timestamp, Zoned};

/// Reads a time ago (`10m`, `2h`, `3 days`), a date, a moment, or a time of day: the last that has been; times without a zone are the machine's.
///
/// # Errors
/// What may be written.
pub(crate) fn moment(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    let zone = now.time_zone().clone();
    let in_zone = |at: DateTime| at.to_zoned(zone.clone()).ok().map(|at| at.timestamp());
    let ago = text.strip_suffix("ago").unwrap_or(text).trim();
    let found = if let Ok(at) = text.parse::<Timestamp>() {
        Some(at)
    } else if let Ok(span) = ago.parse::<Span>() {
        now.checked_sub(span.abs()).ok().map(|at| at.timestamp())
    } else if let Ok(date) = text.parse::<Date>()
        && !text.contains(':')
    {
        in_zone(date.at(0, 0, 0, 0))
    } else if let Ok(at) = text.parse::<DateTime>() {
        in_zone(at)
    } else if let Ok(time) = text.parse::<Time>()
        && text.contains(':')
    {
        let today = in_zone(now.date().to_datetime(time));
        let yesterday = || in_zone(now.date().yesterday().ok()?.to_datetime(time));
        // Nothing has happened yet since a moment that is still to come.
        today.filter(|at| *at <= now.timestamp()).or_else(yesterday)
    } else {
        None
    };
    found.ok_or_else(|| {
        format!("`{text}` is no time; write 10m, 2h or 3d, 14:30, 2026-11-27, or 2026-11-27T14:30")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        let now: Zoned = "2026-11-27T12:00:00+01:00[+01:00]".parse().expect("a moment");
        for (text, expected) in [
            ("10m", "2026-11-27T10:50:00Z"),
            ("2h", "2026-11-27T09:00:00Z"),
            ("1h30m", "2026-11-27T09:30:00Z"),
            ("3d", "2026-11-24T11:00:00Z"),
            ("2 hours ago", "2026-11-27T09:00:00Z"),
            ("2026-11-26", "2026-11-25T23:00:00Z"),
            ("2026-11-26T14:30", "2026-11-26T13:30:00Z"),
            ("2026-11-26 14:30", "2026-11-26T13:30:00Z"),
            ("08:15", "2026-11-27T07:15:00Z"),
            ("12:00", "2026-11-27T11:00:00Z"),
            ("23:50", "2026-11-26T22:50:00Z"),
            ("2026-11-26T14:30:00Z", "2026-11-26T14:30:00Z"),
        ] {
            assert_eq!(moment(text, &now).map(|at| at.to_string()).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "yesterday", "10", "2026-13-01", "25:00", "99999999999d"] {
            let refused = moment(text, &now).expect_err(text);
            assert!(refused.contains("write 10m"), "{refused}");
        }
    }
}
