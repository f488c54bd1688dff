//! The managed cluster, copied into one of another major version beside it: roles, databases, rows.
//!
//! The new cluster is filled by a PostgreSQL that only this step knows, on a second socket and without `fsync`: where anything fails, all
//! of it is thrown away. It gets its name only when it is whole and on disk.

use std::collections::BTreeMap;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use database::cluster::{ACCESS, IDENTITIES, Installation, SETTINGS, SUPERUSER, databases, roles};
use database::dump;
use dsn::{DataSource, Server};
use host::tool::{NO_LIMIT, Tool};
use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cluster::{MAKING, initdb, make_closed, remove_half_made};
use super::{Action, blocking, endable, step};
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::place::machine::{make_dir, owner};
use crate::place::postgres::{administrator, installations};
use crate::state::cluster::files;
use crate::state::database_failure::refused;
use crate::state::kept_database::{self, LeftDatabase, MovedTable};
use crate::state::refused_start::AUTO;
use crate::world::World;

/// How long a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long one question may take: rows are counted.
const QUESTION: Duration = Duration::from_secs(3600);

/// The port in the name of the second socket.
const PORT: u16 = 5433;

/// The name of the new cluster's data, once it is whole.
const NEXT: &str = "next";

/// The file that an undo may need no more.
const LOG: &str = "load.log";

/// How many processes dump and load at once.
const MOST_JOBS: usize = 4;

/// Makes the new cluster and fills it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterCopy {
    /// The major version that it is now.
    pub from: u32,
    /// The major version that the new one is.
    pub to: u32,
    /// The system user that owns it; `None` = whoever runs the plan.
    pub user: Option<String>,
    /// How many connections the server opens at most.
    pub connections: u32,
    /// The directory below `set-aside` with what is kept of the old one.
    pub into: String,
    /// Bytes of the old one.
    pub bytes: u64,
}

/// Where the new cluster is, once it is whole.
pub(super) fn next(layout: &Layout) -> PathBuf {
    layout.postgres().join(NEXT)
}

/// The programs of a major version.
pub(super) fn programs(world: &World, major: u32) -> Result<Installation, Error> {
    let path = world.env.get("PATH").map(String::as_str).unwrap_or_default();
    let found = installations(path).into_iter().find(|there| there.major == major);
    found.ok_or_else(|| Error::not_ready(format!("PostgreSQL {major} is not on this machine any more")))
}

/// What a copy works with.
#[derive(Clone)]
struct Work {
    layout: Layout,
    new: Installation,
    user: Option<host::User>,
    /// The new data, and the dumps.
    data: PathBuf,
    dumps: PathBuf,
    jobs: usize,
}

