//! How an operation speaks with the agent, and with the server behind the edge.

pub(crate) mod health;
pub(crate) mod protocol;
