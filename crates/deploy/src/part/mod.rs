//! What stands or runs in a deployment: how it is observed, and which steps bring it to what is wanted.

pub(crate) mod database;
pub(crate) mod observed;
pub(crate) mod preflight;