impl ClusterCopy {
    pub(crate) fn step(self, layout: &Layout) -> Step<Action> {
        let (from, to, into) = (self.from, self.to, layout.postgres());
        let into = into.display();
        let title = format!(
            "Copy the databases of PostgreSQL {from} into a cluster of PostgreSQL {to} beside it in {into}, and compare them"
        );
        // 20 MB/s.
        let ms = 4000 + self.bytes / 20_000;
        step("cluster-copy", title, Undo::by("Remove the new cluster"), ms, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let layout = &world.layout;
        if next(layout).exists() {
            return Ok(Value::Null);
        }
        let copied = self.copy(world, progress).await;
        if copied.is_err() {
            self.undo(world, None).await?;
        }
        copied
    }

    async fn copy(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let layout = &world.layout;
        let name =
            |what: &str| layout.postgres().join(format!("{MAKING}-{what}{:08x}", rand::random::<u32>()));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let work = Work {
            layout: layout.clone(),
            new: programs(world, self.to)?,
            user: self.user.as_deref().map(host::User::named).transpose()?,
            data: name(""),
            dumps: name("dump-"),
            jobs: cores.clamp(1, MOST_JOBS),
        };
        let old = administrator(layout);
        let new = Server { port: PORT, ..old.clone() };
        let names = databases(&old, QUESTION).await.map_err(|failure| refused(&failure))?;
        progress.say(format!("PostgreSQL {} begins", self.to));
        let (making, this) = (work.clone(), self.clone());
        let settings = blocking(move || making.start(&this)).await?;
        let (filling, all, told) = (work.clone(), names.clone(), progress.clone());
        let (filled, stopping) = (Arc::new(AtomicBool::new(false)), layout.clone());
        let ends = Arc::clone(&filled);
        let fill = move || {
            let done = filling.fill(&all, &told);
            ends.store(true, Ordering::Release);
            done
        };
        // Called when this is dropped as well as when it is done.
        let end = move || {
            if !filled.load(Ordering::Acquire)
                && let Err(error) = remove_half_made(&stopping)
            {
                tracing::warn!(%error, "what fills the new cluster goes on");
            }
        };
        endable(fill, end).await?;
        progress.say("comparing the rows");
        let tables = compare(&old, &new, &names).await?;
        let rows: u64 = tables.values().map(|table| table.rows).sum();
        let words = |major| format!("PostgreSQL {major} in {}", layout.postgres_data().display());
        let record = LeftDatabase::new(words(self.from), words(self.to), tables);
        let into = self.into.clone();
        blocking(move || work.finish(&settings, &record, &into)).await?;
        Ok(json!({ "rows": rows }))
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (layout, into) = (world.layout.clone(), self.into.clone());
        blocking(move || {
            remove_half_made(&layout)?;
            host::disk::remove_tree(&next(&layout))?;
            host::disk::remove_file(&kept_database::path(&layout, &into))?;
            // Only where they are empty.
            let _ = std::fs::remove_dir(layout.set_aside().join(&into));
            let _ = std::fs::remove_dir(layout.set_aside());
            Ok(())
        })
        .await
    }
}

/// Refuses a new cluster with other roles or rows; the rows by database and table.
async fn compare(
    old: &Server,
    new: &Server,
    names: &[String],
) -> Result<BTreeMap<String, MovedTable>, Error> {
    let asked = async |server: &Server| roles(server, QUESTION).await.map_err(|failure| refused(&failure));
    if asked(old).await? != asked(new).await? {
        return Err(Error::not_ready("the new cluster has other roles than the old one")
            .hint("`mainstay shell database -- -c '\\du'` lists them; a role that the new PostgreSQL refuses has to be changed first"));
    }
    let mut tables = BTreeMap::new();
    for name in names {
        let of = |server: &Server| DataSource::Server(Server { name: name.clone(), ..server.clone() });
        let (here, there) = (dump::rows(&of(old), QUESTION).await?, dump::rows(&of(new), QUESTION).await?);
        if here != there {
            let differs = |(table, rows): &(&String, &u64)| there.get(*table) != Some(rows);
            let table = here.iter().find(differs).map_or("one that the old one has not", |(table, _)| table);
            return Err(Error::not_ready(format!(
                "database {name} has other rows in the new cluster than in the old one: table {table}"
            )));
        }
        tables.extend(
            here.into_iter()
                .map(|(table, rows)| (format!("{name}: {table}"), MovedTable { rows, hash: String::new() })),
        );
    }
    Ok(tables)
}

impl Work {
    /// One of the new version's programs, as the cluster's user.
    fn tool(&self, program: &str, limit: Duration) -> Tool<'_> {
        Tool::new(self.new.program(program), limit).env("LC_ALL", "C.UTF-8").cwd("/").user(self.user.clone())
    }

