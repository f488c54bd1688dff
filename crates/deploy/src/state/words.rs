//! The words of operations that others look for in the journal.

/// Brings a deployment up.
pub(crate) const UP: &str = "up";

/// Removes a deployment.
pub(crate) const UNINSTALL: &str = "uninstall";

/// Moves what is left of a deployment aside.
pub(crate) const START_EMPTY: &str = "start-empty";
