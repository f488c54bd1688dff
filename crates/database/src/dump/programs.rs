//! The client programs on this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::{Error, Means};
use crate::cluster;

/// How long a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(10);

/// A program, and the version that it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// The whole line.
    pub(super) version: String,
}

/// What the program says of itself; `None` where it is not there.
pub(super) async fn version(path: &Path) -> Option<String> {
    let mut command = tokio::process::Command::new(path);
    command.arg("--version").env_clear().env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The major version in what a program of PostgreSQL says: `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major_of(said: &str) -> Option<u32> {
    let number = said.split_once("(PostgreSQL) ")?.1;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A client of PostgreSQL for a server of this major version: of the same, or of the next newer one. What a newer `pg_dump` writes, an
/// older server need not understand. Where none is new enough, `psql` may be older.
pub(super) async fn of_postgres(
    name: &'static str,
    server: u32,
    may_be_older: bool,
    means: &Means<'_>,
) -> Result<Program, Error> {
    let mut found: Vec<(u32, Program)> = Vec::new();
    let mut dirs = cluster::directories_of(Path::new("/"), means.path, name);
    dirs.splice(0..0, means.bin.map(Path::to_owned));
    for path in dirs.into_iter().map(|dir| dir.join(name)) {
        if let Some(version) = version(&path).await
            && let Some(major) = major_of(&version)
        {
            found.push((major, Program { path, version }));
        }
    }
    let newest = found.iter().map(|(major, _)| *major).max();
    // The first of several that are equally good: the caller's own comes first.
    let fitting = found.iter().filter(|(major, _)| *major >= server).min_by_key(|(major, _)| *major);
    let any = || found.iter().filter(|_| may_be_older).rev().max_by_key(|(major, _)| *major);
    match fitting.or_else(any) {
        Some((_, program)) => Ok(program.clone()),
        None => Err(Error::Program {
            program: name,
            wanted: format!("the server is PostgreSQL {server}"),
            found: newest.map(|major| format!("PostgreSQL {major}")),
            package: format!("postgresql-client-{server}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_the_programs_say_them() {
        assert_eq!(major_of("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major_of("psql (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("mariadb-dump from 11.8.1-MariaDB"), None);
    }
}
