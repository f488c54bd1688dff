//! Failures on request, by step name. Compiled in, so that the shipped binary is the one that was tested.

use crate::Plan;
use std::{fmt, str::FromStr};

/// The failures to inject into a run. Empty unless a hidden flag of the binary fills it.
#[derive(Debug, Clone, Default)]
pub struct Faults(Vec<Fault>);

/// What happens at an injected fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The effect fails.
    Fail,
    /// The process dies of `SIGKILL`.
    Kill,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    step: String,
    moment: Moment,
    kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// `started` is durable; nothing has been done.
    Before,
    /// Everything has been done; `succeeded` is not durable.
    After,
    /// `undo-started` is durable; nothing has been undone.
    Undo,
}

/// Why a fault cannot be injected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// The text is not of the form `STEP:MOMENT`.
    #[error("`{0}` names no fault: write STEP:before, STEP:after or STEP:undo")]
    Syntax(String),
    /// No step is called so.
    #[error("no step is called `{step}`: this plan has {steps}")]
    Step {
        /// The name that was asked for.
        step: String,
        /// The names that there are.
        steps: String,
    },
}

impl Faults {
    /// The same faults and one more, `STEP:before`, `STEP:after` or `STEP:undo`.
    ///
    /// # Errors
    /// [`FaultError::Syntax`].
    pub fn with(mut self, fault: &str, kind: FaultKind) -> Result<Self, FaultError> {
        let syntax = || FaultError::Syntax(fault.to_owned());
        let (step, moment) = fault.split_once(':').ok_or_else(syntax)?;
        let moment = moment.parse().map_err(|()| syntax())?;
        if step.is_empty() {
            return Err(syntax());
        }
        self.0.push(Fault { step: step.to_owned(), moment, kind });
        Ok(self)
    }

    /// A fault that never strikes would make a test pass for nothing.
    pub(crate) fn check<A>(&self, plan: &Plan<A>) -> Result<(), FaultError> {
        let known = |fault: &&Fault| plan.steps.iter().any(|step| step.name == fault.step);
        match self.0.iter().find(|fault| !known(fault)) {
            None => Ok(()),
            Some(fault) => {
                let names = plan.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>();
                let steps = if names.is_empty() { "no steps".to_owned() } else { names.join(", ") };
                Err(FaultError::Step { step: fault.step.clone(), steps })
            }
        }
    }

    pub(crate) fn kind(&self, step: &str, moment: Moment) -> Option<FaultKind> {
        self.0.iter().find(|fault| fault.step == step && fault.moment == moment).map(|fault| fault.kind)
    }
}

impl FromStr for Moment {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "before" => Ok(Self::Before),
            "after" => Ok(Self::After),
            "undo" => Ok(Self::Undo),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Undo => "undo",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_step_and_moment() {
        let faults = Faults::default().with("start-server:after", FaultKind::Kill).unwrap();
        assert_eq!(faults.kind("start-server", Moment::After), Some(FaultKind::Kill));
        assert_eq!(faults.kind("start-server", Moment::Before), None);
        assert_eq!(faults.kind("unpack", Moment::After), None);
    }

    #[test]
    fn refuses_what_would_never_strike() {
        for bad in ["", "unpack", "unpack:", ":before", "unpack:during"] {
            assert_eq!(
                Faults::default().with(bad, FaultKind::Fail).unwrap_err(),
                FaultError::Syntax(bad.into())
            );
        }
        let plan = Plan::<()>::new("up", "Install", vec![]);
        let faults = Faults::default().with("unpack:undo", FaultKind::Fail).unwrap();
        assert!(matches!(faults.check(&plan), Err(FaultError::Step { step, .. }) if step == "unpack"));
    }
}