    /// The same as a client of one of both clusters.
    fn client(&self, program: &str, port: Option<u16>) -> Tool<'_> {
        let port = port.unwrap_or(dsn::Engine::Postgres.default_port());
        // By its working directory it is found and ended after a kill.
        let tool = self.tool(program, NO_LIMIT).cwd(&self.dumps);
        tool.arg("--host").arg(self.layout.postgres_socket()).args([
            "--port",
            &port.to_string(),
            "--username",
            SUPERUSER,
            "--no-password",
        ])
    }

    fn run(&self, tool: Tool<'_>, does: &str) -> Result<(), Error> {
        tool.run_blocking().map(drop).map_err(|error| {
            let said = error.output.text();
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let last = if last.is_empty() { error.to_string() } else { finding::one_line(last, 300) };
            Error::not_ready(format!("cannot {does}: {last}"))
                .hint("the message is PostgreSQL's; the old cluster was not changed")
                .detail(said)
        })
    }

    /// Makes the cluster and starts it; returns the settings that `initdb` wrote.
    fn start(&self, copy: &ClusterCopy) -> Result<String, Error> {
        let owner = owner(copy.user.as_deref())?;
        remove_half_made(&self.layout)?;
        make_closed(&self.data, owner)?;
        make_closed(&self.dumps, owner)?;
        initdb(&self.new, &self.data, copy.user.as_deref())?;
        let path = self.data.join(SETTINGS);
        let original = std::fs::read_to_string(&path).map_err(|error| Error::path("read", &path, &error))?;
        let name = self
            .user
            .as_ref()
            .map_or_else(|| host::User::current().map(|me| me.name), |user| Ok(user.name.clone()))?;
        for (name, mut text) in files(&self.new, copy.connections, &name) {
            if name == SETTINGS {
                text.push_str(&self.private());
            }
            write(&self.data.join(name), text.as_bytes(), owner)?;
        }
        let start = self
            .tool("pg_ctl", PATIENCE)
            .args(["start", "--wait", "--silent", "--timeout=240", "--pgdata"])
            .arg(&self.data)
            .arg("--log")
            .arg(self.data.join(LOG));
        self.run(start, &format!("start PostgreSQL {}", copy.to)).map_err(|error| {
            let said = host::tail(&self.data.join(LOG), 20).unwrap_or_default();
            let last = said.last().cloned().unwrap_or_default();
            Error { what: format!("{} {last}", error.what), ..error }.detail(said.join("\n"))
        })?;
        Ok(original)
    }

    /// What differs for a PostgreSQL that is thrown away where anything fails.
    fn private(&self) -> String {
        let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "''"));
        let socket =
            self.layout.postgres_socket().display().to_string().replace('"', "\"\"").replace('\'', "''");
        let (access, identities) = (quoted(&self.data.join(ACCESS)), quoted(&self.data.join(IDENTITIES)));
        format!(
            "hba_file = {access}\nident_file = {identities}\nlisten_addresses = ''\nport = {PORT}\n\
             unix_socket_directories = '\"{socket}\"'\nshared_buffers = 128MB\nfsync = off\nsynchronous_commit = off\n\
             full_page_writes = off\nautovacuum = off\nmax_wal_size = 4GB\n"
        )
    }

    /// Roles and databases go over.
    fn fill(&self, names: &[String], progress: &Progress) -> Result<(), Error> {
        progress.say("copying the roles");
        let roles = self.dumps.join("roles.sql");
        let dump = self.client("pg_dumpall", None).arg("--roles-only").arg("--file").arg(&roles);
        self.run(dump, "dump the roles")?;
        // The superuser is there already, which is the one statement that fails; what became of all of them is compared.
        let load = self
            .client("psql", Some(PORT))
            .args(["--no-psqlrc", "--quiet", "--dbname", SUPERUSER, "--file"])
            .arg(&roles);
        self.run(load, "load the roles")?;
        let jobs = format!("--jobs={}", self.jobs);
        for (at, name) in names.iter().enumerate() {
            let dir = self.dumps.join(at.to_string());
            progress.say(format!("dumping database {name}"));
            let dump = self
                .client("pg_dump", None)
                .args(["--format=directory", "--compress=1", "--create", &jobs, "--dbname"])
                .arg(named(name))
                .arg("--file")
                .arg(&dir);
            self.run(dump, &format!("dump database {name}"))?;
            progress.say(format!("loading database {name}"));
            let load = self
                .client("pg_restore", Some(PORT))
                .args(["--create", "--exit-on-error", &jobs, "--dbname", SUPERUSER])
                .arg(&dir);
            self.run(load, &format!("load database {name}"))?;
            host::disk::remove_tree(&dir)?;
        }
        progress.say("collecting statistics for the planner");
        let analyze = self.client("vacuumdb", Some(PORT)).args(["--all", "--analyze-only", "--quiet", &jobs]);
        self.run(analyze, "collect statistics")
    }

    /// Stops it, brings it to the disk, and gives it its name.
    fn finish(&self, settings: &str, record: &LeftDatabase, into: &str) -> Result<(), Error> {
        let stop = self
            .tool("pg_ctl", PATIENCE)
            .args(["stop", "--wait", "--silent", "--mode=fast", "--timeout=240", "--pgdata"])
            .arg(&self.data);
        self.run(stop, "stop the new PostgreSQL")?;
        let owner = self.user.as_ref().map(|user| (user.uid, user.gid));
        write(&self.data.join(SETTINGS), settings.as_bytes(), owner)?;
        // What somebody has set with `alter system`.
        let auto = self.layout.postgres_data().join(AUTO);
        if let Ok(text) = std::fs::read(&auto) {
            write(&self.data.join(AUTO), &text, owner)?;
        }
        host::disk::remove_file(&self.data.join(LOG))?;
        host::disk::remove_tree(&self.dumps)?;
        host::disk::sync_file_system(&self.data)?;
        make_dir(&self.layout.set_aside().join(into), 0o700, None)?;
        record.write(&self.layout, into)?;
        let next = next(&self.layout);
        std::fs::rename(&self.data, &next).map_err(|error| Error::path("name", &next, &error))?;
        Ok(host::disk::sync_dir(&self.layout.postgres())?)
    }
}

/// A name of a database that is no connection string.
fn named(name: &str) -> String {
    format!("dbname='{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Writes a file for the cluster's user alone.
fn write(path: &Path, text: &[u8], owner: Option<(u32, u32)>) -> Result<(), Error> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |error: std::io::Error| Error::path("write", path, &error);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text).map_err(failed)?;
    match owner {
        Some((uid, gid)) => chown(path, Some(uid), Some(gid)).map_err(failed),
        None => Ok(()),
    }
}

/// Why a cluster cannot be copied, where that is known before anything is stopped.
///
/// # Errors
/// Tables are in the superuser's own database, which is not copied.
pub(crate) async fn refuse_uncopied(layout: &Layout) -> Result<(), Error> {
    let tables = dump::rows(&DataSource::Server(administrator(layout)), QUESTION).await?;
    match tables.keys().next() {
        None => Ok(()),
        Some(table) => Err(Error::new(
            Exit::Refused,
            format!("database {SUPERUSER}, which is PostgreSQL's own, has tables ({table}), and it is not copied"),
        )
        .hint("move them into a database of their own, with `mainstay shell database`; nothing has been changed")),
    }
}
