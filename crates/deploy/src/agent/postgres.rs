//! How the managed PostgreSQL is run. What it may not do is on its command line, which outranks its files: it listens on its socket alone.
//!
//! Two PostgreSQLs never work on one directory: the agent's lock keeps a second agent away, and PostgreSQL itself looks at its
//! `postmaster.pid` and at the shared memory of an earlier one. The agent removes a `postmaster.pid` only where the process that it names
//! works elsewhere: after a reboot the number is somebody else's, and PostgreSQL would refuse to start for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use database::cluster::{ACCESS, IDENTITIES, SETTINGS};
use host::{Policy, StopSignal};

use super::running::{Condition, Running};
use crate::control::protocol::{PostgresSpec, PostgresStatus};
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::place::postgres::prepare_socket;
use crate::state::cluster::{Record, data_version, refuse_foreign};

impl Running<PostgresSpec> {
    pub(super) fn status(&self) -> PostgresStatus {
        let Condition { pid, restarts, last_exit, last_restart } = self.condition();
        PostgresStatus { spec: self.spec.clone(), pid, restarts, last_exit, last_restart }
    }
}

/// How long PostgreSQL may take to stop: it writes what it has in memory. Killed, it would replay that at its next start; nothing is lost.
const GRACE: Duration = Duration::from_secs(45);

/// How patient its supervisor is.
pub(super) fn policy() -> Policy {
    Policy { grace: GRACE, ..Policy::default() }
}

/// Removes a `postmaster.pid` that names a process which is not PostgreSQL on this directory.
///
/// # Errors
/// A PostgreSQL works there that the agent has not started.
pub(super) fn clear(layout: &Layout) -> Result<(), Error> {
    refuse_foreign(layout)?;
    Ok(host::disk::remove_file(&layout.postgres_data().join("postmaster.pid"))?)
}

/// Makes the directory of its socket again where somebody has deleted it: without one, no PostgreSQL starts. Where the whole cluster is
/// gone, nothing is made in its place.
///
/// # Errors
/// It cannot be made.
pub(super) fn bring_back_socket(layout: &Layout, spec: &PostgresSpec) -> Result<(), Error> {
    let is_there = layout.postgres_socket().symlink_metadata().is_ok();
    if is_there || data_version(layout).is_none() {
        return Ok(());
    }
    tracing::warn!(directory = %layout.postgres_socket().display(), "the directory of PostgreSQL's socket is made again");
    prepare(layout, spec)
}

/// Makes the directory of its socket where it is missing.
fn prepare(layout: &Layout, spec: &PostgresSpec) -> Result<(), Error> {
    let user = spec.user.as_deref().map(host::User::named).transpose()?;
    let reader = spec.reader.as_deref().map(host::User::named).transpose()?;
    prepare_socket(layout, user.as_ref(), reader.map(|user| user.gid))
}

/// How it is started by an agent with the environment `env`.
///
/// # Errors
/// The programs of its version are gone; a user does not exist; its socket's directory is somebody else's.
pub(super) fn command(
    layout: &Layout,
    env: &BTreeMap<String, String>,
    name: &str,
    spec: &PostgresSpec,
) -> Result<host::Command, Error> {
    let record = Record::read(layout)?.ok_or_else(|| {
        let path = layout.cluster_record();
        Error::new(Exit::Refused, format!("there is no PostgreSQL cluster: {} is missing", path.display()))
            .hint("put the directory back from a backup; `mainstay up` says what is gone")
    })?;
    let path = env.get("PATH").map(String::as_str).unwrap_or_default();
    let installation = record.installation(layout, path)?;
    let user = spec.user.as_deref().map(host::User::named).transpose()?;
    prepare(layout, spec)?;
    let (socket, postgres) = (layout.postgres_socket(), layout.postgres());
    let set = |key: &str, value: &std::path::Path| format!("{key}={}", value.display());
    let settings = [
        set("config_file", &postgres.join(SETTINGS)),
        set("hba_file", &postgres.join(ACCESS)),
        set("ident_file", &postgres.join(IDENTITIES)),
        // A list, in which a name in quotes may have every character.
        format!("unix_socket_directories=\"{}\"", socket.display().to_string().replace('"', "\"\"")),
        "listen_addresses=".to_owned(),
        "unix_socket_permissions=0777".to_owned(),
        "port=5432".to_owned(),
    ];
    let mut args = vec!["-D".into(), layout.postgres_data().into_os_string()];
    args.extend(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
    Ok(host::Command {
        program: installation.program("postgres"),
        args,
        env: [("LC_ALL".to_owned(), "C.UTF-8".to_owned())].into(),
        cwd: "/".into(),
        user,
        log: host::Log::at(layout.log(crate::LogPart::Database)),
        pid_file: Some(layout.run().join(format!("{name}.pid"))),
        shim: host::Shim::this_program(),
        stop: StopSignal::Int,
    })
}
