//! Which security fixes a version lacks, and by when the program wants them there.

use jiff::civil::Date;
use jiff::{Span, ToSpan as _};
use serde::Serialize;
use version::Version;

use crate::advisories::{Advisory, Product};
use crate::bearing::{Bearing, bearing};
use crate::releases::Published;
use crate::severity::Severity;

/// So many days after its announcement a deployment solution offers a security update: the program's promise.
pub const PROGRAM_DAYS: i32 = 10;

/// Who says that a fix is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The text of a release.
    Release,
    /// An advisory.
    Advisory,
}

/// A fix that a version lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The advisory's number, or the release's.
    pub id: String,
    /// Who says so.
    pub source: Source,
    /// Whether the makers' rows say that this version has the flaw, or leave it open.
    pub certain: bool,
    /// How bad the worst flaw is.
    pub severity: Severity,
    /// When the fix was published.
    pub published: Option<Date>,
    /// The releases that have it.
    pub fixed_in: Vec<Version>,
    /// The last of the program's days.
    pub deadline: Option<Date>,
    /// How many days are left; below zero: it is over-due by so many.
    pub days_left: Option<i32>,
    /// What it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub summary: String,
}

/// What is known of the installed line without any network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Support {
    /// The last day of its support.
    pub ends: Option<Date>,
    /// The newest release of it that the catalogue has.
    pub newest: Option<Version>,
}

/// Everything that a version lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// The fixes, those that are the longest over-due first.
    pub missing: Vec<Missing>,
    /// The newest release of its line that is known, if that is newer.
    pub newer: Option<Version>,
    /// The last day of the line's support.
    pub support_ends: Option<Date>,
    /// Whether that day has passed: the line gets no fixes any more.
    pub unsupported: bool,
    /// Advisories about plugins, whose versions are not known here.
    pub plugins: usize,
}

impl Missing {
    /// Whether the program's days have passed.
    pub fn is_overdue(&self) -> bool {
        self.days_left.is_some_and(|days| days < 0)
    }

    /// What is left of the program's days, in words.
    pub fn left(&self) -> String {
        let days = |count: i32| if count == 1 { "1 day".to_owned() } else { format!("{count} days") };
        match self.days_left {
            None => "its date is not known".to_owned(),
            Some(left) if left < 0 => format!("{} over-due", days(-left)),
            Some(0) => "due today".to_owned(),
            Some(left) => format!("{} left", days(left)),
        }
    }
}

impl Exposure {
    /// What `installed` lacks on a day.
    pub fn of(
        installed: &Version,
        advisories: &[Advisory],
        releases: &[Published],
        support: &Support,
        today: Date,
    ) -> Self {
        let in_line = |version: &Version| version.series() == installed.series() && version > installed;
        let newer = releases.iter().map(|release| &release.version).chain(&support.newest);
        let newer = newer.filter(|version| in_line(version)).max().cloned();
        let of_releases = releases.iter().filter(|release| in_line(&release.version)).filter_map(|release| {
            let severity = release.security?;
            let fixed_in = vec![release.version.clone()];
            let id = release.version.to_string();
            Some(missing(
                (id, Source::Release),
                true,
                severity,
                release.published,
                fixed_in,
                String::new(),
                today,
            ))
        });
        let of_server = advisories.iter().filter(|advisory| advisory.product == Product::Server);
        let of_advisories = of_server.filter_map(|advisory| {
            let certain = match bearing(advisory, installed) {
                Bearing::No => return None,
                bearing => bearing == Bearing::Applies,
            };
            let (id, summary) = (advisory.id.clone(), advisory.summary.clone());
            let fixed_in = advisory.fixed_in.clone();
            let id = (id, Source::Advisory);
            Some(missing(id, certain, advisory.severity, advisory.published, fixed_in, summary, today))
        });
        let mut missing: Vec<Missing> = of_releases.chain(of_advisories).collect();
        missing.sort_by(|one, other| {
            let order = |missing: &Missing| (!missing.certain, missing.days_left.unwrap_or(i32::MAX));
            order(one).cmp(&order(other)).then(other.severity.cmp(&one.severity)).then(one.id.cmp(&other.id))
        });
        Self {
            missing,
            newer,
            support_ends: support.ends,
            unsupported: support.ends.is_some_and(|ends| ends < today),
            plugins: advisories.iter().filter(|advisory| advisory.product == Product::Plugin).count(),
        }
    }

