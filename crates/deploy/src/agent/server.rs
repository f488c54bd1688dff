//! A supervised server: the release's program, its log, its process id.

use std::collections::BTreeMap;
use std::path::PathBuf;

use host::Supervisor;
use release::Release;
use tokio::sync::watch;

use crate::control::protocol::{LastRestart, ServerSpec, ServerStatus};
use crate::error::{Error, reason};
use crate::place::layout::Layout;
use crate::place::machine::make_dir;
use crate::state::location;
use crate::state::restarts::{self, PartRestart};

/// A server that is supervised.
pub(super) struct Running {
    pub spec: ServerSpec,
    status: watch::Receiver<host::Status>,
    /// `None` while it is being stopped.
    pub supervisor: Option<Supervisor>,
}

impl Running {
    /// Its restarts that nobody asked for are written down in `restarts`, with the part's `name`.
    ///
    /// # Errors
    /// The machine has no thread or descriptor left.
    pub(super) fn new(
        spec: ServerSpec,
        supervisor: std::io::Result<Supervisor>,
        name: &str,
        restarts: PathBuf,
    ) -> Result<Self, Error> {
        let supervisor = supervisor.map_err(|error| {
            Error::not_ready(format!("the server cannot be supervised: {}", reason(&error)))
        })?;
        tokio::spawn(write_down(supervisor.status(), name.to_owned(), restarts));
        Ok(Self { spec, status: supervisor.status(), supervisor: Some(supervisor) })
    }

    pub(super) fn status(&self) -> ServerStatus {
        let status = self.status.borrow();
        let (pid, last_exit) = match &status.state {
            host::State::Running { pid, .. } => (Some(*pid), None),
            host::State::BackingOff { last_exit, .. } => (None, Some(last_exit.to_string())),
            host::State::Stopped { last_exit } => (None, last_exit.as_ref().map(ToString::to_string)),
            host::State::Starting => (None, None),
        };
        let last_restart =
            status.last_end.as_ref().map(|end| LastRestart { at: end.at_ms, why: end.exit.to_string() });
        ServerStatus {
            spec: self.spec.clone(),
            pid,
            restarts: status.restarts.into(),
            last_exit,
            last_restart,
        }
    }

    /// Whether the program has ended and waits for its next start.
    pub(super) fn waits_to_start(&self) -> bool {
        matches!(self.status.borrow().state, host::State::BackingOff { .. })
    }
}

/// Writes every restart down until the supervisor ends.
async fn write_down(mut status: watch::Receiver<host::Status>, part: String, path: PathBuf) {
    let end_of = |status: &mut watch::Receiver<host::Status>| status.borrow_and_update().last_end.clone();
    let mut known = end_of(&mut status);
    while status.changed().await.is_ok() {
        let end = end_of(&mut status);
        if end == known {
            continue;
        }
        known.clone_from(&end);
        let Some(end) = end else { continue };
        let restart = PartRestart { part: part.clone(), at: end.at_ms, why: end.exit.to_string() };
        let path = path.clone();
        let written = tokio::task::spawn_blocking(move || restarts::add(&path, restart)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "a restart is not in the history");
        }
    }
}

/// How a server is started by an agent with the environment `env`.
///
/// # Errors
/// Its user does not exist; its release is not there.
pub(super) fn command(
    layout: &Layout,
    env: &BTreeMap<String, String>,
    name: &str,
    spec: &ServerSpec,
) -> Result<host::Command, Error> {
    let user = spec.user.as_deref().map(host::User::named).transpose()?;
    crate::place::local_socket::prepare(layout, user.as_ref())?;
    let release = Release::open(&spec.release)?;
    let mut call = release.server(&layout.config());
    if release.capabilities().c_memory {
        call.env.extend(memory(|name| env.get(name).cloned()));
    }
    if let Some(socket) = &spec.socket {
        // config.json has the address for an agent that knows no sockets.
        let path = socket.to_string_lossy().into_owned();
        call.env.insert("MM_SERVICESETTINGS_LISTENADDRESS".to_owned(), path);
    }
    call.env.extend(spec.overrides.clone());
    if let Some(dir) = layout.temporary() {
        // What an earlier server left is of no use.
        host::disk::remove_tree(&dir)?;
        make_dir(&dir, 0o700, None)?;
        call.env.insert("TMPDIR".to_owned(), dir.to_string_lossy().into_owned());
    }
    Ok(host::Command {
        program: call.program,
        args: call.args,
        env: call.env,
        cwd: call.cwd,
        user,
        log: host::Log::at(layout.logs().join(format!("{name}.log"))),
        pid_file: Some(layout.run().join(format!("{name}.pid"))),
        shim: shim(layout),
    })
}

/// How patient its supervisor is: a server may take as long to stop as its release needs, where the place leaves it so much.
pub(super) fn policy(layout: &Layout, spec: &ServerSpec) -> host::Policy {
    let usual = host::Policy::default();
    let release = release::name_of(&spec.release).parse::<release::ReleaseId>();
    let needed = release.map_or(usual.grace, |release| release::Capabilities::of(&release).stop_limit);
    host::Policy { grace: layout.place().grace().unwrap_or(needed), ..usual }
}

/// These variables; a value in the agent's own environment, which is the administrator's, wins.
fn memory(own: impl Fn(&str) -> Option<String>) -> impl Iterator<Item = (String, String)> {
    crate::world::MEMORY
        .into_iter()
        .map(move |(name, value)| (name.to_owned(), own(name).unwrap_or_else(|| value.to_owned())))
}

/// Starts no server where the data of a used deployment is gone: it would make an empty database, at every restart anew.
fn shim(layout: &Layout) -> host::Shim {
    let mut shim = host::Shim::this_program();
    // A config.json that cannot be read is reported by the server.
    if location::is_file(layout).unwrap_or_default() {
        let files = [("--once", layout.identity()), ("--needs", layout.sqlite())];
        shim.args.extend(files.into_iter().flat_map(|(flag, path)| [flag.into(), path.into_os_string()]));
    }
    shim
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_goes_back_unless_the_administrator_says_otherwise() {
        let lines = |own: fn(&str) -> Option<String>| {
            memory(own).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(
            lines(|_| None),
            ["MALLOC_ARENA_MAX=2", "MALLOC_TRIM_THRESHOLD_=131072", "MALLOC_MMAP_THRESHOLD_=131072"]
        );
        let own = |name: &str| (name == "MALLOC_ARENA_MAX").then(|| "8".to_owned());
        assert_eq!(
            lines(own),
            ["MALLOC_ARENA_MAX=8", "MALLOC_TRIM_THRESHOLD_=131072", "MALLOC_MMAP_THRESHOLD_=131072"]
        );
    }
}
