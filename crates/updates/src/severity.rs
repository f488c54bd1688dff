//! How bad a flaw is, in the makers' words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a flaw is. One that is worse comes later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The makers do not say.
    #[default]
    Unknown,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Severity {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Unknown, "not stated"),
        (Self::Low, "low"),
        (Self::Medium, "medium"),
        (Self::High, "high"),
        (Self::Critical, "critical"),
    ];

    /// Of one word, in any case.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| name.eq_ignore_ascii_case(word)).map(|(severity, _)| *severity)
    }

    /// The worst one that a text about a release names in the makers' sentence: `contains Medium to High severity level security fixes`.
    /// `None`: the text says nothing of security fixes.
    pub(crate) fn of_release(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let says = [
            "severity level",
            "severity security",
            "security fix",
            "security update",
            "security vulnerabilit",
        ];
        let at = says.iter().filter_map(|says| text.find(says)).min()?;
        // The words before it, nearest first.
        let before =
            text[..at].split(|c: char| !c.is_ascii_alphabetic()).rev().filter(|word| !word.is_empty());
        Some(before.take(3).filter_map(Self::of_word).max().unwrap_or_default())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(severity, _)| severity == self).map_or("", |(_, name)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_makers_sentence_names_the_worst() {
        for (text, severity) in [
            ("Mattermost v11.7.15 contains Low to High severity level security fixes.", Some(Severity::High)),
            ("contains medium severity level security fixes", Some(Severity::Medium)),
            ("Contains CRITICAL severity level security fix", Some(Severity::Critical)),
            ("contains high severity security fixes", Some(Severity::High)),
            ("There are security fixes in it", Some(Severity::Unknown)),
            ("contains various bug fixes", None),
            ("", None),
        ] {
            assert_eq!(Severity::of_release(text), severity, "{text}");
        }
        assert!(Severity::Critical > Severity::High && Severity::Low > Severity::Unknown);
    }
}
