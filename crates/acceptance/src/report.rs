//! The results: checks, and the report on them.

use std::fmt::Write as _;
use std::path::PathBuf;

use finding::{Finding, in_markdown};
use jiff::Timestamp;
use serde::Serialize;

/// The result of one test run. Holds no password and no token.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The format of this report's JSON, [`Report::FORMAT`].
    pub format: u32,
    /// The URL under test.
    pub url: String,
    /// The address that was connected to, if it is not the URL's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, clean-up included.
    pub finished_at: Timestamp,
    /// The server's version, if it was found out.
    pub server_version: Option<String>,
    /// The server's build number.
    pub build_number: Option<String>,
    /// `team` or `enterprise`, as the server's build says.
    pub edition: Option<String>,
    /// Whether every check is ok, but for those of what is switched off.
    pub passed: bool,
    /// What this test says nothing about, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unchecked: Vec<String>,
    /// The checks, in the order of the test.
    pub checks: Vec<Check>,
}

/// How a note begins about what an interrupted test has left.
pub(crate) const EARLIER: &str = "an earlier test was interrupted";

impl Report {
    /// How a note begins about what an interrupted test has left.
    pub const EARLIER: &str = EARLIER;

    /// The format of the JSON that this version writes. A report without one is of format 1 as well.
    pub const FORMAT: u32 = 1;

    /// Whether the deployment passed: every check ran and is ok, or is of what the deployment's settings switch off.
    pub fn passed(&self) -> bool {
        let ran = |check: &Check| check.outcome == Outcome::Ok;
        self.checks.iter().any(ran)
            && self.checks.iter().all(|check| ran(check) || matches!(check.outcome, Outcome::Off { .. }))
    }

    /// The report as Markdown. Screenshots are linked by their paths.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_markdown(&mut text);
        text
    }

    fn write_markdown(&self, out: &mut String) -> std::fmt::Result {
        let verdict = if self.passed() { "passed" } else { "not passed" };
        writeln!(out, "# Acceptance of {}: {verdict}\n", in_markdown(&self.url))?;
        writeln!(out, "- Started: {:.0}", self.started_at)?;
        writeln!(out, "- Finished: {:.0}", self.finished_at)?;
        if let Some(via) = &self.via {
            writeln!(out, "- Connected to: {}", in_markdown(via))?;
        }
        for unchecked in &self.unchecked {
            writeln!(out, "- Not tested: {}", in_markdown(unchecked))?;
        }
        let server = [&self.server_version, &self.edition, &self.build_number];
        let server: Vec<_> = server.into_iter().flatten().map(|part| in_markdown(part)).collect();
        if !server.is_empty() {
            writeln!(out, "- Server: {}", server.join(", "))?;
        }
        writeln!(out, "\n| check | what is tested | program | result | ms |\n|---|---|---|---|---:|")?;
        for check in &self.checks {
            let (name, title, ms) = (check.name, check.title, check.ms);
            let clause = check.clause.unwrap_or("");
            writeln!(out, "| `{name}` | {title} | {clause} | {} | {ms} |", check.outcome.word())?;
        }
        for check in self.checks.iter().filter(|check| check.has_more()) {
            writeln!(out, "\n## `{}`: {}\n", check.name, check.outcome.word())?;
            match &check.outcome {
                Outcome::Ok => {}
                Outcome::Failed(finding) => out.push_str(&finding.to_markdown()),
                Outcome::Skipped { why } | Outcome::Off { why } => {
                    writeln!(out, "- Why: {}", in_markdown(why))?;
                }
            }
            for note in &check.notes {
                writeln!(out, "- Note: {}", in_markdown(note))?;
            }
            if let Some(path) = &check.screenshot {
                writeln!(out, "\n![{}](<{}>)", check.title, path.display())?;
            }
        }
        Ok(())
    }
}

/// One thing that was tested.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// Its name, in kebab case; stable, for scripts.
    pub name: &'static str,
    /// What it tests, in words.
    pub title: &'static str,
    /// The result.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// The requirement of the Deployment Solutions Program that it tests, by the program's numbering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clause: Option<&'static str>,
    /// Remarks; never a reason to fail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The picture taken at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screenshot: Option<PathBuf>,
}

impl Check {
    fn has_more(&self) -> bool {
        self.outcome != Outcome::Ok || !self.notes.is_empty() || self.screenshot.is_some()
    }
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Failed(Finding),
    /// Not tested. A report with a skipped check is not passed.
    Skipped {
        /// Why not.
        why: String,
    },
    /// Not tested, because the deployment's own settings switch it off.
    Off {
        /// By which setting.
        why: String,
    },
}

impl Outcome {
    /// One word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(_) => "failed",
            Self::Skipped { .. } => "skipped",
            Self::Off { .. } => "switched off",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: Outcome) -> Check {
        Check {
            name: "first-post",
            title: "The first user posts",
            outcome,
            ms: 12,
            clause: Some("Installation 2.1"),
            notes: Vec::new(),
            screenshot: None,
        }
    }

    fn report(checks: Vec<Check>) -> Report {
        Report {
            format: Report::FORMAT,
            url: "https://chat.example.org".to_owned(),
            via: None,
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
            server_version: Some("11.6.0".to_owned()),
            build_number: None,
            edition: Some("team".to_owned()),
            passed: false,
            unchecked: Vec::new(),
            checks,
        }
    }

    #[test]
    fn only_ok_everywhere_passes() {
        let skipped = Outcome::Skipped { why: "needs `reachable`".to_owned() };
        assert!(report(vec![check(Outcome::Ok)]).passed());
        assert!(!report(vec![check(Outcome::Ok), check(skipped)]).passed());
        assert!(!report(Vec::new()).passed());
        let off = || Outcome::Off { why: "sign-up is closed".to_owned() };
        assert!(report(vec![check(Outcome::Ok), check(off())]).passed());
        assert!(!report(vec![check(off())]).passed(), "nothing was tested");
    }

    #[test]
    fn a_check_is_one_flat_json_object() {
        let failed = Outcome::Failed(Finding::error("w", "c", "f"));
        let json = serde_json::to_value(check(failed)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "name": "first-post", "title": "The first user posts", "outcome": "failed",
                "severity": "error", "what": "w", "cause": "c", "fix": "f", "ms": 12, "clause": "Installation 2.1"
            })
        );
    }

    #[test]
    fn markdown_does_not_interpret_text_from_elsewhere() {
        let failed = Outcome::Failed(Finding::error("a | <b> ![x](y)\n# z", "c", "f"));
        let text = report(vec![check(failed)]).to_markdown();
        assert!(text.starts_with("# Acceptance of https://chat.example.org: not passed\n"));
        assert!(text.contains("| `first-post` | The first user posts | Installation 2.1 | failed | 12 |"));
        assert!(text.contains(r"- What: a \| \<b> !\[x\](y) # z"), "{text}");
    }
}
