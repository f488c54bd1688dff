//! Which release a policy leads to, and whether it may be installed now.

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};
use serde::Serialize;
use version::{Series, Version};

use crate::calendar::Freeze;
use crate::exposure::Exposure;
use crate::releases::Published;
use crate::window::Windows;

/// What is installed by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
    #[default]
    None,
    /// The newest release of the installed line, where it has a security fix that is missing.
    Security,
    /// The newest release of the installed line.
    Patch,
    /// The newest extended support release, also of another line.
    Esr,
}

impl Policy {
    /// Their words.
    pub const WORDS: &[&str] = &["none", "security", "patch", "esr"];

    /// Of a word; unknown ones are `None`, because they are refused where they are read.
    pub fn of_word(word: &str) -> Self {
        match word {
            "security" => Self::Security,
            "patch" => Self::Patch,
            "esr" => Self::Esr,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Security => "security",
            Self::Patch => "patch",
            Self::Esr => "esr",
        })
    }
}

/// What `[updates]` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// What is installed.
    pub policy: Policy,
    /// When it may begin.
    pub windows: Windows,
    /// How many days after its publication at the earliest.
    pub delay: u32,
    /// On which days not.
    pub freeze: Freeze,
}

/// A line of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub series: Series,
    /// The day of its first release.
    pub released: Option<Date>,
    /// Whether it is an extended support release.
    pub extended: bool,
    /// Its newest release.
    pub newest: Version,
}

/// A release that the policy leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Which.
    pub version: Version,
    /// When it was published, or was out at the latest.
    pub out: Date,
    /// How many missing security fixes it has, as far as is known.
    pub fixes: usize,
}

/// The release that the policy leads to on a day; `None`: what is installed is right.
///
/// `lines` is the catalogue of the day `catalogue`, by which a release of it was out that the list of releases does not name.
pub fn target(
    rules: &Rules,
    installed: &Version,
    releases: &[Published],
    (lines, catalogue): (&[Line], Date),
    exposure: &Exposure,
    today: Date,
) -> Option<Target> {
    let series = match rules.policy {
        Policy::None => return None,
        Policy::Security | Policy::Patch => installed.series(),
        Policy::Esr => {
            let is_out = |line: &&Line| line.released.is_none_or(|day| day <= today);
            let extended = lines.iter().filter(|line| line.extended).filter(is_out).map(|line| line.series);
            extended.max().filter(|extended| *extended > installed.series()).unwrap_or(installed.series())
        }
    };
    let listed = releases.iter().map(|release| (&release.version, release.published));
    let cataloged = lines.iter().map(|line| &line.newest).filter(|newest| {
        !releases.iter().any(|release| release.version == **newest && release.published.is_some())
    });
    let candidates = listed.chain(cataloged.map(|newest| (newest, None)));
    let candidates = candidates.filter(|(version, _)| version.series() == series && *version > installed);
    let candidates = candidates.filter_map(|(version, published)| {
        let out = published.unwrap_or(catalogue);
        let ripe = out.checked_add(i64::from(rules.delay).days()).ok()?;
        (ripe <= today).then_some((version, out))
    });
    let (version, out) = candidates.max_by_key(|(version, _)| (*version).clone())?;
    let has = |fixed: &Version| fixed.series() == version.series() && fixed <= version;
    let fixes = exposure.certain().filter(|missing| missing.fixed_in.iter().any(has)).count();
    if rules.policy == Policy::Security && fixes == 0 {
        return None;
    }
    Some(Target { version: version.clone(), out, fixes })
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// The policy wants nothing, or what it wants is installed.
    Nothing,
    /// It failed before, and waits for a person or a newer release.
    Latched {
        /// Which release.
        to: Version,
    },
    /// A day on which nothing is changed.
    Frozen {
        /// Which release.
        to: Version,
        /// The last such day.
        until: Date,
    },
    /// No window is open.
    Closed {
        /// Which release.
        to: Version,
    },
    /// Install it.
    Update {
        /// Which release.
        to: Version,
    },
}

