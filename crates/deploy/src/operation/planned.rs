//! A plan that is shown and not run.

use plan::{Plan, PlanError};

use crate::action::Action;

/// A plan that is only shown.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Planned {
    /// What would be done, from what is there now.
    #[serde(flatten)]
    pub plan: Plan<Action>,
    /// The run that was interrupted and comes first; the plan is made again after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<String>,
    /// What is to be known of how the plan was made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// Why a migration may begin without a snapshot.
const NO_BACKUP: &str =
    "Mainstay does not run this database; make a backup of it before you replace a release";

/// Lets a plan begin that migrates a database of which no copy is kept.
pub(super) fn without_backup(plan: Plan<Action>) -> Plan<Action> {
    match plan.check() {
        Err(PlanError::NoSnapshot { .. }) => plan.without_snapshot(NO_BACKUP),
        _ => plan,
    }
}