    /// The fixes that are certainly missing.
    pub fn certain(&self) -> impl Iterator<Item = &Missing> {
        self.missing.iter().filter(|missing| missing.certain)
    }

    /// Those of them whose days have passed.
    pub fn overdue(&self) -> impl Iterator<Item = &Missing> {
        self.certain().filter(|missing| missing.is_overdue())
    }
}

fn missing(
    (id, source): (String, Source),
    certain: bool,
    severity: Severity,
    published: Option<Date>,
    fixed_in: Vec<Version>,
    summary: String,
    today: Date,
) -> Missing {
    let deadline = published.and_then(|day| day.checked_add(PROGRAM_DAYS.days()).ok());
    let days_left =
        deadline.and_then(|deadline| today.until(deadline).ok()).map(|span: Span| span.get_days());
    Missing { id, source, certain, severity, published, fixed_in, deadline, days_left, summary }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn release(version: &str, published: Option<Date>, security: Option<Severity>) -> Published {
        Published { version: version.parse().expect("a version"), published, security }
    }

    fn advisory(id: &str, published: Option<Date>, fixed: &str, product: Product) -> Advisory {
        Advisory {
            id: id.to_owned(),
            cve: String::new(),
            severity: Severity::Medium,
            product,
            affected: Vec::new(),
            fixed_in: crate::text::versions(fixed),
            published,
            summary: String::new(),
        }
    }

    #[test]
    fn what_is_missing_has_a_deadline_and_what_is_left_of_it() {
        let releases = [
            release("12.0.3", Some(date(2026, 11, 26)), Some(Severity::Critical)),
            release("11.7.16", Some(date(2026, 11, 26)), Some(Severity::Medium)),
            release("11.7.15", Some(date(2026, 11, 5)), Some(Severity::High)),
            release("11.7.14", Some(date(2026, 10, 20)), None),
            release("11.7.12", Some(date(2026, 9, 1)), Some(Severity::High)),
        ];
        let advisories = [
            advisory("MMSA-1", Some(date(2026, 11, 17)), "11.7.13", Product::Server),
            advisory("MMSA-2", None, "11.7.13", Product::Server),
            advisory("MMSA-3", Some(date(2026, 11, 17)), "11.7.12", Product::Server),
            advisory("MMSA-4", Some(date(2026, 1, 1)), "12.0.1", Product::Server),
            advisory("MMSA-5", Some(date(2026, 1, 1)), "1.2.3", Product::Plugin),
        ];
        let support = Support { ends: Some(date(2027, 5, 15)), newest: Some(Version::new(11, 7, 15)) };
        let of = |version: &str, today| {
            Exposure::of(&version.parse().expect("a version"), &advisories, &releases, &support, today)
        };
        let exposure = of("11.7.12", date(2026, 11, 27));
        let said: Vec<String> =
            exposure.missing.iter().map(|missing| format!("{} {}", missing.id, missing.left())).collect();
        assert_eq!(
            said,
            [
                "11.7.15 12 days over-due",
                "MMSA-1 due today",
                "11.7.16 9 days left",
                "MMSA-2 its date is not known",
                // The line is not named, and the fix is in a newer one.
                "MMSA-4 320 days over-due",
            ]
        );
        assert_eq!((exposure.certain().count(), exposure.overdue().count(), exposure.plugins), (4, 1, 1));
        assert_eq!(exposure.newer, Some(Version::new(11, 7, 16)));
        assert!(!exposure.unsupported);
        let up_to_date = of("11.7.16", date(2026, 11, 27));
        assert_eq!((up_to_date.certain().count(), up_to_date.newer), (0, None));
        // A day later one more is over-due; with a clock that went back nothing is.
        assert_eq!(of("11.7.12", date(2026, 11, 28)).overdue().count(), 2);
        let back = of("11.7.12", date(2000, 1, 1));
        assert_eq!(back.overdue().count(), 0);
        assert!(of("11.7.12", date(2027, 5, 16)).unsupported);
        assert!(!of("11.7.12", date(2027, 5, 15)).unsupported);
    }
}
