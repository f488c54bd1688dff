//! Protocol 1, which agents spoke before they told their version: enough of it to see what such an agent runs, and to stop it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::protocol::{Ask, EDGE, EdgeStatus, PartStatus, SERVER, ServerStatus, Status};

/// What an agent of protocol 1 is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub(super) enum FirstAsk {
    Status,
    StopServer,
    CloseEdge,
    /// Close the edge, stop the server, end.
    Stop,
}

/// What it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FirstStatus {
    agent_pid: u32,
    since: i64,
    server: Option<ServerStatus>,
    edge: Option<EdgeStatus>,
}

impl FirstAsk {
    /// The same in protocol 1; `None` where it has no words for it, or must not be asked any more.
    pub(super) fn of(ask: &Ask) -> Option<Self> {
        match ask {
            Ask::Status => Some(Self::Status),
            Ask::Stop { part } if part == SERVER => Some(Self::StopServer),
            Ask::Stop { part } if part == EDGE => Some(Self::CloseEdge),
            Ask::ShutDown => Some(Self::Stop),
            Ask::Start { .. }
            | Ask::Stop { .. }
            | Ask::Schedule { .. }
            | Ask::Hold { .. }
            | Ask::HandOver { .. } => None,
        }
    }
}

impl From<FirstStatus> for Status {
    fn from(first: FirstStatus) -> Self {
        let server = first.server.map(|server| (SERVER.to_owned(), PartStatus::Server(server)));
        let edge = first.edge.map(|edge| (EDGE.to_owned(), PartStatus::Edge(edge)));
        let parts: BTreeMap<_, _> = server.into_iter().chain(edge).collect();
        Self {
            agent_pid: first.agent_pid,
            since: first.since,
            holds: false,
            version: None,
            build: None,
            protocol: 1,
            schedule: Vec::new(),
            parts,
        }
    }
}
