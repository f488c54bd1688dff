//! Which bundles are deployed now: decided from keys, tags and what failed before.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use super::Object;
use super::lease::Failure;
use crate::names;

/// The tags of an object.
pub type Tags = BTreeMap<String, String>;

/// How many tags an object of S3 may have.
const MOST_TAGS: usize = 10;

/// The wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(15 * 60);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The name of an environment, such as `production`: tags are named after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment(String);

impl FromStr for Environment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        if !text.is_empty() && text.len() <= 64 && text.chars().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err("allowed: 1 to 64 letters, digits, `-`, `_` and `.`".to_owned())
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Environment {
    /// The tag that Mattermost's own deployer sets to `true`.
    fn tag(&self) -> String {
        format!("deployed_{}", self.0)
    }

    /// The tag that says which content was deployed.
    fn content_tag(&self) -> String {
        format!("deployed_{}_content", self.0)
    }

    /// Whether this content counts as deployed. What Mattermost's own deployer marked says nothing about the content.
    pub(super) fn is_deployed(&self, tags: &Tags, etag: &str) -> bool {
        let content = tags.get(&self.content_tag());
        tags.get(&self.tag()).is_some_and(|value| value == "true")
            && content.is_none_or(|content| *content == plain(etag))
    }

    /// The tags that say that this content is deployed; the others stay. `None`: there is no room for two more.
    pub(super) fn mark(&self, mut tags: Tags, etag: &str) -> Option<Tags> {
        tags.insert(self.tag(), "true".to_owned());
        tags.insert(self.content_tag(), plain(etag));
        (tags.len() <= MOST_TAGS).then_some(tags)
    }
}

/// An etag without its quotes, which a tag may not have.
fn plain(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

/// Whether an object may be a bundle. In the bucket that apps are deployed to, their own files are none.
pub(super) fn is_bundle(key: &str) -> bool {
    let deployed = [names::STATIC, names::MANIFESTS, super::lease::PREFIX];
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

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn content_counts_as_deployed_and_nothing_else() {
        let environment: Environment = "production".parse().expect("a name");
        let marked = environment.mark(tags(&[("team", "red")]), "\"abc\"").expect("room");
        assert_eq!(
            marked,
            tags(&[("team", "red"), ("deployed_production", "true"), ("deployed_production_content", "abc")])
        );
        assert!(environment.is_deployed(&marked, "\"abc\""));
        assert!(!environment.is_deployed(&marked, "\"other\""));
        assert!(environment.is_deployed(&tags(&[("deployed_production", "true")]), "\"abc\""));
        assert!(!environment.is_deployed(&tags(&[("deployed_production", "false")]), "\"abc\""));
        assert!(!environment.is_deployed(&tags(&[("deployed_staging", "true")]), "\"abc\""));
        let full: Tags = (0..9).map(|number| (format!("tag{number}"), String::new())).collect();
        assert_eq!(environment.mark(full, "\"abc\""), None);
        // Marking again needs no more room.
        assert!(environment.mark(marked, "\"other\"").is_some());
    }

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

    #[test]
    fn an_environment_has_a_name_that_tags_may_have() {
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<Environment>().is_err(), "{bad}");
        }
    }
}
