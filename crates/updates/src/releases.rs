//! The makers' list of releases, as GitHub's API has it. A release says at once that it has security fixes, and how bad the flaws are.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use version::Version;

use crate::advisories::{Read, rows};
use crate::severity::Severity;
use crate::text::day;

/// A release that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Which.
    pub version: Version,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Date>,
    /// How bad the worst flaw is that it corrects; `None`: its text says nothing of security fixes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Severity>,
}

/// Reads the list. Drafts, pre-releases and what is tagged beside the server are left out.
///
/// # Errors
/// It is not such a list, in words that complete "the list of releases ...".
pub fn read(text: &[u8]) -> Result<Read<Published>, String> {
    let (mut releases, mut unread) = (Vec::new(), 0);
    for row in rows(text)? {
        let Some(tag) = row["tag_name"].as_str() else {
            unread += 1;
            continue;
        };
        if row["draft"] == Value::Bool(true) || row["prerelease"] == Value::Bool(true) {
            continue;
        }
        let Ok(version) = tag.strip_prefix('v').unwrap_or(tag).parse::<Version>() else { continue };
        if version.build.is_some() {
            continue;
        }
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        let security = Severity::of_release(text("body")).or_else(|| Severity::of_release(text("name")));
        releases.push(Published { version, published: day(text("published_at")), security });
    }
    releases.sort_by(|one, other| other.version.cmp(&one.version));
    releases.dedup_by(|one, other| one.version == other.version);
    match releases.is_empty() {
        true => Err("has no release in it that this version of Mainstay can read".to_owned()),
        false => Ok((releases, unread)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_with_what_they_say_of_security() {
        let text = r#"[
            {"tag_name": "v11.7.14", "published_at": "2026-10-20T10:00:00Z", "body": "contains various bug fixes"},
            {"tag_name": "v11.7.15", "published_at": "2026-11-05T10:00:00Z", "body": "contains Low to High severity level security fixes"},
            {"tag_name": "v11.7.15"},
            {"tag_name": "v12.2.0-rc1", "prerelease": true}, {"tag_name": "v12.2.0", "prerelease": true}, {"tag_name": "v12.3.0", "draft": true},
            {"tag_name": "server/public/v0.1.10"}, {"tag_name": "v12.2.0-rc2"}, {"name": "x"}
        ]"#;
        let (releases, unread) = read(text.as_bytes()).expect("a list");
        assert_eq!(unread, 1);
        let [newest, older] = &releases[..] else { panic!("{releases:?}") };
        assert_eq!(
            (newest.version.to_string(), newest.security),
            ("11.7.15".to_owned(), Some(Severity::High))
        );
        assert_eq!((older.version.to_string(), older.security), ("11.7.14".to_owned(), None));
        assert!(newest.published.is_some());
        assert!(read(br#"[{"tag_name": "nightly"}]"#).expect_err("none").contains("no release"));
        assert!(
            read(br#"{"message": "API rate limit exceeded"}"#).expect_err("none").contains("not an array")
        );
    }
}
