//! The database: whether it can be used, and what a plan does about it.

pub(crate) mod readiness;
pub(crate) mod steps;
