//! Mistakes in settings, and settings without effect, as data.

use std::fmt;
use std::path::Path;

use finding::visible;
use version::Series;

use crate::origin::Origin;

/// The text that is shown instead of a secret value.
pub const HIDDEN: &str = "(hidden)";

/// One mistake in one place.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Where it is.
    pub origin: Origin,
    /// Its name there; empty where the text does not parse.
    pub name: String,
    /// Its value; [`HIDDEN`] where that is secret, `None` where there is none.
    pub value: Option<String>,
    /// What is wrong, as a sentence fragment.
    pub problem: String,
    /// What is allowed instead, the nearest right name, or the way out.
    pub allowed: Option<String>,
    /// Whether the value is valid, but a rule forbids it for the chosen release.
    pub policy: bool,
}

impl Finding {
    pub(crate) fn new(origin: Origin, name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { origin, name: name.into(), value: None, problem: problem.into(), allowed: None, policy: false }
    }

    pub(crate) fn in_file(
        file: &Path,
        line: usize,
        name: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self::new(Origin::File { path: file.to_owned(), line }, name, problem)
    }

    pub(crate) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Adds the nearest right name, if there is one.
    pub(crate) fn nearest(mut self, near: Option<impl fmt::Display>) -> Self {
        self.allowed = near.map(|near| format!("did you mean `{near}`?"));
        self
    }

    pub(crate) fn value(mut self, value: &str, secret: bool) -> Self {
        self.value = Some(if secret { HIDDEN.to_owned() } else { masked(value) });
        self
    }

    pub(crate) fn policy(mut self) -> Self {
        self.policy = true;
        self
    }
}

/// The text without a password that stands in it before an `@`.
pub(crate) fn masked(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let start = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    match rest.rsplit_once('@').filter(|(login, _)| login.contains(':')) {
        Some((_, place)) => format!("{start}***@{place}"),
        None => text.to_owned(),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { String::new() } else { format!("`{}` ", self.name) };
        let allowed = self.allowed.as_ref().map_or_else(String::new, |allowed| format!("; {allowed}"));
        let line = format!("{}: {name}{}{allowed}", self.origin.place(), self.problem);
        f.write_str(&visible(&line))
    }
}

/// All mistakes, in the order of their places; never empty.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, thiserror::Error)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Whether every value is valid, and only rules of the release forbid them: exit code 8 and not 3.
    pub fn policy_only(&self) -> bool {
        self.0.iter().all(|finding| finding.policy)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

/// A valid setting that has no effect, or another one than it had. It is reported, and is no error.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Notice {
    /// Where it is.
    pub origin: Origin,
    /// Its name there.
    pub name: String,
    /// Since which release; `None` = in every one.
    pub since: Option<Series>,
    /// Whether the chosen release still reads it.
    pub effective: bool,
    /// What happened to it, and what to use instead.
    pub what: String,
    /// Whether it is a danger, and not only worth knowing.
    pub warning: bool,
}

impl Notice {
    /// A value that counts, and something to know about it.
    pub(crate) fn about(origin: Origin, name: impl Into<String>, what: impl Into<String>) -> Self {
        Self { origin, name: name.into(), since: None, effective: true, what: what.into(), warning: false }
    }

    /// A value without effect, and why.
    pub(crate) fn without_effect(origin: Origin, name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { effective: false, ..Self::about(origin, name, why) }
    }

    /// A value that is a danger.
    pub(crate) fn warning(origin: Origin, name: impl Into<String>, danger: impl Into<String>) -> Self {
        Self { warning: true, ..Self::about(origin, name, danger) }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = if self.effective { "" } else { " has no effect" };
        let since = match (self.since, self.effective) {
            (Some(since), false) => format!(" since {since}:"),
            (Some(since), true) => format!(": since {since}"),
            (None, _) => ":".to_owned(),
        };
        let line = format!("{}: `{}`{effect}{since} {}", self.origin.place(), self.name, self.what);
        f.write_str(&visible(&line))
    }
}

/// The notices as lines, each with `note:` or `warning:`. What is said of several settings of one place is said once.
pub fn in_lines(notices: &[Notice]) -> Vec<String> {
    let same = |one: &Notice, other: &Notice| {
        (&one.what, one.since, one.effective, one.origin.place())
            == (&other.what, other.since, other.effective, other.origin.place())
    };
    let is_first = |index: &usize| !notices[..*index].iter().any(|before| same(before, &notices[*index]));
    let lines = (0..notices.len()).filter(is_first).map(|index| {
        let notice = &notices[index];
        let names: Vec<_> =
            notices[index..].iter().filter(|other| same(notice, other)).map(|other| &*other.name).collect();
        let mut line = Notice { name: names.join("`, `"), ..notice.clone() }.to_string();
        if names.len() > 1 {
            line = line.replacen(" has no effect", " have no effect", 1);
        }
        format!("{}: {line}", if notice.warning { "warning" } else { "note" })
    });
    lines.collect()
}

/// The line, from 1, that the byte `offset` of `text` stands in.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
