//! `backup`: snapshots of a deployment are made, looked at, checked, repaired and thinned out.

pub(crate) mod check;
pub(crate) mod create;
pub(crate) mod drill;
pub(crate) mod key;
pub(crate) mod last;
pub(crate) mod look;
pub(crate) mod prune;
pub(crate) mod repair;
