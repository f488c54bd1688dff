//! The backups of a deployment: where they are, what opens them, what one holds, and how the last ones ended.
//!
//! [`access::Access`] is the one way to a repository: it decides where it is (`[backup]` of `mainstay.toml`, the variables that outrank
//! it, or the command line), and opens it with the deployment's key, or with another one that is named.

pub(crate) mod access;
pub(crate) mod choice;
pub(crate) mod cross_check;
pub(crate) mod key;
pub(crate) mod objects;
pub(crate) mod record;
pub(crate) mod set;
