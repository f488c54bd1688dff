//! Days: how many, and which are frozen.

use jiff::civil::Date;

/// The longest delay, in days.
const LONGEST_DELAY: u32 = 60;

/// The number of days in `2d`; `None`: it is none, or too many.
pub fn days(text: &str) -> Option<u32> {
    let number = text.trim().strip_suffix('d')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.parse().ok())?.filter(|days| *days <= LONGEST_DELAY)
}

/// Days on which nothing is changed by itself: `2026-12-20..2027-01-06, 2027-04-02`. Both ends belong to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freeze(Vec<(Date, Date)>);

impl Freeze {
    /// What is allowed.
    pub const ALLOWED: &str = "days or spans of days, as in 2026-12-20..2027-01-06";

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, as a sentence fragment.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut spans = Vec::new();
        for piece in text.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
            let (first, last) = piece.split_once("..").unwrap_or((piece, piece));
            let day = |text: &str| {
                text.trim().parse::<Date>().map_err(|_| format!("has `{}`, which is not a day", text.trim()))
            };
            let (first, last) = (day(first)?, day(last)?);
            if last < first {
                return Err(format!("has `{piece}`, which ends before it begins"));
            }
            spans.push((first, last));
        }
        Ok(Self(spans))
    }

    /// The last day of the span that holds a day.
    pub fn until(&self, day: Date) -> Option<Date> {
        self.0.iter().filter(|(first, last)| (*first..=*last).contains(&day)).map(|(_, last)| *last).max()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_frozen_day_is_one_between_both_ends() {
        let freeze = Freeze::read("2026-12-20..2027-01-06, 2027-04-02").expect("days");
        for (day, until) in [
            (date(2026, 12, 19), None),
            (date(2026, 12, 20), Some(date(2027, 1, 6))),
            (date(2027, 1, 6), Some(date(2027, 1, 6))),
            (date(2027, 1, 7), None),
            (date(2027, 4, 2), Some(date(2027, 4, 2))),
        ] {
            assert_eq!(freeze.until(day), until, "{day}");
        }
        for (text, why) in [
            ("2026-13-01", "`2026-13-01`, which is not a day"),
            ("christmas", "`christmas`, which is not a day"),
            ("2026-12-20..2026-12-19", "ends before it begins"),
            ("2026-12-20...2026-12-21", "not a day"),
        ] {
            let refused = Freeze::read(text).expect_err("refused");
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(Freeze::read("").expect("none").until(date(2026, 1, 1)), None);
    }

    #[test]
    fn a_delay_is_a_number_of_days() {
        for (text, is) in [
            ("2d", Some(2)),
            ("0d", Some(0)),
            (" 60d ", Some(60)),
            ("61d", None),
            ("2", None),
            ("d", None),
            ("-1d", None),
            ("36h", None),
        ] {
            assert_eq!(days(text), is, "{text}");
        }
    }
}
