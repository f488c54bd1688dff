//! Which objects are bundles, and when one that failed is tried again.

use std::time::Duration;

use jiff::Timestamp;

use super::Object;
use super::lease::{Failure, PREFIX};
use crate::names;

/// The wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(15 * 60);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether an object may be a bundle. In the bucket that apps are deployed to, their own files are none.
pub(super) fn is_bundle(key: &str) -> bool {
    let deployed = [names::STATIC, names::MANIFESTS, PREFIX];
    key.ends_with(".zip") && !deployed.iter().any(|prefix| key.starts_with(prefix))
}

/// When a bundle that failed is tried again; `None`: its content is another one, so now.
pub(super) fn next_try(object: &Object, failure: Option<&Failure>) -> Option<Timestamp> {
    let failure = failure.filter(|failure| failure.etag == object.etag)?;
    let doubled = FIRST_WAIT.saturating_mul(1 << failure.failures.saturating_sub(1).min(16));
    failure.last.checked_add(doubled.min(LONGEST_WAIT)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_deployed_apps_are_no_bundles() {
        assert!(is_bundle("app.zip") && is_bundle("team/red/app-1.0.zip"));
        for key in ["app.tar.gz", "static/a_1_app/x.zip", "manifests/a.zip", "mainstay/apps/x.zip", "app.ZIP"]
        {
            assert!(!is_bundle(key), "{key}");
        }
    }

    #[test]
    fn a_failed_bundle_waits_longer_each_time_unless_it_changes() {
        let object = |etag: &str| Object {
            key: "a.zip".to_owned(),
            etag: etag.to_owned(),
            size: 1,
            modified: Timestamp::UNIX_EPOCH,
        };
        let failure = |failures| Failure {
            etag: "1".to_owned(),
            failures,
            last: Timestamp::UNIX_EPOCH,
            what: String::new(),
        };
        let minutes =
            |failures| next_try(&object("1"), Some(&failure(failures))).map(|time| time.as_second() / 60);
        assert_eq!([1, 2, 3, 7, 8, u32::MAX].map(minutes), [15, 30, 60, 960, 1440, 1440].map(Some));
        assert_eq!(next_try(&object("2"), Some(&failure(3))), None);
        assert_eq!(next_try(&object("1"), None), None);
    }
}
