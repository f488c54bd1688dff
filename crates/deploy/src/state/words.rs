//! The words of operations that others look for in the journal.

/// Brings a deployment up.
pub(crate) const UP: &str = "up";

/// Removes a deployment.
pub(crate) const UNINSTALL: &str = "uninstall";

/// Deploys an app to this machine.
pub(crate) const DEPLOY_APP: &str = "deploy-app";

/// Goes back to the version of an app before.
pub(crate) const ROLL_BACK_APP: &str = "roll-back-app";

/// Removes an app from this machine.
pub(crate) const UNDEPLOY_APP: &str = "undeploy-app";

/// Makes a deployment of a snapshot.
pub(crate) const RESTORE: &str = "restore";

/// Restores a snapshot into a scratch deployment, tests it, and removes it.
pub(crate) const DRILL: &str = "drill";

/// Moves what is left of a deployment aside.
pub(crate) const START_EMPTY: &str = "start-empty";

/// Makes a snapshot.
pub(crate) const CREATE_BACKUP: &str = "backup create";

/// Brings a deployment to a newer release.
pub(crate) const UPGRADE: &str = "upgrade";

/// Goes back to the release before an upgrade.
pub(crate) const ROLLBACK: &str = "rollback";

/// Finishes or takes back an interrupted run.
pub(crate) const RECOVER: &str = "recover";

/// Puts another version of Mainstay's own program in place.
pub(crate) const SELF_UPDATE: &str = "self-update";

/// Runs a hook of the administrator, after an operation.
pub(crate) const HOOK: &str = "hook";

/// Brings a copy of a deployment to a newer release.
pub(crate) const REHEARSE: &str = "rehearse";

/// Removes snapshots.
pub(crate) const PRUNE_BACKUPS: &str = "backup prune";

/// Makes a repository that has lost parts fit for new snapshots.
pub(crate) const REPAIR_BACKUPS: &str = "backup repair";

/// Makes the key of the backups.
pub(crate) const CREATE_KEY: &str = "backup key create";

/// Deletes releases that nothing needs.
pub(crate) const PRUNE_RELEASES: &str = "release prune";

/// Moves the data into another database.
pub(crate) const MOVE_DATABASE: &str = "database move";

/// Brings the managed PostgreSQL to another major version.
pub(crate) const UPGRADE_DATABASE: &str = "database upgrade";

/// Deletes databases that the deployment has left.
pub(crate) const PRUNE_DATABASES: &str = "database prune";

/// Whether an operation changes nothing that people use: while it runs, and after a kill, the deployment is as well as it was before.
pub(crate) fn works_beside(operation: &str) -> bool {
    [
        CREATE_BACKUP,
        PRUNE_BACKUPS,
        REPAIR_BACKUPS,
        CREATE_KEY,
        DRILL,
        REHEARSE,
        PRUNE_RELEASES,
        PRUNE_DATABASES,
        HOOK,
    ]
    .contains(&operation)
}
