//! One finding.

use std::fmt;

use serde::Serialize;

use crate::location::Location;
use crate::text::in_markdown;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It works, but could be better.
    Warning,
    /// It does not work, or it endangers data or users.
    Error,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was seen.
    pub what: String,
    /// The likely cause.
    pub cause: String,
    /// What to do.
    pub fix: String,
    /// Where.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

impl Finding {
    /// Something that does not work.
    pub fn error(what: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            what: what.into(),
            cause: cause.into(),
            fix: fix.into(),
            location: None,
        }
    }

    /// Something that works and could be better.
    pub fn warning(what: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(what, cause, fix) }
    }

    /// The same, with its place.
    #[must_use]
    pub fn at(self, location: Location) -> Self {
        Self { location: Some(location), ..self }
    }

    /// The same, with a cause from a caller that knows more.
    #[must_use]
    pub fn because(self, cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), ..self }
    }

    /// The same, with a fix from a caller that knows more.
    #[must_use]
    pub fn fixed_by(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }

    /// The three parts under each other, each with its label, for a terminal. `indent` stands before each line.
    pub fn lines(&self, indent: &str) -> String {
        let Self { what, cause, fix, .. } = self;
        format!("{indent}what   {what}\n{indent}cause  {cause}\n{indent}fix    {fix}")
    }

    /// The three parts as a Markdown list. Text from elsewhere stays text.
    pub fn to_markdown(&self) -> String {
        let [what, cause, fix] = [&self.what, &self.cause, &self.fix].map(|part| in_markdown(part));
        format!("- What: {what}\n- Likely cause: {cause}\n- Fix: {fix}\n")
    }
}

impl fmt::Display for Finding {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.what, self.cause, self.fix)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn full() -> Finding {
        Finding::error("port 80 is taken", "nginx listens on it", "stop nginx")
    }

    #[test]
    fn a_finding_is_text_and_markdown_and_json() {
        assert_eq!(full().to_string(), "port 80 is taken: nginx listens on it; stop nginx");
        assert_eq!(
            full().lines("  "),
            "  what   port 80 is taken\n  cause  nginx listens on it\n  fix    stop nginx"
        );
        assert_eq!(
            full().to_markdown(),
            "- What: port 80 is taken\n- Likely cause: nginx listens on it\n- Fix: stop nginx\n"
        );
        assert_eq!(
            serde_json::to_value(full()).unwrap(),
            json!({ "severity": "error", "what": "port 80 is taken", "cause": "nginx listens on it", "fix": "stop nginx" })
        );
    }

    #[test]
    fn each_kind_of_place_is_named_in_json() {
        let file = std::path::PathBuf::from("/etc/x.toml");
        for (location, expected, text) in [
            (Location::File(file.clone()), json!({ "file": "/etc/x.toml" }), "/etc/x.toml"),
            (
                Location::Line { file, line: 3 },
                json!({ "line": { "file": "/etc/x.toml", "line": 3 } }),
                "/etc/x.toml:3",
            ),
            (Location::Key("DB_NAME".into()), json!({ "key": "DB_NAME" }), "`DB_NAME`"),
            (Location::Url("http://a/".into()), json!({ "url": "http://a/" }), "http://a/"),
            (Location::Address("a:1".into()), json!({ "address": "a:1" }), "a:1"),
        ] {
            assert_eq!(location.to_string(), text);
            assert_eq!(serde_json::to_value(full().at(location)).unwrap()["where"], expected);
        }
    }
}
