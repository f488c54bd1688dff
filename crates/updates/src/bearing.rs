//! Whether an advisory applies to a version.

use serde::Serialize;
use version::{Series, Version};

use crate::advisories::Advisory;

/// Whether an advisory applies to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bearing {
    /// The version has the flaw.
    Applies,
    /// The makers' rows do not say: they name supported lines of releases alone.
    Possible,
    /// It has not.
    No,
}

/// Whether an advisory about the server applies to a version.
///
/// A fix in the version's own line decides. Without one the list of affected versions does, where it names the line; and where nothing
/// names it, a version that is newer than every fix has them, and an older one may lack them.
pub fn bearing(advisory: &Advisory, version: &Version) -> Bearing {
    // The build of the built-in server says nothing here.
    let version = Version::new(version.major, version.minor, version.patch);
    let in_line = |other: &&Version| other.series() == version.series();
    if let Some(fixed) = advisory.fixed_in.iter().filter(in_line).min() {
        return if version < *fixed { Bearing::Applies } else { Bearing::No };
    }
    let ranges: Vec<Range> = advisory.affected.iter().filter_map(|text| Range::read(text)).collect();
    let of_line: Vec<&Range> = ranges.iter().filter(|range| range.is_about(version.series())).collect();
    if !of_line.is_empty() {
        return match of_line.iter().any(|range| range.holds(&version)) {
            true => Bearing::Applies,
            false => Bearing::No,
        };
    }
    match advisory.fixed_in.iter().max() {
        Some(newest) if version > *newest => Bearing::No,
        Some(_) => Bearing::Possible,
        // Nothing is said of any line.
        None if ranges.is_empty() => Bearing::Possible,
        None => Bearing::No,
    }
}

/// `11.3.x <= 11.3.0`, `<= 11.3.0`, `< 11.3.1`, `11.3.x`, `11.3.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    /// The line that it is about; `None`: all.
    series: Option<Series>,
    /// The last version, and whether it is one of them.
    last: Option<(Version, bool)>,
    /// This version alone.
    only: bool,
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim().replace('≤', "<=");
        let Some(at) = text.find('<') else {
            let text = text.trim_start_matches('v');
            return match text.parse::<Version>() {
                Ok(version) => {
                    Some(Self { series: Some(version.series()), last: Some((version, true)), only: true })
                }
                Err(_) => Some(Self { series: Some(line(text)?), last: None, only: false }),
            };
        };
        let (before, after) = (text[..at].trim(), text[at + 1..].trim());
        let (after, inclusive) = match after.strip_prefix('=') {
            Some(after) => (after.trim(), true),
            None => (after, false),
        };
        let last = after.trim_start_matches('v').parse().ok()?;
        let series = if before.is_empty() { None } else { Some(line(before.trim_start_matches('v'))?) };
        Some(Self { series, last: Some((last, inclusive)), only: false })
    }

    fn is_about(&self, series: Series) -> bool {
        self.series.is_none_or(|own| own == series)
    }

    fn holds(&self, version: &Version) -> bool {
        match &self.last {
            None => true,
            Some((last, _)) if self.only => version == last,
            Some((last, inclusive)) => version < last || (*inclusive && version == last),
        }
    }
}

/// `11.3.x`, `11.3`.
fn line(text: &str) -> Option<Series> {
    text.trim().trim_end_matches(".x").trim_end_matches(".X").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisories::Product;
    use crate::severity::Severity;

    #[test]
    fn the_table_of_versions() {
        use Bearing::{Applies, No, Possible};
        let lines = (
            &["11.3.x <= 11.3.0", "11.2.x <= 11.2.2", "10.11.x <= 10.11.9"][..],
            "11.4.0, 11.3.1, 11.2.3, 10.11.10",
        );
        for (version, (affected, fixed), is) in [
            // A fix in its own line decides.
            ("11.3.0", lines, Applies),
            ("11.3.1", lines, No),
            ("11.3.2", lines, No),
            ("10.11.9", lines, Applies),
            ("10.11.10", lines, No),
            ("11.6.0+0.1.0", lines, No),
            // Newer than every fix.
            ("11.4.0", lines, No),
            ("12.0.0", lines, No),
            // A line that is not supported any more, and that nobody speaks of.
            ("11.1.5", lines, Possible),
            ("9.11.18", lines, Possible),
            // The line is named, without a fix in it.
            ("11.1.5", (&["11.1.x <= 11.1.4"], "11.2.3"), No),
            ("11.1.4", (&["11.1.x <= 11.1.4"], "11.2.3"), Applies),
            ("11.1.4", (&["11.1.x < 11.1.4"], "11.2.3"), No),
            ("11.1.4", (&["11.1.x"], "11.2.3"), Applies),
            ("11.1.4", (&["11.1"], ""), Applies),
            ("11.1.4", (&["v11.1.4"], "v11.2.3"), Applies),
            ("11.1.3", (&["11.1.4"], "11.2.3"), No),
            // Everything up to a version.
            ("5.37.10", (&["<= 9.4.1"], "9.4.2"), Applies),
            ("5.37.10", (&["< 9.4.1"], ""), Applies),
            ("9.5.0", (&["<= 9.4.1"], "9.4.2"), No),
            // Other lines are named, and no fix.
            ("11.5.0", (&["11.1.x <= 11.1.4"], ""), No),
            // What cannot be read decides nothing.
            ("11.1.5", (&["all of them", "11.x <="], "11.2.3"), Possible),
            ("11.1.5", (&["all of them"], ""), Possible),
        ] {
            let advisory = Advisory {
                id: "MMSA-1".to_owned(),
                cve: String::new(),
                severity: Severity::High,
                product: Product::Server,
                affected: affected.iter().map(|text| (*text).to_owned()).collect(),
                fixed_in: crate::text::versions(fixed),
                published: None,
                summary: String::new(),
            };
            assert_eq!(
                bearing(&advisory, &version.parse().expect("a version")),
                is,
                "{version} {affected:?} {fixed}"
            );
        }
    }
}
