//! Checks put together: about what, with which result.

use std::fmt;
use std::fmt::Write as _;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::check::{Check, Verdict};
use crate::exit::Exit;
use crate::text::in_markdown;

/// What was looked at, in order, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What the checks are about, such as a URL or a directory.
    pub subject: String,
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// A report on `subject`.
    pub fn new(subject: impl Into<String>, checks: Vec<Check>) -> Self {
        Self { subject: subject.into(), checks }
    }

    /// Whether something was looked at and nothing failed. What could not be seen is no failure, and is not hidden.
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && !self.checks.iter().any(|check| check.verdict.is_failed())
    }

    /// What a command ends with that had only to look.
    pub fn exit(&self) -> Exit {
        if self.passed() { Exit::Done } else { Exit::NotVerified }
    }

    /// As Markdown: a table of the checks, and a section for each that has a finding or could not be seen.
    pub fn to_markdown(&self) -> String {
        let verdict = if self.passed() { "passed" } else { "not passed" };
        let mut page =
            format!("# {}: {verdict}\n\n| check | result |\n|---|---|\n", in_markdown(&self.subject));
        // Writing to a string cannot fail.
        for Check { name, verdict } in &self.checks {
            let _ = writeln!(page, "| {name} | {} |", verdict.word());
        }
        for Check { name, verdict } in &self.checks {
            let _ = match verdict {
                Verdict::Passed { .. } => Ok(()),
                Verdict::Found(finding) => {
                    write!(page, "\n## {name}: {}\n\n{}", verdict.word(), finding.to_markdown())
                }
                Verdict::Unseen { why } => {
                    writeln!(page, "\n## {name}: {}\n\n- Why: {}", verdict.word(), in_markdown(why))
                }
            };
        }
        page
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Report", 3)?;
        object.serialize_field("subject", &self.subject)?;
        object.serialize_field("passed", &self.passed())?;
        object.serialize_field("checks", &self.checks)?;
        object.end()
    }
}

impl fmt::Display for Report {
    /// For a terminal: the checks, one under the other.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, check) in self.checks.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{check}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(last: Verdict) -> Report {
        let checks = vec![
            Verdict::passed("101").on("websocket"),
            Verdict::noted("9 days left", "not renewed", "renew").on("certificate"),
            last.on("address"),
        ];
        Report::new("https://a|b", checks)
    }

    #[test]
    fn only_a_failure_fails_and_nothing_looked_at_does_not_pass() {
        assert_eq!(report(Verdict::unseen("no login")).exit(), Exit::Done);
        assert_eq!(report(Verdict::failed("a", "b", "c")).exit(), Exit::NotVerified);
        assert!(!Report::new("x", Vec::new()).passed());
    }

    #[test]
    fn a_report_is_text_and_markdown_and_json() {
        let report = report(Verdict::failed("wrong <b>", "because", "do"));
        assert_eq!(
            report.to_string(),
            "  ✓ websocket: 101\n  ! certificate: 9 days left: not renewed; renew\n  ✗ address\n      \
             what   wrong <b>\n      cause  because\n      fix    do"
        );
        assert_eq!(
            report.to_markdown(),
            "# https://a\\|b: not passed\n\n| check | result |\n|---|---|\n| websocket | passed |\n\
             | certificate | noted |\n| address | failed |\n\n## certificate: noted\n\n- What: 9 days left\n\
             - Likely cause: not renewed\n- Fix: renew\n\n## address: failed\n\n- What: wrong \\<b>\n\
             - Likely cause: because\n- Fix: do\n"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["subject"], &json["passed"]), (&json!("https://a|b"), &json!(false)));
        assert_eq!(
            (&json["checks"][2]["verdict"], &json["checks"][2]["fix"]),
            (&json!("failed"), &json!("do"))
        );
    }
}
