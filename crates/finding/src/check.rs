//! One thing that was looked at, and the result.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::finding::{Finding, Severity};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, such as `websocket`: a stable name.
    pub name: &'static str,
    /// The result.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Passed {
        /// What was seen.
        seen: String,
    },
    /// Not as it should be.
    Found(Finding),
    /// It cannot be seen from here.
    Unseen {
        /// Why not, and what would make it visible.
        why: String,
    },
}

impl Verdict {
    /// As it should be.
    pub fn passed(seen: impl Into<String>) -> Self {
        Self::Passed { seen: seen.into() }
    }

    /// It cannot be seen from here.
    pub fn unseen(why: impl Into<String>) -> Self {
        Self::Unseen { why: why.into() }
    }

    /// It does not work.
    pub fn failed(what: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Found(Finding::error(what, cause, fix))
    }

    /// It works and could be better.
    pub fn noted(what: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Found(Finding::warning(what, cause, fix))
    }

    /// This verdict as the result of the check `name`.
    pub fn on(self, name: &'static str) -> Check {
        Check { name, verdict: self }
    }

    /// Whether it does not work.
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Found(finding) if finding.severity == Severity::Error)
    }

    /// Whether it works and could be better.
    pub fn is_noted(&self) -> bool {
        matches!(self, Self::Found(finding) if finding.severity == Severity::Warning)
    }

    /// One word, also for programs: `passed`, `noted`, `failed` or `unseen`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Found(Finding { severity: Severity::Warning, .. }) => "noted",
            Self::Found(Finding { severity: Severity::Error, .. }) => "failed",
            Self::Unseen { .. } => "unseen",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The object's fields; those of the result stand beside the word for it.
        #[derive(Serialize)]
        struct Fields<'a> {
            verdict: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            seen: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            why: Option<&'a str>,
            #[serde(flatten)]
            finding: Option<&'a Finding>,
        }
        let verdict = self.word();
        let (seen, why, finding) = match self {
            Self::Passed { seen } => (Some(seen.as_str()), None, None),
            Self::Found(finding) => (None, None, Some(finding)),
            Self::Unseen { why } => (None, Some(why.as_str()), None),
        };
        Fields { verdict, seen, why, finding }.serialize(serializer)
    }
}

impl fmt::Display for Check {
    /// For a terminal: a line, or four for what does not work.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match &self.verdict {
            Verdict::Passed { seen } => write!(f, "  ✓ {name}: {seen}"),
            Verdict::Found(finding) if finding.severity == Severity::Warning => {
                write!(f, "  ! {name}: {finding}")
            }
            Verdict::Found(finding) => write!(f, "  ✗ {name}\n{}", finding.lines("      ")),
            Verdict::Unseen { why } => write!(f, "  - {name}: not seen, {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_check_is_one_flat_object() {
        let json = |verdict: Verdict| serde_json::to_value(verdict.on("websocket")).unwrap();
        for (verdict, severity, word) in [
            (Verdict::failed("no", "because", "do"), "error", "failed"),
            (Verdict::noted("no", "because", "do"), "warning", "noted"),
        ] {
            assert_eq!(
                json(verdict),
                json!({
                    "name": "websocket", "verdict": word, "severity": severity,
                    "what": "no", "cause": "because", "fix": "do"
                })
            );
        }
        assert_eq!(
            json(Verdict::passed("101")),
            json!({ "name": "websocket", "verdict": "passed", "seen": "101" })
        );
        assert_eq!(
            json(Verdict::unseen("no login")),
            json!({ "name": "websocket", "verdict": "unseen", "why": "no login" })
        );
    }
}
