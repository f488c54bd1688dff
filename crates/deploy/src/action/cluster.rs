//! The managed PostgreSQL cluster: made once, by `initdb`.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use database::cluster::{Installation, MATTERMOST, SUPERUSER};
use host::tool::Tool;
use plan::{Progress, Step, Undo};
use release::{Capabilities, ReleaseId};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::place::machine::{make_dir, owner};
use crate::place::postgres::installations;
use crate::state::cluster::{Record, data_version, files};
use crate::world::World;

/// How long `initdb` may take: it writes 40 MB.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the name of the data begins with while it is being made: each try has a name of its own, because programs of a try that was killed
/// may still be writing.
pub(super) const MAKING: &str = "making";

/// How long the kernel may take to end such a program.
const ENDING: Duration = Duration::from_secs(5);

/// The number of directories in `base` where nobody has made a database: those of PostgreSQL itself.
const OWN_DATABASES: usize = 3;

/// Makes the cluster; in a plan only where there is none. Its programs are looked for when the step runs, because the step before may have
/// installed them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The release that is to run on it.
    pub release: ReleaseId,
    /// The system user that owns it; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// How many connections the server opens at most.
    pub connections: u32,
}

impl Cluster {
    pub(crate) fn step(self, layout: &Layout) -> Step<Action> {
        let title = format!("Make a PostgreSQL cluster in {}", layout.postgres().display());
        step("cluster", title, Undo::by("Remove it; what holds data is moved aside"), 700, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || this.make(&world)).await.map(Value::from)
    }

    /// Returns the major version.
    fn make(&self, world: &World) -> Result<u32, Error> {
        let layout = &world.layout;
        if let (Some(major), true) = (data_version(layout), Record::read(layout)?.is_some()) {
            // A kill came after the last act.
            return Ok(major);
        }
        let path = world.env.get("PATH").map(String::as_str).unwrap_or_default();
        let installation = match data_version(layout) {
            // Made by a run that was killed right after.
            Some(major) => Record { major, ..Record::unknown() }.installation(layout, path)?,
            None => fitting(&installations(path), &self.release)?,
        };
        let owner = owner(self.user.as_deref())?;
        make_dir(&layout.postgres(), 0o711, None)?;
        if data_version(layout).is_none() {
            remove_half_made(layout)?;
            let making = layout.postgres().join(format!("{MAKING}-{:08x}", rand::random::<u32>()));
            make_closed(&making, owner)?;
            initdb(&installation, &making, self.user.as_deref())?;
            // One wait for all files instead of a thousand.
            host::disk::sync_file_system(&making)?;
            std::fs::rename(&making, layout.postgres_data())
                .map_err(|error| Error::path("name", layout.postgres_data(), &error))?;
        }
        write_files(layout, &installation, self.connections, self.user.as_deref())?;
        // Last: with this file the cluster is complete.
        Record::of(&installation).write(layout)?;
        Ok(installation.major)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let layout = world.layout.clone();
        blocking(move || {
            let (data, undone) = (layout.postgres_data(), layout.undone());
            remove_half_made(&layout)?;
            if has_databases(&data) {
                // Moved and not deleted: between a kill and a resume people may have worked in it.
                make_dir(&undone, 0o700, None)?;
                let kept = undone.join(format!("postgres-{}", jiff::Timestamp::now().as_millisecond()));
                std::fs::rename(&data, &kept).map_err(|error| Error::path("move aside", &data, &error))?;
            }
            host::disk::remove_tree(&layout.postgres())?;
            Ok(host::disk::remove_tree(&layout.postgres_socket())?)
        })
        .await
    }
}

/// Makes a cluster in an empty directory of its user.
pub(super) fn initdb(installation: &Installation, data: &Path, user: Option<&str>) -> Result<(), Error> {
    let user = user.map(host::User::named).transpose()?;
    let tool = Tool::new(installation.program("initdb"), PATIENCE)
        .arg("--pgdata")
        .arg(data)
        .args([
            "--username",
            SUPERUSER,
            "--encoding",
            "UTF8",
            "--auth",
            "peer",
            "--data-checksums",
            "--no-sync",
        ])
        // The order of texts must not change with a new version of the C library: indexes depend on it.
        .args(locale(installation.major))
        .env("LC_ALL", "C.UTF-8")
        .cwd("/")
        .user(user);
    tool.run_blocking().map(drop).map_err(|error| {
        Error::not_ready(format!("PostgreSQL {} cannot make a cluster: {error}", installation.major))
            .hint("the message is initdb's; nothing has been made")
    })
}

