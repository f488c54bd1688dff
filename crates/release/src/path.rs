//! The upgrade path from one version to another: in one step, or with stops on the way.
//!
//! Mattermost allows an upgrade from any version to any later one, except for the rows below.
use std::cmp::Ordering;

use version::Version;

type Numbers = (u32, u32, u32);

/// A version that must run once before the upgrade goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The first version of its series that is enough; its newest patch release is better.
    pub version: Version,
    /// What only this version does.
    pub why: &'static str,
}

/// How to get from one version to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// Both versions are the same.
    Same,
    /// In one step.
    Open,
    /// By these versions in turn, each of which runs once, and then to the wanted one.
    Stops(Vec<Stop>),
    /// Not at all: the wanted version is older and cannot read what the newer one wrote.
    Older,
    /// Not to the wanted version, but to this one or a later one.
    Instead(Stop),
}

struct Row {
    /// Versions before this one
    before: Numbers,
    /// on their way to this one, or a later one,
    reaching: Numbers,
    /// stop here, or at a later patch release of it.
    at: Numbers,
    why: &'static str,
}

/// Oldest first. Sources: docker-mattermost's notes on 3.x; Mattermost's upgrade notes and its page on extended support
/// releases.
const STOPS: [Row; 4] = [
    Row {
        before: (3, 0, 0),
        reaching: (3, 4, 0),
        at: (3, 1, 0),
        why: "merges a person's accounts in several teams into one",
    },
    Row {
        before: (5, 31, 0),
        reaching: (5, 35, 0),
        at: (5, 31, 0),
        why: "is the extended support release from which 5.35 and later can be reached",
    },
    Row {
        before: (5, 35, 0),
        reaching: (6, 0, 0),
        at: (5, 37, 0),
        why: "has the long migrations that 6.0 and later need",
    },
    Row {
        before: (7, 1, 0),
        reaching: (7, 2, 0),
        at: (7, 1, 0),
        why: "is the first with the new migrations that later releases need",
    },
];

/// After an upgrade from the first range to the second the server does not start, because the migrations 142 to 144 differ
/// (mattermost issue 36594). It does start from the end of the second range on.
const CLASHES: [(std::ops::Range<Numbers>, std::ops::Range<Numbers>, &str); 1] = [(
    (10, 11, 17)..(10, 12, 0),
    (11, 0, 0)..(11, 7, 3),
    "handles that the migrations 142 to 144 of 10.11.17 and later differ from those of 11.0",
)];

/// The upgrade path from the version that last used a database to another.
pub fn path(from: &Version, to: &Version) -> Path {
    let order = match to.numbers().cmp(&from.numbers()) {
        Ordering::Equal => match (&from.build, &to.build) {
            (Some(from), Some(to)) => parts(to).cmp(&parts(from)),
            (None, None) => Ordering::Equal,
            // Another edition with the same schema.
            _ => Ordering::Greater,
        },
        order => order,
    };
    match order {
        Ordering::Less => return Path::Older,
        Ordering::Equal => return Path::Same,
        Ordering::Greater => {}
    }
    let mut at = from.numbers();
    let mut stops = Vec::new();
    for row in &STOPS {
        if at < row.before && to.numbers() >= row.reaching {
            at = row.at;
            stops.push(stop(row.at, row.why));
        }
    }
    let clash =
        CLASHES.iter().find(|(of, to_one_of, _)| of.contains(&at) && to_one_of.contains(&to.numbers()));
    match clash {
        Some((_, range, why)) => Path::Instead(stop(range.end, why)),
        None if stops.is_empty() => Path::Open,
        None => Path::Stops(stops),
    }
}

fn stop((major, minor, patch): Numbers, why: &'static str) -> Stop {
    Stop { version: Version::new(major, minor, patch), why }
}

/// A build's numbers, so that 0.10.0 comes after 0.9.0. A part that is not a number comes first.
fn parts(build: &str) -> Vec<Option<u64>> {
    build.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(from: &str, to: &str) -> String {
        match path(&from.parse().unwrap(), &to.parse().unwrap()) {
            Path::Same => "same".to_owned(),
            Path::Open => "open".to_owned(),
            Path::Older => "older".to_owned(),
            Path::Instead(stop) => format!("instead {}", stop.version),
            Path::Stops(stops) => {
                stops.iter().map(|stop| stop.version.to_string()).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn paths_at_the_limits_of_each_row() {
        for (from, to, expected) in [
            ("11.6.0", "11.6.0", "same"),
            ("11.6.0+0.9.0", "11.6.0+0.9.0", "same"),
            ("11.6.0+0.9.0", "11.6.0+0.10.0", "open"),
            ("11.6.0+0.10.0", "11.6.0+0.9.0", "older"),
            ("11.6.0+0.1.0", "11.6.0", "open"),
            ("11.6.0", "11.6.0+0.1.0", "open"),
            ("11.6.1", "11.6.0+9.0.0", "older"),
            ("11.7.0", "11.6.9", "older"),
            ("2.0.0", "2.1.0", "open"),
            ("2.0.0", "3.3.0", "open"),
            ("2.0.0", "3.4.0", "3.1.0"),
            ("2.2.0", "11.6.0", "3.1.0 5.31.0 5.37.0 7.1.0"),
            ("3.0.2", "3.5.1", "open"),
            ("3.5.1", "5.34.0", "open"),
            ("3.5.1", "5.37.10", "5.31.0"),
            ("5.31.0", "5.37.10", "open"),
            ("5.34.0", "6.0.0", "5.37.0"),
            ("5.35.0", "6.0.0", "open"),
            ("5.37.10", "7.1.9", "open"),
            ("5.37.10", "7.8.15", "7.1.0"),
            ("7.1.0", "7.8.15", "open"),
            ("7.8.15", "11.7.15", "open"),
            ("10.11.16", "11.0.0", "open"),
            ("10.11.17", "11.0.0", "instead 11.7.3"),
            ("10.11.23", "11.7.2", "instead 11.7.3"),
            ("10.11.23", "11.7.3", "open"),
            ("10.12.0", "11.6.0", "open"),
        ] {
            assert_eq!(told(from, to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn no_stop_comes_twice() {
        for pair in STOPS.windows(2) {
            assert!(pair[0].before <= pair[1].before && pair[0].at < pair[1].at);
        }
        for row in &STOPS {
            assert!(row.at >= row.before, "a stop before the end of its own row would come again");
        }
    }
}
