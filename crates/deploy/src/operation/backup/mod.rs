//! `backup`: snapshots of a deployment are made, looked at, checked and thinned out.

pub(crate) mod check;
pub(crate) mod create;
pub(crate) mod drill;
pub(crate) mod key;
pub(crate) mod last;
pub(crate) mod look;
pub(crate) mod prune;
