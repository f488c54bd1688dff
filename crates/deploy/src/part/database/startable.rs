//! Whether the database can be stopped and started again: to be known before anything that runs is stopped.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dsn::DataSource;
use finding::quoted;
use release::{Capabilities, Release, ReleaseId};
use serde_json::Value;

use crate::control::protocol::{PostgresSpec, Status};
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::place::postgres;
use crate::state::cluster::Record;
use crate::state::database_failure::refused;
use crate::state::identity::Identity;
use crate::state::location::{self, Location, SECTION};
use crate::state::refused_start::AUTO;
use crate::state::{proof, trial};
use crate::world::World;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many files of a cluster are looked at.
const MOST: usize = 200_000;

/// Checks that PostgreSQL can be started on the cluster. `new`: files that are written before that.
///
/// # Errors
/// Its programs are gone; a file is not its user's; it refuses its settings.
pub(crate) fn check(
    world: &World,
    record: &Record,
    spec: &PostgresSpec,
    new: &[(&'static str, String)],
) -> Result<(), Error> {
    let layout = &world.layout;
    let path = world.env.get("PATH").map(String::as_str).unwrap_or_default();
    let installation = record.installation(layout, path)?;
    let user = spec.user.as_deref().map_or_else(host::User::current, host::User::named)?;
    check_data(&layout.postgres_data(), &user)?;
    trial::check(layout, &installation, &user, new)
}

/// PostgreSQL starts only where its data is its user's, and closed to others.
fn check_data(data: &Path, user: &host::User) -> Result<(), Error> {
    let meta = data.symlink_metadata().map_err(|error| Error::path("look at", data, &error))?;
    if meta.uid() != user.uid || ![0o700, 0o750].contains(&(meta.mode() & 0o7777)) {
        let quoted = quoted(&data.display().to_string());
        return Err(Error::not_ready(format!(
            "{}; PostgreSQL starts only where its data belongs to {} and nobody else may enter it",
            belongs(data, &meta),
            user.name
        ))
        .hint(format!(
            "`chown -R {}: {quoted} && chmod 700 {quoted}`, as root; nothing has been changed",
            user.name
        )));
    }
    let Some((path, meta)) = unusable(data, user.uid) else { return Ok(()) };
    let quoted = quoted(&data.display().to_string());
    Err(Error::not_ready(format!(
        "{}; {}, who runs PostgreSQL, cannot use it, so PostgreSQL would not start again",
        belongs(&path, &meta),
        user.name
    ))
    .hint(format!(
        "`chown -R {}: {quoted} && chmod -R u+rwX {quoted}`, as root; nothing has been changed",
        user.name
    )))
}

fn belongs(path: &Path, meta: &std::fs::Metadata) -> String {
    let owner = meta.uid().to_string();
    let owner = host::User::named(&owner).map_or(owner, |user| user.name);
    format!("{} belongs to {owner} and has mode {:04o}", path.display(), meta.mode() & 0o7777)
}

/// The first file or directory below that its owner-to-be cannot read and write. PostgreSQL makes and removes files meanwhile.
fn unusable(data: &Path, uid: u32) -> Option<(PathBuf, std::fs::Metadata)> {
    let mut directories = vec![data.to_owned()];
    let mut seen = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST {
                return None;
            }
            // A link leads to another file system: `pg_wal`, or what is beside the data.
            let path = entry.path();
            if directory == data && !is_of_postgres(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let Ok(meta) = path.symlink_metadata() else { continue };
            let needs = match (meta.is_dir(), meta.is_file()) {
                (true, _) => 0o700,
                (_, true) => 0o600,
                _ => continue,
            };
            if meta.uid() != uid || meta.mode() & needs != needs {
                return Some((path, meta));
            }
            if meta.is_dir() {
                directories.push(path);
            }
        }
    }
    None
}

/// Whether PostgreSQL reads what has this name beside its data. What else lies there is nobody's, or the agent's to remove.
fn is_of_postgres(name: &str) -> bool {
    ["base", "global", "PG_VERSION", AUTO].contains(&name) || name.starts_with("pg_")
}

/// Checks, before the server of a deployment that runs is stopped, that it will have its database when it is started again. `config`: what
/// it will read. `restarts`: whether PostgreSQL is stopped as well, where it is ours.
///
/// # Errors
/// What is wrong, where, and the way out; nothing has been stopped.
pub(crate) async fn check_restart(
    world: &World,
    running: &Status,
    config: &Value,
    restarts: bool,
) -> Result<(), Error> {
    let layout = &world.layout;
    let Some(found) = location::deployed(config, layout) else {
        let what = format!(
            "{}: `{SECTION}.DataSource` is the address of no database",
            proof::place(layout, SECTION, "DataSource", None)
        );
        return Err(Error::new(Exit::Settings, what).hint(
            "`mainstay up` writes it anew, where it is not yours; nothing has been stopped or changed",
        ));
    };
    refuse_another(layout, &found)?;
    let (server, is_ours) = match found {
        Location::File => return Ok(()),
        Location::Managed(server) => (server, true),
        Location::Server(server) => (server, false),
    };
    if is_ours
        && restarts
        && let (Some(postgres), Some(record)) = (running.postgres(), Record::read(layout)?)
    {
        check(world, &record, &postgres.spec, &[])?;
    }
    let minimum = release_of(running).map_or(0, |release| Capabilities::of(&release).postgres_minimum);
    let Err(failure) = ::database::probe(&server, minimum, PATIENCE).await else { return Ok(()) };
    let error = refused(&failure);
    match (is_ours, failure.reason.may_pass()) {
        // One that hangs, or that cannot be reached, is what its restart is for.
        (true, true) if restarts => Ok(()),
        (true, true) => Err(error.hint(
            "`mainstay restart database` restarts PostgreSQL, and the server with it; nothing has been stopped or changed",
        )),
        (true, false) => Err(error.hint(
            "`mainstay up` gives PostgreSQL and config.json the password that secrets.toml holds; nothing has been stopped or changed",
        )),
        (false, _) => Err(Error { what: format!("{}; nothing has been stopped or changed", error.what), ..error }),
    }
}

fn release_of(running: &Status) -> Option<ReleaseId> {
    let server = running.server()?;
    Release::open(&server.spec.release).ok().map(|release| release.id().clone())
}

/// Refuses to start the server on another database than the one with the deployment's data.
fn refuse_another(layout: &Layout, found: &Location) -> Result<(), Error> {
    let Some(record) = Identity::read(layout)? else { return Ok(()) };
    let known = match (&record.database, record.managed) {
        (Some(address), _) => match address.parse() {
            Ok(DataSource::Server(server)) => Location::Server(Box::new(server)),
            _ => return Ok(()),
        },
        (None, true) => Location::Managed(Box::new(postgres::server(layout, None))),
        (None, false) => Location::File,
    };
    if known.is(found) {
        return Ok(());
    }
    Err(Error::new(
        Exit::Refused,
        format!(
            "{}: `{SECTION}` names {found}, and the data of this deployment is in {known}: people would find an empty Mattermost, or another \
             one",
            proof::place(layout, SECTION, "DataSource", None)
        ),
    )
    .hint("put the address back, or run `mainstay up`, which looks at what is there; nothing has been stopped or changed"))
}
