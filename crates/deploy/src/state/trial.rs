//! Whether PostgreSQL would start: it is started, with the settings that the next start would have, on a directory that holds no data.
//!
//! PostgreSQL reads its settings, loads its libraries, takes its memory and reads who may log in, all before it looks at any data. On the
//! directory of the trial it ends right there, because that says that an archive is to be recovered and names none. So everything that
//! can be wrong but the data itself is found while the PostgreSQL that is about to be stopped still runs.
//!
//! Rejected: `postgres -C`, which checks the form of the settings alone; `postgres --check`, which loads no libraries and takes the lock of
//! the running one.

use std::os::unix::fs::{DirBuilderExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::database::cluster::{ACCESS, IDENTITIES, Installation, SETTINGS};
use host::tool::Tool;

use super::refused_start::{AUTO, RefusedStart};
use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// How long it may take: it takes its memory and writes nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the names of the directories begin with; the number of the process that made it follows.
const PREFIX: &str = "trial-";

/// What is not for the trial: they are of the running one, or say that it is to be recovered.
const OTHERS: [&str; 7] = [
    "postmaster.pid",
    "postmaster.opts",
    "recovery.signal",
    "standby.signal",
    "backup_label",
    "tablespace_map",
    "current_logfiles",
];

/// A directory that is gone when this is.
struct Trial(PathBuf);

impl Drop for Trial {
    fn drop(&mut self) {
        if let Err(error) = host::disk::remove_tree(&self.0) {
            tracing::warn!(%error, "the directory of a trial stays");
        }
    }
}

/// Tries whether PostgreSQL starts with its settings. `new`: the names and texts of files that will have been written by then. Where it
/// cannot be tried, nothing is known, and nothing is refused.
///
/// # Errors
/// It would not: file, line, key, and what it says.
pub(crate) fn check(
    layout: &Layout,
    installation: &Installation,
    user: &host::User,
    new: &[(&'static str, String)],
) -> Result<(), Error> {
    let (said, trial) = match run(layout, installation, user, new) {
        Ok(tried) => tried,
        Err(error) => {
            tracing::warn!(%error, "PostgreSQL's settings cannot be tried");
            return Ok(());
        }
    };
    // By then it has all that it needs but the data.
    if said.iter().any(|line| line.contains("database system was")) {
        return Ok(());
    }
    let Some(refused) = RefusedStart::of(&said, &trial, &layout.postgres_data()) else { return Ok(()) };
    let is_new = |name: &str| refused.file.as_deref() == Some(&*trial.join(name));
    if [SETTINGS, ACCESS, IDENTITIES].into_iter().any(is_new) {
        return Err(Error::new(Exit::Bug, format!("PostgreSQL would not start: {}", refused.what())));
    }
    Err(error(layout, &refused))
}

/// That PostgreSQL would not start, with the way out.
fn error(layout: &Layout, refused: &RefusedStart) -> Error {
    let set = refused.file.as_deref() == Some(&*layout.postgres_data().join(AUTO));
    let hint = match (&refused.key, set) {
        (Some(key), true) => format!(
            "while PostgreSQL runs: `mainstay shell database -- -c 'alter system reset {key}'`; otherwise remove the line. Nothing has been \
             stopped or changed"
        ),
        (_, true) => "correct the line, or remove it; nothing has been stopped or changed".to_owned(),
        _ => "correct that, or have `mainstay up` write PostgreSQL's files anew; nothing has been stopped or changed".to_owned(),
    };
    let kind = if refused.words.contains("Permission denied") { Exit::NotReady } else { Exit::Settings };
    Error::new(kind, format!("PostgreSQL would not start again: {}", refused.what())).hint(hint)
}

/// What it says, and the directory that it was started on.
fn run(
    layout: &Layout,
    installation: &Installation,
    user: &host::User,
    new: &[(&'static str, String)],
) -> Result<(Vec<String>, PathBuf), Error> {
    sweep(layout)?;
    let trial = Trial(layout.postgres().join(format!("{PREFIX}{}", std::process::id())));
    prepare(layout, &trial.0, user, new)?;
    let file = |name: &'static str| match new.iter().any(|(new, _)| *new == name) {
        true => trial.0.join(name),
        false => layout.postgres().join(name),
    };
    // PostgreSQL before 14 knows no abstract sockets.
    let socket = match installation.major {
        14.. => format!("@mainstay-trial-{}", std::process::id()),
        _ => trial.0.display().to_string(),
    };
    let settings = [
        format!("config_file={}", file(SETTINGS).display()),
        format!("hba_file={}", file(ACCESS).display()),
        format!("ident_file={}", file(IDENTITIES).display()),
        format!("external_pid_file={}", trial.0.join("external.pid").display()),
        format!("unix_socket_directories=\"{}\"", socket.replace('"', "\"\"")),
        "listen_addresses=".to_owned(),
        "port=5432".to_owned(),
        "log_destination=stderr".to_owned(),
        "logging_collector=off".to_owned(),
        "log_min_messages=log".to_owned(),
        "lc_messages=C".to_owned(),
        // The running one has the pages that are there.
        "huge_pages=try".to_owned(),
        "restore_command=".to_owned(),
    ];
    let tool = Tool::new(installation.program("postgres"), PATIENCE)
        .arg("-D")
        .arg(&trial.0)
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .env("LC_ALL", "C.UTF-8")
        .cwd("/")
        .user(Some(user.clone()));
    // It always ends with an error.
    let output = match tool.run_blocking() {
        Ok(output) => output,
        Err(error) => error.output,
    };
    let said = output.text().lines().map(str::to_owned).collect();
    Ok((said, trial.0.clone()))
}

/// Removes what killed trials have left.
fn sweep(layout: &Layout) -> Result<(), Error> {
    for entry in std::fs::read_dir(layout.postgres()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(PREFIX) else { continue };
        if pid == std::process::id().to_string() || !Path::new("/proc").join(pid).exists() {
            host::disk::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes a directory that PostgreSQL takes for data until it looks for its log.
fn prepare(
    layout: &Layout,
    trial: &Path,
    user: &host::User,
    new: &[(&'static str, String)],
) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| Error::path("make", &path, &error)
    };
    let owned = |path: &Path| {
        if user.is_current() {
            return Ok(());
        }
        chown(path, Some(user.uid), Some(user.gid)).map_err(failed(path))
    };
    let dir = |path: &Path| {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))?;
        owned(path)
    };
    let write = |path: &Path, bytes: &[u8]| {
        std::fs::write(path, bytes).map_err(failed(path))?;
        owned(path)
    };
    dir(trial)?;
    let data = layout.postgres_data();
    let entries = std::fs::read_dir(&data).map_err(|error| Error::path("read", &data, &error))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if OTHERS.iter().any(|other| name == *other) {
            continue;
        }
        let (from, to) = (entry.path(), trial.join(&name));
        match from.is_dir() {
            true => dir(&to)?,
            // Certificates and the like lie beside the settings that name them.
            false => symlink(&from, &to).map_err(failed(&to))?,
        }
    }
    dir(&trial.join("pg_logical/snapshots"))?;
    dir(&trial.join("pg_logical/mappings"))?;
    write(&trial.join("global/pg_control"), &control(&data)?)?;
    write(&trial.join("recovery.signal"), b"")?;
    for (name, text) in new {
        write(&trial.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// The file with which PostgreSQL begins; the running one may be writing it.
fn control(data: &Path) -> Result<Vec<u8>, Error> {
    const TRIES: usize = 5;
    let path = data.join("global/pg_control");
    let read = || std::fs::read(&path).map_err(|error| Error::path("read", &path, &error));
    let mut last = read()?;
    for _ in 0..TRIES {
        let again = read()?;
        if again == last {
            break;
        }
        last = again;
    }
    Ok(last)
}
