//! Where a deployment lives: its directory, on a machine or in a container.

pub mod container;
pub(crate) mod ground;
pub(crate) mod layout;
pub(crate) mod machine;
