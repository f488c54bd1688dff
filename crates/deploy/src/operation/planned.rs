//! A plan that is shown and not run.

use plan::{Plan, Undo};

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

/// Why a migration may begin without a snapshot, where a release replaces an older one.
const NO_BACKUP: &str = "Mainstay has no backup of this database; make one before you replace a release";

/// Lets a plan begin that migrates a database, of which there is no backup yet.
pub(super) fn without_backup(plan: Plan<Action>) -> Plan<Action> {
    let migrates = plan.steps.iter().any(|step| matches!(step.undo, Undo::Impossible(_)));
    if migrates { plan.without_snapshot(NO_BACKUP) } else { plan }
}
