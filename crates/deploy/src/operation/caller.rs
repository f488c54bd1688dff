//! Who runs an operation: what it needs of them.

use plan::{Faults, Plan, Reader};
use tokio_util::sync::CancellationToken;

use crate::action::Action;
use crate::error::Error;

/// Everything a changing operation needs of its caller.
pub struct Caller<'a> {
    /// Who asks: a user name.
    pub who: String,
    /// Why, in words; shown to whoever finds the lock taken, and kept in the history.
    pub why: String,
    /// Reads the events of the run.
    pub reader: &'a mut dyn Reader,
    /// Failures to inject.
    pub faults: Faults,
    /// Ctrl-C.
    pub cancel: CancellationToken,
    /// Asked before the first change.
    pub consent: Consent<'a>,
}

/// Who agrees to a plan.
pub enum Consent<'a> {
    /// Nobody is asked.
    Given,
    /// Asked with the plan, or without one where an interrupted run comes first and the plan is made after it. Answers whether to go on.
    Ask(&'a mut Question<'a>),
}

/// A question to the user about a plan; an error where nobody can be asked.
pub type Question<'a> = dyn FnMut(Option<&Plan<Action>>) -> Result<bool, Error> + 'a;

impl Consent<'_> {
    pub(super) fn to(&mut self, plan: Option<&Plan<Action>>) -> Result<bool, Error> {
        match self {
            Self::Given => Ok(true),
            Self::Ask(question) => question(plan),
        }
    }
}
