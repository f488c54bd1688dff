//! How an operation speaks with the agent, and with the server behind the edge.

pub(crate) mod app;
pub(crate) mod client;
mod first;
#[cfg(test)]
mod golden;
pub(crate) mod health;
pub(crate) mod presence;
pub(crate) mod program;
pub(crate) mod protocol;
pub(crate) mod proxy_users;
