//! The table of settings: one row for each setting that has a name of its own.
//!
//! Names, defaults "then" and meanings are docker-mattermost's interface (its README at 2.1.0 and 3.5.1); places and
//! releases are the server's own (its `model/config.go` from 3.0 on). Every other key of config.json is known by
//! [`crate::known`] and needs no row.

mod accounts;
mod database;
mod gitlab;
mod integrations;
mod limits;
mod mail;
mod site;
mod storage;

use crate::row::Row;

/// Rows of one subject.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    /// Its heading.
    pub title: &'static str,
    /// Its rows.
    pub rows: &'static [Row],
}

/// The whole table.
pub const AREAS: &[Area] = &[
    site::AREA,
    accounts::AREA,
    integrations::AREA,
    mail::AREA,
    storage::AREA,
    limits::AREA,
    database::AREA,
    gitlab::AREA,
];

/// The source of what docker-mattermost 3.5.1 added.
const LATER: &str = "docker-mattermost 3.5.1";
/// The source of what Mainstay adds.
const OURS: &str = "Mainstay";

/// Every row.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    AREAS.iter().flat_map(|area| area.rows)
}

/// The row of that name.
pub fn find(name: &str) -> Option<&'static Row> {
    rows().find(|row| row.name == name)
}

/// Variables of docker-mattermost's image that are not settings.
pub(crate) const SILENT: &[&str] = &[
    "DEBUG_ENTRYPOINT",
    "MATTERMOST_BUILD_DIR",
    "MATTERMOST_CONF_DIR",
    "MATTERMOST_DATA_DIR",
    "MATTERMOST_HOME",
    "MATTERMOST_INSTALL_DIR",
    "MATTERMOST_LOG_DIR",
    "MATTERMOST_RUNTIME_DIR",
    "MATTERMOST_VERSION",
    // A CI runner's own, one letter from GITLAB_ID.
    "GITLAB_CI",
];

/// Variables beginning with `MM_` that the server reads itself and that are not keys of config.json.
pub(crate) const SERVERS_OWN: &[&str] = &[
    "MM_CONFIG",
    "MM_CUSTOM_DEFAULTS_PATH",
    "MM_INSTALL_TYPE",
    "MM_LICENSE",
    "MM_LOG_PATH",
    "MM_SERVICEENVIRONMENT",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use version::Series;

    use super::*;
    use crate::known;

    #[test]
    fn names_are_unique_and_every_row_says_what_it_means() {
        let names: BTreeSet<_> = rows().map(|row| row.name).collect();
        assert_eq!(names.len(), rows().count());
        for row in rows() {
            assert!(!row.meaning.is_empty() && !row.meaning.ends_with('.'), "{}", row.name);
            assert!(!row.now.is_empty(), "{} has no default of today", row.name);
            assert!(row.key.is_none_or(|key| crate::keys::key(key).is_some()), "{}", row.name);
        }
    }

    #[test]
    fn every_default_then_suits_its_row() {
        for row in rows() {
            if let Some(then) = row.then {
                assert_eq!(row.read(then).err(), None, "{}", row.name);
            }
        }
    }

    #[test]
    fn every_place_is_a_key_of_every_release_it_names() {
        let releases: Vec<_> = [(5, 37), (6, 0), (7, 8), (9, 5), (10, 11), (11, 7), (12, 0)]
            .map(|(a, b)| Series::new(a, b))
            .into();
        for row in rows() {
            for version in &releases {
                let Some(place) = row.place(*version) else { continue };
                let key = known::find(place.section, place.key, *version);
                assert!(key.is_some(), "{}: {} is no key of {version}", row.name, place.path());
                assert_eq!(key.is_some_and(|key| key.secret), row.secret, "{}: {}", row.name, place.path());
            }
            for pair in row.places.windows(2) {
                assert_eq!(pair[0].span.until, Some(pair[1].span.since), "{}: a gap or an overlap", row.name);
            }
        }
    }

    #[test]
    fn a_row_that_ends_says_why() {
        for row in rows().filter(|row| !row.places.is_empty()) {
            let ends = row.places.last().and_then(|place| place.span.until);
            assert!(ends.is_none() || row.change.is_some(), "{}", row.name);
        }
    }
}
