//! The times of the week in which an update may begin.

use jiff::ToSpan as _;
use jiff::civil::{DateTime, Time, Weekday};

/// Times of the week: `Sat 02:00-05:00, Mon-Fri 23:00-01:00`. One that ends before it begins ends on the next day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows(Vec<Window>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// The days on which it begins, Monday first.
    days: [bool; 7],
    begins: Time,
    /// In minutes.
    length: i32,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Minutes of a day.
const DAY: i32 = 24 * 60;

impl Windows {
    /// What is allowed.
    pub const ALLOWED: &str = "a day, days or `daily`, and two times of the machine's clock, as in Sat 02:00-05:00, Mon-Fri 23:00-01:00 or daily 02:00-04:00";

    /// Reads them.
    ///
    /// # Errors
    /// What is wrong, as a sentence fragment.
    pub fn read(text: &str) -> Result<Self, String> {
        let pieces = text.split(',').map(str::trim).filter(|piece| !piece.is_empty());
        let windows = pieces.map(Window::read).collect::<Result<Vec<_>, _>>()?;
        if windows.is_empty() { Err("has no window in it".to_owned()) } else { Ok(Self(windows)) }
    }

    /// Whether one of them is open. Without any it is always open.
    pub fn is_open(&self, now: DateTime) -> bool {
        self.0.is_empty() || self.0.iter().any(|window| window.is_open(now))
    }

    /// When to look whether something is to be done: at the beginning of each window and every hour while it is open. Cron expressions
    /// of five fields. Without a window four times a day.
    pub fn crons(&self) -> Vec<String> {
        if self.0.is_empty() {
            return vec!["23 1,7,13,19 * * *".to_owned()];
        }
        self.0.iter().map(Window::cron).collect()
    }
}

impl Window {
    fn read(text: &str) -> Result<Self, String> {
        let (days, times) = text.rsplit_once(' ').unwrap_or(("daily", text));
        let days = read_days(days.trim())?;
        let (begins, ends) =
            times.split_once('-').ok_or_else(|| format!("has `{text}`, which has no two times"))?;
        let (begins, ends) = (minutes(begins)?, minutes(ends)?);
        if begins == DAY {
            return Err(format!("has `{text}`, which begins at 24:00; that is 00:00 of the next day"));
        }
        let length = if ends > begins { ends - begins } else { ends + DAY - begins };
        if ends == begins {
            return Err(format!("has `{text}`, which ends when it begins"));
        }
        let begins = Time::midnight() + i64::from(begins).minutes();
        Ok(Self { days, begins, length })
    }

    fn is_open(&self, now: DateTime) -> bool {
        // It may have begun yesterday.
        [0, 1].into_iter().any(|days_ago: i64| {
            let Ok(day) = now.date().checked_sub(days_ago.days()) else { return false };
            let begins = day.to_datetime(self.begins);
            let Ok(ends) = begins.checked_add(i64::from(self.length).minutes()) else { return false };
            self.days[number(day.weekday())] && (begins..ends).contains(&now)
        })
    }

    fn cron(&self) -> String {
        let first = i32::from(self.begins.hour());
        let hours = (self.length + 59) / 60;
        let crosses = first * 60 + i32::from(self.begins.minute()) + self.length > DAY;
        let mut list: Vec<i32> = (0..hours.min(24)).map(|hour| (first + hour) % 24).collect();
        list.sort_unstable();
        let list: Vec<String> = list.iter().map(ToString::to_string).collect();
        // Hours after midnight are of the next day; that the others of that day are named with them costs a look.
        let is_named = |day: &usize| self.days[*day] || (crosses && self.days[(day + 6) % 7]);
        let days: Vec<String> = (0..7).filter(is_named).map(|day| DAYS[day].to_ascii_uppercase()).collect();
        let days = if days.len() == 7 { "*".to_owned() } else { days.join(",") };
        format!("{} {} * * {days}", self.begins.minute(), list.join(","))
    }
}

fn number(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()
}

