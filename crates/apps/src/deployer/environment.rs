//! An environment, and the tags that say what is deployed to it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The tags of an object.
pub type Tags = BTreeMap<String, String>;

/// How many tags an object of S3 may have.
const MOST_TAGS: usize = 10;

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
    fn an_environment_has_a_name_that_tags_may_have() {
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<Environment>().is_err(), "{bad}");
        }
    }
}
