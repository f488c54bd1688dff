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