/// Ends what a killed try has left behind, and removes what that has made.
pub(super) fn remove_half_made(layout: &Layout) -> Result<(), Error> {
    for entry in std::fs::read_dir(layout.postgres()).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(MAKING) {
            end_makers(&entry.path())?;
            host::disk::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// The programs that make a cluster, or fill one.
const MAKERS: [&str; 8] =
    ["initdb", "postgres", "pg_ctl", "pg_dump", "pg_dumpall", "pg_restore", "psql", "vacuumdb"];

/// Ends the programs that make a cluster in `directory`, or fill it.
fn end_makers(directory: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + ENDING;
    loop {
        let makers = host::leftover::concerned_with(directory, &MAKERS);
        let Some(first) = makers.first() else { return Ok(()) };
        if Instant::now() > deadline {
            return Err(Error::not_ready(format!(
                "process {first} still makes a PostgreSQL cluster in {} and does not end",
                directory.display()
            ))
            .hint(format!("end it with `kill -9 {first}` as root, then run the command again")));
        }
        for pid in makers.iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A directory for the data: nobody but its owner sees into it.
pub(super) fn make_closed(path: &Path, owner: Option<(u32, u32)>) -> Result<(), Error> {
    std::fs::DirBuilder::new().mode(0o700).create(path).map_err(|error| Error::path("make", path, &error))?;
    make_dir(path, 0o700, owner)
}

/// `C.UTF-8`, from PostgreSQL itself where it has it.
fn locale(major: u32) -> Vec<&'static str> {
    match major {
        17.. => vec!["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"],
        _ => vec!["--locale=C.UTF-8"],
    }
}

/// Whether somebody made a database in it.
fn has_databases(data: &Path) -> bool {
    std::fs::read_dir(data.join("base")).is_ok_and(|entries| entries.flatten().count() > OWN_DATABASES)
}

/// The newest PostgreSQL, if it is new enough for the release.
///
/// # Errors
/// There is none, or all are too old.
pub(crate) fn fitting(found: &[Installation], release: &ReleaseId) -> Result<Installation, Error> {
    let minimum = database::Version::of_postgres(Capabilities::of(release).postgres_minimum);
    match found.first() {
        Some(newest) if newest.major >= minimum.major => Ok(newest.clone()),
        Some(newest) => Err(Error::new(
            Exit::Refused,
            format!(
                "{release} needs PostgreSQL {minimum} or later, and the newest one on this machine is {} ({})",
                newest.major,
                newest.bin.display()
            ),
        )
        .hint(format!(
            "install a newer one beside it (apt.postgresql.org and yum.postgresql.org have all versions), or name a database elsewhere \
             with DB_HOST; nothing has been changed. `{MATTERMOST}` would be made with the newest one"
        ))),
        None => Err(Error::not_ready("PostgreSQL is not installed on this machine, so Mainstay cannot run one")
            .hint(
                "`mainstay up --install-packages` installs it from the distribution; or install it yourself: `apt-get install \
                 --no-install-recommends postgresql`, or `dnf install postgresql-server postgresql-contrib`",
            )),
    }
}

/// Writes the files that decide how the cluster runs. They are root's: the cluster's own user may read them, and change none.
pub(super) fn write_files(
    layout: &Layout,
    installation: &Installation,
    connections: u32,
    user: Option<&str>,
) -> Result<(), Error> {
    let owner = user.map_or_else(|| host::User::current().map(|me| me.name), |user| Ok(user.to_owned()))?;
    for (name, text) in files(installation, connections, &owner) {
        host::disk::atomic_write(&layout.postgres().join(name), text.as_bytes(), 0o644, None)?;
    }
    Ok(())
}

/// Writes the settings anew: more memory, another limit of connections, a newer Mainstay. PostgreSQL reads them when it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSettings {
    /// The system user that owns the cluster; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// How many connections the server opens at most.
    pub connections: u32,
}

impl ClusterSettings {
    /// Its undo is nothing: PostgreSQL runs with either, and a plan that is made again has the same step.
    pub(crate) fn step(self) -> Step<Action> {
        step("cluster-settings", "Write PostgreSQL's settings", Undo::Nothing, 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || {
            let layout = &world.layout;
            let Some(record) = Record::read(layout)? else { return Ok(Value::Null) };
            let path = world.env.get("PATH").map(String::as_str).unwrap_or_default();
            let installation = record.installation(layout, path)?;
            write_files(layout, &installation, this.connections, this.user.as_deref())?;
            Ok(Value::Null)
        })
        .await
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_postgresql_is_taken_and_one_that_is_too_old_is_named() {
        let installed =
            |major: u32| Installation { major, bin: format!("/usr/lib/postgresql/{major}/bin").into() };
        let team: ReleaseId = "12.1.0-team".parse().expect("a release");
        let found = [installed(17), installed(15)];
        assert_eq!(fitting(&found, &team).expect("new enough"), found[0]);
        let old = fitting(&[installed(14), installed(13)], &team).expect_err("too old");
        assert_eq!(old.exit, Exit::Refused);
        assert!(old.what.contains("needs PostgreSQL 15.0 or later") && old.what.contains("is 14"), "{old}");
        let none = fitting(&[], &team).expect_err("none");
        assert!(none.hint.is_some_and(|hint| hint.contains("--install-packages")));
    }

    #[test]
    fn a_cluster_without_a_database_is_told_from_one_with() {
        let data = tempfile::tempdir().expect("a directory");
        assert!(!has_databases(data.path()));
        for (oid, has) in [("1", false), ("4", false), ("5", false), ("16384", true)] {
            std::fs::create_dir_all(data.path().join("base").join(oid)).expect("a directory");
            assert_eq!(has_databases(data.path()), has, "{oid}");
        }
    }
}
