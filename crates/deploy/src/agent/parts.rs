//! The running parts, by name: read at any moment, also while a part is being stopped.
//!
//! The edge knows its upstream by address, so it may open before the server answers, and stays open while it restarts.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::edge::UpstreamAddress;
use tokio::sync::Notify;

use super::edge::OpenEdge;
use super::running::Running;
use crate::control::app::{AppSpec, app_of};
use crate::control::protocol::{PartSpec, PartStatus, PostgresSpec, ServerSpec};
use crate::error::Error;

/// The parts, in the order in which they were started. Whoever changes them holds the agent's turn; the lock inside is never held
/// across a wait.
#[derive(Default)]
pub(super) struct Parts {
    parts: Mutex<Vec<Part>>,
    added: Notify,
}

/// A part that runs.
pub(super) struct Part {
    pub name: String,
    pub running: Run,
}

/// How a part runs, by its kind.
pub(super) enum Run {
    Server(Running<ServerSpec>),
    Edge(OpenEdge),
    App(Running<AppSpec>),
    Postgres(Running<PostgresSpec>),
}

impl Run {
    /// As [`PartSpec::rank`].
    fn rank(&self) -> u8 {
        match self {
            Self::Postgres(postgres) => PartSpec::Postgres(postgres.spec.clone()).rank(),
            Self::Server(server) => PartSpec::Server(server.spec.clone()).rank(),
            Self::App(app) => PartSpec::App(app.spec.clone()).rank(),
            Self::Edge(edge) => PartSpec::Edge(edge.spec.clone()).rank(),
        }
    }
}

impl Parts {
    /// What a part was started as, unless it has ended by itself.
    pub(super) fn spec(&self, name: &str) -> Option<PartSpec> {
        self.inner().iter().find(|part| part.name == name).and_then(Part::status).map(|status| status.spec())
    }

    /// The open edge of that name.
    pub(super) fn edge(&self, name: &str) -> Option<OpenEdge> {
        self.inner().iter().find_map(|part| match &part.running {
            Run::Edge(edge) if part.name == name && !edge.has_ended() => Some(edge.clone()),
            _ => None,
        })
    }

    /// The server that an edge leads to.
    pub(super) fn server(&self) -> Option<ServerSpec> {
        self.inner().iter().find_map(|part| match &part.running {
            Run::Server(server) => Some(server.spec.clone()),
            Run::Edge(_) | Run::App(_) | Run::Postgres(_) => None,
        })
    }

    /// The managed database.
    pub(super) fn postgres(&self) -> Option<PostgresSpec> {
        self.inner().iter().find_map(|part| match &part.running {
            Run::Postgres(postgres) => Some(postgres.spec.clone()),
            Run::Server(_) | Run::Edge(_) | Run::App(_) => None,
        })
    }

    /// The servers and databases whose process runs: name, what it is, process id.
    pub(super) fn running_programs(&self) -> Vec<(String, PartSpec, u32)> {
        let running = |part: &Part| match &part.running {
            Run::Server(server) => {
                Some((part.name.clone(), PartSpec::Server(server.spec.clone()), server.status().pid?))
            }
            Run::Postgres(postgres) => {
                Some((part.name.clone(), PartSpec::Postgres(postgres.spec.clone()), postgres.status().pid?))
            }
            Run::Edge(_) | Run::App(_) => None,
        };
        self.inner().iter().filter_map(running).collect()
    }

    /// Whether the part has a program, which has ended and waits for its next start.
    pub(super) fn waits_to_start(&self, name: &str) -> bool {
        let waits = |part: &Part| match &part.running {
            Run::Server(server) => server.waits_to_start(),
            Run::App(app) => app.waits_to_start(),
            Run::Postgres(postgres) => postgres.waits_to_start(),
            Run::Edge(_) => false,
        };
        self.inner().iter().any(|part| part.name == name && waits(part))
    }

    /// Has the process `pid` of a server or database, which has been silent for so long, replaced by a new one.
    pub(super) fn replace(&self, name: &str, pid: u32, why: &str, silent: Duration) {
        for part in self.inner().iter().filter(|part| part.name == name) {
            let supervisor = match &part.running {
                Run::Server(Running { supervisor, .. }) => supervisor,
                Run::Postgres(Running { supervisor, .. }) => supervisor,
                Run::Edge(_) | Run::App(_) => continue,
            };
            if let Some(supervisor) = supervisor {
                supervisor.replace(pid, why, silent);
            }
        }
    }

    /// Tells the edges of a server whether it answers nothing. What was seen of a process that is not the server's any more tells
    /// nothing of the one that is.
    pub(super) fn set_silent(&self, name: &str, pid: u32, is_silent: bool) {
        let parts = self.inner();
        let upstream = parts.iter().find_map(|part| match &part.running {
            Run::Server(server) if part.name == name && server.status().pid == Some(pid) => {
                Some(server.spec.upstream())
            }
            _ => None,
        });
        if let Some(upstream) = upstream {
            tell_edges(&parts, &upstream, is_silent);
        }
    }

    /// Every part as it is.
    pub(super) fn status(&self) -> BTreeMap<String, PartStatus> {
        self.inner().iter().filter_map(|part| Some((part.name.clone(), part.status()?))).collect()
    }