/// `daily`, `Sat`, `Mon-Fri`.
fn read_days(text: &str) -> Result<[bool; 7], String> {
    let day = |word: &str| {
        let word = word.trim().to_ascii_lowercase();
        const WHOLE: [&str; 7] =
            ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let at = DAYS.iter().zip(WHOLE).position(|(short, whole)| word == *short || word == whole);
        at.ok_or_else(|| format!("has `{word}`, which is not a day of the week"))
    };
    if text.eq_ignore_ascii_case("daily") {
        return Ok([true; 7]);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (day(first)?, day(last)?);
    let count = (last + 7 - first) % 7;
    let mut days = [false; 7];
    (0..=count).for_each(|next| days[(first + next) % 7] = true);
    Ok(days)
}

/// The minutes since midnight of `02:00`; `24:00` is the end of the day.
fn minutes(text: &str) -> Result<i32, String> {
    let wrong = || format!("has `{}`, which is not a time of the day", text.trim());
    let (hours, minutes) = text.trim().split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| {
        let fits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| text.parse::<i32>().ok())?
    };
    match (number(hours), number(minutes).filter(|_| minutes.len() == 2)) {
        (Some(hours @ 0..=23), Some(minutes @ 0..=59)) => Ok(hours * 60 + minutes),
        (Some(24), Some(0)) => Ok(DAY),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open(windows: &str, now: &str) -> bool {
        Windows::read(windows).expect("windows").is_open(now.parse().expect("a time"))
    }

    #[test]
    fn a_window_is_open_from_its_beginning_to_before_its_end() {
        // 2026-11-28 is a Saturday.
        for (windows, now, open) in [
            ("Sat 02:00-05:00", "2026-11-28T02:00:00", true),
            ("Sat 02:00-05:00", "2026-11-28T04:59:59", true),
            ("Sat 02:00-05:00", "2026-11-28T05:00:00", false),
            ("Sat 02:00-05:00", "2026-11-28T01:59:59", false),
            ("Sat 02:00-05:00", "2026-11-27T03:00:00", false),
            ("saturday 2:00-5:00", "2026-11-28T03:00:00", true),
            ("02:00-05:00", "2026-11-24T03:00:00", true),
            ("daily 02:00-05:00", "2026-11-24T03:00:00", true),
            ("Mon-Fri 02:00-05:00", "2026-11-28T03:00:00", false),
            ("Fri-Mon 02:00-05:00", "2026-11-28T03:00:00", true),
            ("Fri-Mon 02:00-05:00", "2026-11-25T03:00:00", false),
            // Across midnight: of the day on which it begins.
            ("Fri 23:00-01:00", "2026-11-27T23:30:00", true),
            ("Fri 23:00-01:00", "2026-11-28T00:59:00", true),
            ("Fri 23:00-01:00", "2026-11-28T23:30:00", false),
            ("Fri 23:00-01:00", "2026-11-27T00:30:00", false),
            ("Sat 00:00-24:00", "2026-11-28T23:59:00", true),
            ("Sun 02:00-03:00, Sat 02:00-05:00", "2026-11-28T03:30:00", true),
        ] {
            assert_eq!(is_open(windows, now), open, "{windows} at {now}");
        }
        assert!(Windows::default().is_open("2026-11-28T03:30:00".parse().expect("a time")));
    }

    #[test]
    fn it_is_looked_at_the_beginning_and_every_hour() {
        for (windows, crons) in [
            ("Sat 02:00-05:00", &["0 2,3,4 * * SAT"][..]),
            ("Sat 02:30-05:00", &["30 2,3,4 * * SAT"]),
            ("daily 02:10-02:50", &["10 2 * * *"]),
            ("Fri 23:00-01:00", &["0 0,23 * * FRI,SAT"]),
            ("Mon-Wed 22:00-24:00, Sun 05:00-06:00", &["0 22,23 * * MON,TUE,WED", "0 5 * * SUN"]),
        ] {
            assert_eq!(Windows::read(windows).expect("windows").crons(), crons, "{windows}");
        }
        assert_eq!(Windows::default().crons().len(), 1);
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for (text, why) in [
            ("", "no window"),
            ("Sat", "`Sat`, which has no two times"),
            ("Sat 02:00", "no two times"),
            ("Sad 02:00-05:00", "`sad`, which is not a day"),
            ("Sat 25:00-26:00", "`25:00`, which is not a time"),
            ("Sat 02:60-05:00", "`02:60`"),
            ("Sat 2-5", "`2`, which is not a time"),
            ("Sat 02:00-02:00", "ends when it begins"),
            ("Sat 24:00-02:00", "begins at 24:00"),
            ("Sat,Sun 02:00-05:00", "no two times"),
        ] {
            let refused = Windows::read(text).expect_err("refused");
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
