//! How a server is run: the release's program, its log, its process id.

use std::collections::BTreeMap;

use release::Release;

use super::running::{Condition, Running};
use crate::control::protocol::{ServerSpec, ServerStatus};
use crate::error::Error;
use crate::place::layout::Layout;
use crate::place::machine::make_dir;
use crate::state::location;

impl Running<ServerSpec> {
    pub(super) fn status(&self) -> ServerStatus {
        let Condition { pid, restarts, last_exit, last_restart } = self.condition();
        ServerStatus { spec: self.spec.clone(), pid, restarts, last_exit, last_restart }
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
        stop: host::StopSignal::default(),
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