/// Whether `target` may be installed at this moment of the machine's clock. `latched`: the release that failed last, and that nobody has
/// released since.
pub fn decide(rules: &Rules, target: Option<&Target>, latched: Option<&Version>, now: DateTime) -> Decision {
    let Some(to) = target.map(|target| target.version.clone()) else { return Decision::Nothing };
    if latched.is_some_and(|latched| *latched >= to) {
        return Decision::Latched { to };
    }
    if let Some(until) = rules.freeze.until(now.date()) {
        return Decision::Frozen { to, until };
    }
    if rules.windows.is_open(now) { Decision::Update { to } } else { Decision::Closed { to } }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::exposure::Support;
    use crate::severity::Severity;

    fn version(text: &str) -> Version {
        text.parse().expect("a version")
    }

    fn lines() -> Vec<Line> {
        let line = |series: &str, released, extended, newest: &str| Line {
            series: series.parse().expect("a series"),
            released,
            extended,
            newest: version(newest),
        };
        vec![
            line("12.4", Some(date(2027, 2, 16)), true, "12.4.0"),
            line("12.1", Some(date(2026, 11, 16)), false, "12.1.0"),
            line("11.10", None, false, "11.10.5"),
            line("11.7", None, true, "11.7.15"),
            line("10.11", None, true, "10.11.23"),
        ]
    }

    #[test]
    fn a_policy_leads_to_a_release_and_never_further() {
        let release =
            |text: &str, day, security| Published { version: version(text), published: Some(day), security };
        let releases = [
            release("12.1.1", date(2026, 11, 26), Some(Severity::Critical)),
            release("11.7.17", date(2026, 11, 26), None),
            release("11.7.16", date(2026, 11, 24), Some(Severity::High)),
            release("11.7.15", date(2026, 11, 5), None),
            release("11.10.5", date(2026, 11, 5), Some(Severity::High)),
        ];
        let today = date(2026, 11, 27);
        let find = |policy, delay, installed: &str, today| {
            let rules = Rules { policy, delay, ..Rules::default() };
            let installed = version(installed);
            let exposure = Exposure::of(&installed, &[], &releases, &Support::default(), today);
            let target =
                target(&rules, &installed, &releases, (&lines(), date(2026, 11, 10)), &exposure, today);
            target.map(|target| format!("{} {}", target.version, target.fixes))
        };
        for (policy, delay, installed, found) in [
            (Policy::None, 0, "11.7.12", None),
            (Policy::Security, 0, "11.7.12", Some("11.7.17 1")),
            (Policy::Security, 2, "11.7.12", Some("11.7.16 1")),
            // The release with the fix is too young.
            (Policy::Security, 4, "11.7.12", None),
            (Policy::Patch, 4, "11.7.12", Some("11.7.15 0")),
            (Policy::Patch, 0, "11.7.17", None),
            (Policy::Security, 0, "11.7.16", None),
            (Policy::Patch, 0, "11.7.16", Some("11.7.17 0")),
            // The catalogue alone knows of it: not of security fixes.
            (Policy::Patch, 0, "10.11.20", Some("10.11.23 0")),
            (Policy::Patch, 18, "10.11.20", None),
            (Policy::Security, 0, "10.11.20", None),
            // Another line, only where the policy says so, and never back.
            (Policy::Esr, 0, "10.11.23", Some("11.7.17 0")),
            (Policy::Esr, 0, "11.10.4", Some("11.10.5 1")),
            (Policy::Esr, 0, "11.7.17", None),
        ] {
            assert_eq!(
                find(policy, delay, installed, today).as_deref(),
                found,
                "{policy} {delay} {installed}"
            );
        }
        assert_eq!(find(Policy::Esr, 0, "11.7.17", date(2027, 2, 16)).as_deref(), Some("12.4.0 0"));
        assert_eq!(find(Policy::Patch, 0, "11.7.12", date(2000, 1, 1)), None, "the clock went back");
    }

    #[test]
    fn it_begins_in_a_window_on_a_day_that_is_not_frozen_unless_it_failed() {
        let rules = Rules {
            policy: Policy::Patch,
            windows: Windows::read("Sat 02:00-05:00").expect("windows"),
            delay: 0,
            freeze: Freeze::read("2026-12-20..2027-01-06").expect("days"),
        };
        let to = version("11.7.16");
        let target = Target { version: to.clone(), out: date(2026, 11, 26), fixes: 1 };
        let at = |now: &str, latched: Option<&str>| {
            let latched = latched.map(version);
            decide(&rules, Some(&target), latched.as_ref(), now.parse().expect("a time"))
        };
        assert_eq!(at("2026-11-28T02:30:00", None), Decision::Update { to: to.clone() });
        assert_eq!(at("2026-11-28T06:00:00", None), Decision::Closed { to: to.clone() });
        assert_eq!(
            at("2026-12-26T02:30:00", None),
            Decision::Frozen { to: to.clone(), until: date(2027, 1, 6) }
        );
        assert_eq!(at("2026-11-28T02:30:00", Some("11.7.16")), Decision::Latched { to: to.clone() });
        assert_eq!(at("2026-11-28T02:30:00", Some("11.7.15")), Decision::Update { to }, "a newer release");
        let now = "2026-11-28T02:30:00".parse().expect("a time");
        assert_eq!(decide(&rules, None, None, now), Decision::Nothing);
    }
}
