//! What was looked at, and what came of it.

use std::fmt;

use serde::Serialize;

/// The three things an operator needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was seen.
    pub what: String,
    /// The likely cause.
    pub cause: String,
    /// What to do.
    pub fix: String,
}

impl Explanation {
    pub(crate) fn new(what: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), cause: cause.into(), fix: fix.into() }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}; {}", self.what, self.cause, self.fix)
    }
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, such as `websocket`: a stable name.
    pub name: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// As it should be.
    Passed {
        /// What was seen.
        seen: String,
    },
    /// Works, but could be better.
    Noted(Explanation),
    /// Does not work, or endangers the users.
    Failed(Explanation),
    /// Cannot be told from here.
    Unseen {
        /// Why not, and what would make it visible.
        why: String,
    },
}

impl Verdict {
    pub(crate) fn passed(seen: impl Into<String>) -> Self {
        Verdict::Passed { seen: seen.into() }
    }

    pub(crate) fn unseen(why: impl Into<String>) -> Self {
        Verdict::Unseen { why: why.into() }
    }

    pub(crate) fn failed(what: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Verdict::Failed(Explanation::new(what, cause, fix))
    }

    pub(crate) fn noted(what: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Verdict::Noted(Explanation::new(what, cause, fix))
    }

    /// This verdict as the result of the check `name`.
    pub(crate) fn on(self, name: &'static str) -> Check {
        Check { name, verdict: self }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_check_is_one_flat_object() {
        let json = |verdict: Verdict| serde_json::to_value(verdict.on("websocket")).unwrap();
        assert_eq!(
            json(Verdict::failed("no", "because", "do")),
            json!({ "name": "websocket", "verdict": "failed", "what": "no", "cause": "because", "fix": "do" })
        );
        assert_eq!(
            json(Verdict::passed("101")),
            json!({ "name": "websocket", "verdict": "passed", "seen": "101" })
        );
    }
}
