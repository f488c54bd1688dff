//! Plans and steps: plain data.

use serde::{Deserialize, Serialize};
use std::{collections::HashSet, fmt, time::Duration};

/// The format of a plan's JSON that this version writes. It grows when an older version could not read a plan.
///
/// 1: `undo` is a title or absent. 2: it may also be `{"impossible": WHY}`; `snapshot` and `without_snapshot`. 3: `checkpoint`; a plan that
/// has none is written as 2.
pub const FORMAT: u32 = 3;

/// The format of a plan without checkpoints.
const WITHOUT_CHECKPOINTS: u32 = 2;

/// What will be done, in order.
///
/// `Display` is what `--plan` prints. The journal keeps it as JSON; a reader that does not know the actions
/// reads it as `Plan<serde_json::Value>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan<A> {
    /// The format of its JSON.
    #[serde(default = "first_format")]
    pub format: u32,
    /// The command's word, such as `up`.
    pub operation: String,
    /// What the run is for, such as `Install Mattermost 11.7.15`.
    pub title: String,
    /// Why the plan may begin although a step in it can never be undone and no snapshot is taken before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_snapshot: Option<String>,
    /// The steps, first to last. May be empty: then there is nothing to do.
    pub steps: Vec<Step<A>>,
}

/// Plans had no format when there was only one.
fn first_format() -> u32 {
    1
}

/// One action with what people need to know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step<A> {
    /// Kebab-case, and unique in the plan: the journal and the fault flags call the step by it.
    pub name: String,
    /// What it does, such as `Unpack the release`.
    pub title: String,
    /// What its undo does.
    #[serde(default, skip_serializing_if = "Undo::is_nothing")]
    pub undo: Undo,
    /// Whether its undo brings back what the steps after it changed, also where their own undo is impossible.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
    /// Whether its success is a state to stay in: a later failure goes back to just after it, and no further.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checkpoint: bool,
    /// How long it is thought to take. Kept in whole milliseconds.
    #[serde(rename = "estimate_ms", with = "milliseconds")]
    pub estimate: Duration,
    /// The effect.
    pub action: A,
}

/// What the undo of a step is. In JSON a title is a string, "nothing" is absent, and "impossible" is an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "UndoJson", into = "UndoJson")]
pub enum Undo {
    /// The step changes nothing that lasts: [`Action::undo`](crate::Action::undo) is not called.
    #[default]
    Nothing,
    /// It can be undone; what that does, such as `Remove the release`.
    By(String),
    /// It cannot be undone; why, and how to get back what was there, such as `only a backup brings the old
    /// schema back`. [`Action::undo`](crate::Action::undo) is not called.
    Impossible(String),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum UndoJson {
    Nothing,
    By(String),
    Impossible { impossible: String },
}

impl From<UndoJson> for Undo {
    fn from(json: UndoJson) -> Self {
        match json {
            UndoJson::Nothing => Self::Nothing,
            UndoJson::By(title) => Self::By(title),
            UndoJson::Impossible { impossible } => Self::Impossible(impossible),
        }
    }
}

impl From<Undo> for UndoJson {
    fn from(undo: Undo) -> Self {
        match undo {
            Undo::Nothing => Self::Nothing,
            Undo::By(title) => Self::By(title),
            Undo::Impossible(impossible) => Self::Impossible { impossible },
        }
    }
}

impl Undo {
    /// An undo that does this.
    pub fn by(title: impl Into<String>) -> Self {
        Self::By(title.into())
    }

    /// No undo; why, and how to get back what was there.
    pub fn impossible(why: impl Into<String>) -> Self {
        Self::Impossible(why.into())
    }

    /// What it does, where there is something to do.
    pub fn title(&self) -> Option<&str> {
        if let Self::By(title) = self { Some(title) } else { None }
    }

    /// Whether the step leaves nothing to undo.
    pub fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
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
    /// A step cannot be undone, no snapshot is taken before it, and the plan does not say why it may do without one.
    #[error("`{step}` cannot be undone ({why}), and the plan takes no snapshot before it")]
    NoSnapshot {
        /// The step.
        step: String,
        /// Why it cannot be undone.
        why: String,
    },
    /// The plan does not come back from JSON, so that no recovery could read it.
    #[error("the plan cannot be read back from its own JSON: {0}")]
    Unreadable(String),
}

impl<A> Plan<A> {
    /// A plan in the oldest format that has all of it.
    pub fn new(operation: &str, title: impl Into<String>, steps: Vec<Step<A>>) -> Self {
        Self {
            format: if steps.iter().any(|step| step.checkpoint) { FORMAT } else { WITHOUT_CHECKPOINTS },
            operation: operation.to_owned(),
            title: title.into(),
            without_snapshot: None,
            steps,
        }
    }