    /// Adds a part that was started. Of a server that has just been started nobody can know that it answers nothing.
    pub(super) fn add(&self, part: Part) {
        let mut parts = self.inner();
        if let Run::Server(server) = &part.running {
            tell_edges(&parts, &server.spec.upstream(), false);
        }
        parts.push(part);
        self.added.notify_one();
    }

    /// Waits until a part is added.
    pub(super) async fn added(&self) {
        self.added.notified().await;
    }

    /// Returns when the part is gone: its process group, or its last connection. Until then it is seen.
    pub(super) async fn stop(&self, name: &str) {
        let stopping = self.inner().iter_mut().find(|part| part.name == name).map(Part::take_out);
        match stopping {
            Some(Stopping::Program(Some(supervisor))) => drop(supervisor.stop().await),
            Some(Stopping::Edge(edge)) => edge.close().await,
            Some(Stopping::Program(None)) | None => {}
        }
        self.inner().retain(|part| part.name != name);
    }

    /// Stops every part: those that need others before these, otherwise the last started first.
    pub(super) async fn stop_all(&self) {
        while let Some(name) = self.last() {
            self.stop(&name).await;
        }
    }

    /// Takes every part out, in order, for another program to go on with.
    pub(super) fn take(&self) -> Vec<Part> {
        std::mem::take(&mut *self.inner())
    }

    /// The edges that serve.
    pub(super) fn edges(&self) -> Vec<OpenEdge> {
        let edge = |part: &Part| match &part.running {
            Run::Edge(edge) => Some(edge.clone()),
            Run::Server(_) | Run::App(_) | Run::Postgres(_) => None,
        };
        self.inner().iter().filter_map(edge).collect()
    }

    /// The edges that lead elsewhere, by name.
    pub(super) fn astray(&self, upstream: &UpstreamAddress) -> Vec<(String, OpenEdge)> {
        let astray = |part: &Part| match &part.running {
            Run::Edge(edge) if edge.upstream != *upstream => Some((part.name.clone(), edge.clone())),
            _ => None,
        };
        self.inner().iter().filter_map(astray).collect()
    }

    fn last(&self) -> Option<String> {
        // Of several with the highest rank it is the last.
        self.inner().iter().max_by_key(|part| part.running.rank()).map(|part| part.name.clone())
    }

    /// No code that holds the lock can leave the parts half changed, so a panic elsewhere does not spoil them.
    fn inner(&self) -> MutexGuard<'_, Vec<Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the edges that lead to the address.
fn tell_edges(parts: &[Part], upstream: &UpstreamAddress, is_silent: bool) {
    for part in parts {
        if let Run::Edge(edge) = &part.running
            && edge.upstream == *upstream
        {
            edge.set_silent(is_silent);
        }
    }
}

/// What has to end before a part is gone.
enum Stopping {
    Program(Option<host::Supervisor>),
    Edge(OpenEdge),
}

impl Part {
    fn status(&self) -> Option<PartStatus> {
        match &self.running {
            Run::Server(server) => Some(PartStatus::Server(server.status())),
            Run::Postgres(postgres) => Some(PartStatus::Postgres(postgres.status())),
            Run::Edge(edge) => (!edge.has_ended()).then(|| PartStatus::Edge(edge.status())),
            Run::App(app) => Some(PartStatus::App(app.status())),
        }
    }

    fn take_out(&mut self) -> Stopping {
        match &mut self.running {
            Run::Server(server) => Stopping::Program(server.supervisor.take()),
            Run::Postgres(postgres) => Stopping::Program(postgres.supervisor.take()),
            Run::Edge(edge) => Stopping::Edge(edge.clone()),
            Run::App(app) => Stopping::Program(app.supervisor.take()),
        }
    }
}

/// A name of a part, which becomes the name of its files.
///
/// # Errors
/// It has other characters than small letters, digits and hyphens, and names no app.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    if app_of(name).is_some() {
        return Ok(());
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.is_empty() && name.len() <= 32 && name.chars().all(fits) {
        return Ok(());
    }
    let what =
        format!("`{}` cannot name a part; allowed: small letters, digits, hyphens", name.escape_debug());
    Err(Error::new(crate::error::Exit::Usage, what))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ::edge::Limits;

    use super::*;
    use crate::control::protocol::EdgeSpec;

    #[tokio::test]
    async fn an_edge_that_has_ended_is_no_edge() {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let spec = EdgeSpec {
            listen: any,
            https: false,
            proxies: Vec::new(),
            shared: Vec::new(),
            proxy_users: None,
            hold: None,
        };
        let open = OpenEdge::open(spec, any.into(), Limits::default(), &std::sync::Arc::default(), None)
            .expect("a port");
        let parts = Parts::default();
        parts.add(Part { name: "edge".to_owned(), running: Run::Edge(open.clone()) });
        assert!(parts.edge("edge").is_some() && parts.status().contains_key("edge"));
        // As if it had ended by itself: the parts were not told.
        open.drain().await;
        assert!(parts.edge("edge").is_none() && parts.status().is_empty());
        parts.stop("edge").await;
    }

    #[test]
    fn a_name_that_could_leave_the_directory_is_refused() {
        for wrong in ["", "../server", "a/b", "Server", "a.b", &"x".repeat(33)] {
            check_name(wrong).expect_err(wrong);
        }
        check_name("app-runtime-2").expect("allowed");
        check_name("app:com.example.App").expect("an app's");
        check_name("app:../server").expect_err("a path");
    }
}
