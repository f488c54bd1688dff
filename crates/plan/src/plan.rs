//! Plans and steps: plain data.

use serde::{Deserialize, Serialize};
use std::{collections::HashSet, fmt, time::Duration};

/// What will be done, in order.
///
/// `Display` is what `--plan` prints. The journal keeps it as JSON; a reader that does not know the actions
/// reads it as `Plan<serde_json::Value>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan<A> {
    /// The command's word, such as `up`.
    pub operation: String,
    /// What the run is for, such as `Install Mattermost 11.7.15`.
    pub title: String,
    /// The steps, first to last. May be empty: then there is nothing to do.
    pub steps: Vec<Step<A>>,
}

/// One action with what people need to know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step<A> {
    /// Kebab-case, and unique in the plan: the journal and the fault flags call the step by it.
    pub name: String,
    /// What it does, such as `Unpack the release`.
    pub title: String,
    /// What its undo does, such as `Remove the release`. `None`: there is nothing to undo, and
    /// [`Action::undo`](crate::Action::undo) is not called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// How long it is thought to take. Kept in whole milliseconds.
    #[serde(rename = "estimate_ms", with = "milliseconds")]
    pub estimate: Duration,
    /// The effect.
    pub action: A,
}

/// Why a plan cannot be run: a mistake in the code that made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A name is not kebab-case.
    #[error("the step name `{0}` is not allowed: use lower-case letters, digits and single hyphens")]
    Name(String),
    /// Two steps have one name.
    #[error("two steps are called `{0}`: give each its own name")]
    Twice(String),
    /// The plan does not come back from JSON, so that no recovery could read it.
    #[error("the plan cannot be read back from its own JSON: {0}")]
    Unreadable(String),
}

impl<A> Plan<A> {
    /// The sum of the steps' estimates.
    pub fn estimate(&self) -> Duration {
        self.steps.iter().map(|step| step.estimate).sum()
    }

    /// Whether every step can be called by its name.
    ///
    /// # Errors
    /// [`PlanError::Name`] and [`PlanError::Twice`].
    pub fn check(&self) -> Result<(), PlanError> {
        let mut seen = HashSet::new();
        for Step { name, .. } in &self.steps {
            if !is_kebab_case(name) {
                return Err(PlanError::Name(name.clone()));
            }
            if !seen.insert(name) {
                return Err(PlanError::Twice(name.clone()));
            }
        }
        Ok(())
    }
}

fn is_kebab_case(name: &str) -> bool {
    name.split('-')
        .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

impl<A> fmt::Display for Plan<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = match self.steps.len() {
            0 => return write!(f, "{}: nothing to do", self.title),
            1 => "1 step".to_owned(),
            n => format!("{n} steps"),
        };
        write!(f, "{}: {steps}, about {}", self.title, Rough(self.estimate()))?;
        let name = self.steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
        let number = self.steps.len().to_string().len();
        for (i, step) in self.steps.iter().enumerate() {
            write!(f, "\n  {:number$}. {:name$}  {}", i + 1, step.name, step.title)?;
            match &step.undo {
                Some(undo) => write!(f, " (undo: {undo})")?,
                None => write!(f, " (nothing to undo)")?,
            }
        }
        Ok(())
    }
}

/// A duration at the precision of a guess.
struct Rough(Duration);

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis().div_ceil(1000) {
            0 | 1 => write!(f, "1 s"),
            s @ 2..=90 => write!(f, "{s} s"),
            s => write!(f, "{} min", s.div_ceil(60)),
        }
    }
}

mod milliseconds {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(steps: &[(&str, Option<&str>, u64)]) -> Plan<()> {
        let steps = steps.iter().map(|&(name, undo, ms)| Step {
            name: name.into(),
            title: format!("Do {name}"),
            undo: undo.map(str::to_owned),
            estimate: Duration::from_millis(ms),
            action: (),
        });
        Plan { operation: "up".into(), title: "Install".into(), steps: steps.collect() }
    }

    #[test]
    fn prints_every_step_with_its_undo() {
        let text = plan(&[("unpack", Some("Remove the release"), 1900), ("verify", None, 800)]).to_string();
        assert_eq!(
            text,
            "Install: 2 steps, about 3 s\n  1. unpack  Do unpack (undo: Remove the release)\n  2. verify  Do verify (nothing to undo)"
        );
        assert_eq!(plan(&[]).to_string(), "Install: nothing to do");
    }

    #[test]
    fn comes_back_from_json() {
        let plan = plan(&[("unpack", Some("Remove the release"), 1900)]);
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan<()>>(&json).unwrap(), plan);
        assert!(json.contains(r#""estimate_ms":1900"#), "{json}");
    }

    #[test]
    fn refuses_names_that_cannot_be_called() {
        for bad in ["", "Unpack", "un_pack", "-unpack", "unpack-", "un--pack", "unpack:before"] {
            assert_eq!(plan(&[(bad, None, 0)]).check(), Err(PlanError::Name(bad.into())));
        }
        assert_eq!(plan(&[("a", None, 0), ("a", None, 0)]).check(), Err(PlanError::Twice("a".into())));
        assert_eq!(plan(&[("unpack-11-7", None, 0)]).check(), Ok(()));
    }
}
