//! Which PostgreSQL made the managed cluster, and whether that one is on this machine: `postgres/cluster.json`.

use std::path::{Path, PathBuf};

use database::cluster::{ACCESS, IDENTITIES, Installation, Machine, SETTINGS, access, identities, settings};
use host::leftover::PidFile;
use serde::{Deserialize, Serialize};

use crate::control::protocol::DATABASE;
use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::place::postgres::installations;

/// The version of the file's format.
const FORMAT: u32 = 1;

/// What `cluster.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The version of the format.
    pub format: u32,
    /// The major version of the PostgreSQL that made the data, and the only one that can read it.
    pub major: u32,
    /// Where its programs were.
    pub bin: PathBuf,
    /// The id of the deployment whose data it is, once that is recorded.
    #[serde(default)]
    pub deployment: Option<String>,
}

impl Record {
    /// One for a cluster that `installation` makes.
    pub(crate) fn of(installation: &Installation) -> Self {
        Self { format: FORMAT, major: installation.major, bin: installation.bin.clone(), deployment: None }
    }

    /// One of which nothing is known yet.
    pub(crate) fn unknown() -> Self {
        Self { format: FORMAT, major: 0, bin: PathBuf::new(), deployment: None }
    }

    /// The deployment's; `None` where it has no cluster.
    ///
    /// # Errors
    /// It cannot be read, or a newer Mainstay wrote it.
    pub(crate) fn read(layout: &Layout) -> Result<Option<Self>, Error> {
        let path = layout.cluster_record();
        let content = match host::disk::read_guarded(&path, FILE_LIMIT) {
            Ok(content) => content,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let record: Self = serde_json::from_slice(&content.bytes).map_err(|error| {
            Error::new(Exit::Settings, format!("{}:{}: {error}", path.display(), error.line())).hint(format!(
                "put the file back: {{\"format\": 1, \"major\": N, \"bin\": \"DIRECTORY\"}}, where {}/PG_VERSION has N and DIRECTORY \
                 holds the programs of PostgreSQL N",
                layout.postgres_data().display()
            ))
        })?;
        if record.format > FORMAT {
            let what =
                format!("{} has format {}, which a newer Mainstay wrote", path.display(), record.format);
            return Err(Error::new(Exit::Refused, what).hint("use the newer Mainstay again"));
        }
        // Whoever moved the data to another major version did it with PostgreSQL's own tools, which know nothing of this file.
        let major = data_version(layout).unwrap_or(record.major);
        Ok(Some(Self { major, ..record }))
    }

    /// Writes it. There is no secret in it.
    pub(crate) fn write(&self, layout: &Layout) -> Result<(), Error> {
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
        text.push(b'\n');
        Ok(host::disk::atomic_write(&layout.cluster_record(), &text, 0o644, None)?)
    }

    /// The programs that can read the data: where they were, or elsewhere on this machine.
    ///
    /// # Errors
    /// They are gone; what there is instead, and what to do.
    pub(crate) fn installation(&self, layout: &Layout, path: &str) -> Result<Installation, Error> {
        // Whoever upgraded the database may have found them by another PATH than the agent has.
        let found = match self.bin.as_os_str().is_empty() {
            true => installations(path),
            false => installations(&format!("{path}:{}", self.bin.display())),
        };
        let known = found.iter().find(|there| there.major == self.major && there.bin == self.bin);
        let fitting = known.or_else(|| found.iter().find(|there| there.major == self.major));
        fitting.cloned().ok_or_else(|| self.gone(layout, &found))
    }

    fn gone(&self, layout: &Layout, found: &[Installation]) -> Error {
        let major = self.major;
        let others: Vec<_> =
            found.iter().map(|other| format!("{} ({})", other.major, other.bin.display())).collect();
        let others = match others.is_empty() {
            true => "no PostgreSQL at all".to_owned(),
            false => format!("only PostgreSQL {}", others.join(", ")),
        };
        Error::new(
            Exit::Refused,
            format!(
                "{} was made by PostgreSQL {major}, which no other version can read, and this machine has {others}",
                layout.postgres_data().display()
            ),
        )
        .hint(format!(
            "install PostgreSQL {major} again beside it: `apt-get install --no-install-recommends postgresql-{major}` or `dnf install \
             postgresql{major}-server` (where the distribution has dropped it: the packages of apt.postgresql.org or \
             yum.postgresql.org). The data is untouched; see docs/databases.md, `Another major version of PostgreSQL`"
        ))
    }
}

/// What `PG_VERSION` in the data says; `None` where there is no cluster.
pub(crate) fn data_version(layout: &Layout) -> Option<u32> {
    let text = std::fs::read_to_string(layout.postgres_data().join("PG_VERSION")).ok()?;
    text.trim().parse().ok()
}

/// The process of a PostgreSQL that works on the data and that no agent has started.
pub(crate) fn foreign(layout: &Layout) -> Option<u32> {
    let data = layout.postgres_data();
    let ours = PidFile::read(&layout.run().join(format!("{DATABASE}.pid"))).filter(PidFile::is_running);
    let ours = ours.map(|file| file.pid);
    // Written by PostgreSQL, in a directory that only it and root can change.
    let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let named: Option<u32> = text.lines().next().and_then(|line| line.trim().parse().ok());
    let working = host::leftover::working_in(&data);
    let main = |pid: &u32| Some(*pid) == named || (named.is_none() && is_main(*pid));
    working.into_iter().filter(main).find(|pid| Some(*pid) != ours)
}

/// Whether it is the first process of a PostgreSQL: the others call themselves `postgres: ...`.
fn is_main(pid: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    name.trim_end() == "postgres" && !line.is_empty() && !line.starts_with(b"postgres:")
}

/// Refuses a PostgreSQL that works on the data and that no agent has started.
///
/// # Errors
/// There is one: its process.
pub(crate) fn refuse_foreign(layout: &Layout) -> Result<(), Error> {
    let Some(pid) = foreign(layout) else { return Ok(()) };
    let data = layout.postgres_data();
    Err(Error::new(
        Exit::Refused,
        format!("a PostgreSQL that Mainstay has not started works in {} (process {pid})", data.display()),
    )
    .hint(format!("stop it with `kill -INT {pid}`, then run `mainstay up`")))
}

/// Refuses to take the data away from a PostgreSQL that somebody else has started on it. `command`: what is to be run again.
///
/// # Errors
/// There is one: its process.
pub(crate) fn refuse_to_take_away(layout: &Layout, command: &str) -> Result<(), Error> {
    let Some(pid) = foreign(layout) else { return Ok(()) };
    let data = layout.postgres_data();
    Err(Error::new(
        Exit::Busy,
        format!(
            "a PostgreSQL that Mainstay has not started works in {} (process {pid}), and its data would be taken away under it",
            data.display()
        ),
    )
    .hint(format!("stop it with `kill -INT {pid}`, then run `{command}`; nothing has been changed")))
}

/// Refuses a copy that was made while the original's PostgreSQL ran, or had not ended in order: its files are of different moments.
/// `original`: the deployment that this one was copied from.
///
/// # Errors
/// It is such a copy.
pub(crate) fn refuse_torn(layout: &Layout, original: &Layout) -> Result<(), Error> {
    let text = std::fs::read_to_string(layout.postgres_data().join("postmaster.pid")).unwrap_or_default();
    if text.lines().nth(1).map(Path::new) != Some(&*original.postgres_data()) {
        return Ok(());
    }
    let (here, there) = (layout.root().display(), original.root().display());
    Err(Error::new(
        Exit::Refused,
        format!(
            "{here} is a copy of {there} that was made while PostgreSQL worked there, so the files of the copy are of different moments and \
             make no database"
        ),
    )
    .hint(format!(
        "run `mainstay down --dir {there}`, copy the directory again (`cp -a`), and run `mainstay up` for both; nothing has been changed"
    )))
}

/// Whether a cluster with data is there.
pub(crate) fn is_made(layout: &Layout) -> bool {
    data_version(layout).is_some() && layout.cluster_record().exists()
}

/// The files that decide how the cluster runs: their names below `postgres/`, and what they shall say. `owner` is the system user that it
/// runs as.
pub(crate) fn files(
    installation: &Installation,
    connections: u32,
    owner: &str,
) -> [(&'static str, String); 3] {
    /// Where the kernel does not say how much memory there is, little is assumed.
    const LITTLE: u64 = 1 << 30;
    let machine = Machine {
        memory: host::here::memory().unwrap_or(LITTLE),
        connections,
        statements: installation.has_statements(),
    };
    [(SETTINGS, settings(&machine)), (ACCESS, access()), (IDENTITIES, identities(owner))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_format_is_read_for_ever_and_another_major_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        assert_eq!(Record::read(&layout).expect("none"), None);
        std::fs::create_dir(layout.postgres()).expect("a directory");
        let golden = "{\n  \"format\": 1,\n  \"major\": 9,\n  \"bin\": \"/usr/lib/postgresql/9/bin\",\n  \"deployment\": null\n}\n";
        std::fs::write(layout.cluster_record(), golden).expect("written");
        let record = Record::read(&layout).expect("it is read").expect("there is one");
        record.write(&layout).expect("written");
        assert_eq!(std::fs::read_to_string(layout.cluster_record()).expect("text"), golden);
        let gone = record.installation(&layout, "").expect_err("nobody has PostgreSQL 9");
        assert_eq!(gone.exit, Exit::Refused);
        assert!(gone.what.contains("PostgreSQL 9") && gone.what.contains("this machine has"), "{gone}");
        assert!(gone.hint.is_some_and(|hint| hint.contains("postgresql-9`") && hint.contains("untouched")));
        std::fs::write(layout.cluster_record(), golden.replace("\"format\": 1", "\"format\": 2"))
            .expect("written");
        assert_eq!(Record::read(&layout).expect_err("a newer one").exit, Exit::Refused);
    }

    /// The agent's `PATH` may be another than that of the command that made the cluster.
    #[test]
    fn its_programs_are_found_where_they_were() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let script = "#!/bin/sh\necho 'postgres (PostgreSQL) 77.1'\n";
        for name in ["postgres", "initdb"] {
            let path = dir.path().join(name);
            std::fs::write(&path, script).expect("written");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("executable");
        }
        let bin = dir.path().canonicalize().expect("a path");
        let record = Record { major: 77, bin: bin.clone(), ..Record::unknown() };
        let found = record.installation(&Layout::new("/srv/chat"), "/nowhere").expect("they are there");
        assert_eq!((found.major, found.bin), (77, bin));
    }
}