    /// The same, allowed to begin without a snapshot, and why.
    #[must_use]
    pub fn without_snapshot(mut self, why: impl Into<String>) -> Self {
        self.without_snapshot = Some(why.into());
        self
    }

    /// The sum of the steps' estimates.
    pub fn estimate(&self) -> Duration {
        self.steps.iter().map(|step| step.estimate).sum()
    }

    /// Whether every step can be called by its name, and every step that cannot be undone is covered by a snapshot.
    ///
    /// # Errors
    /// [`PlanError::Name`], [`PlanError::Twice`] and [`PlanError::NoSnapshot`].
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
        if self.without_snapshot.is_some() {
            return Ok(());
        }
        match self.uncovered(0, self.steps.len()).first() {
            None => Ok(()),
            Some(NotUndone { step, why, .. }) => {
                Err(PlanError::NoSnapshot { step: step.clone(), why: why.clone() })
            }
        }
    }

    /// How many of the steps stay when the one after the first `succeeded` fails: those up to the last checkpoint.
    pub fn kept(&self, succeeded: usize) -> usize {
        let checkpoint = self.steps[..succeeded].iter().rposition(|step| step.checkpoint);
        checkpoint.map_or(0, |checkpoint| checkpoint + 1)
    }

    /// Those of the steps from `first` to `end` that cannot be undone and have no snapshot before them.
    pub(crate) fn uncovered(&self, first: usize, end: usize) -> Vec<NotUndone> {
        let until_snapshot = self.steps[first..end].iter().take_while(|step| !step.snapshot);
        let lasting = until_snapshot.filter_map(|step| match &step.undo {
            Undo::Impossible(why) => {
                Some(NotUndone { step: step.name.clone(), title: step.title.clone(), why: why.clone() })
            }
            Undo::Nothing | Undo::By(_) => None,
        });
        lasting.collect()
    }
}

/// A step whose effect stays although its run was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotUndone {
    /// The step's name.
    pub step: String,
    /// What it does.
    pub title: String,
    /// Why it cannot be undone, and how to get back what was there.
    pub why: String,
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
                Undo::By(undo) => write!(f, " (undo: {undo})")?,
                Undo::Nothing => write!(f, " (nothing to undo)")?,
                Undo::Impossible(why) => write!(f, " (cannot be undone: {why})")?,
            }
        }
        match &self.without_snapshot {
            Some(why) => write!(f, "\nNo snapshot is taken first: {why}"),
            None => Ok(()),
        }
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
            undo: undo.map_or(Undo::Nothing, Undo::by),
            snapshot: false,
            checkpoint: false,
            estimate: Duration::from_millis(ms),
            action: (),
        });
        Plan::new("up", "Install", steps.collect())
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

    #[test]
    fn what_cannot_be_undone_needs_a_snapshot_before_it_or_a_reason() {
        let mut migrate = plan(&[("keep", Some("Restore it"), 0), ("migrate", None, 0)]);
        migrate.steps[1].undo = Undo::impossible("only a backup brings the old schema back");
        let refused = migrate.check().unwrap_err();
        assert!(matches!(&refused, PlanError::NoSnapshot { step, .. } if step == "migrate"), "{refused}");
        assert!(
            migrate.to_string().ends_with("(cannot be undone: only a backup brings the old schema back)")
        );
        migrate.steps[0].snapshot = true;
        migrate.check().unwrap();
        // A snapshot covers what comes after it, not what came before.
        migrate.steps.swap(0, 1);
        assert!(migrate.check().is_err());
        let migrate = migrate.without_snapshot("nothing is installed yet");
        migrate.check().unwrap();
        assert!(migrate.to_string().ends_with("\nNo snapshot is taken first: nothing is installed yet"));
        let json = serde_json::to_value(&migrate).unwrap();
        assert_eq!(json["steps"][0]["undo"]["impossible"], "only a backup brings the old schema back");
        assert_eq!(serde_json::from_value::<Plan<()>>(json).unwrap(), migrate);
    }

    #[test]
    fn a_plan_without_a_format_is_of_the_first() {
        let json = r#"{"operation":"up","title":"Up","steps":[
            {"name":"a","title":"A","undo":"Unmake a","estimate_ms":1,"action":null},
            {"name":"b","title":"B","estimate_ms":1,"action":null}]}"#;
        let plan: Plan<()> = serde_json::from_str(json).unwrap();
        assert_eq!((plan.format, plan.steps[0].undo.title()), (1, Some("Unmake a")));
        assert_eq!(plan.steps[1].undo, Undo::Nothing);
    }
}
