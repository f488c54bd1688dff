//! Data that was deleted while what works on it runs. The kernel keeps a file for as long as a program has it open, so the server answers
//! as if nothing were wrong, and the data is lost at the moment it stops.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use finding::quoted;

use crate::control::protocol::{DATABASE, SERVER};
use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// A database that is not in its place any more, and that a program still works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeletedDatabase {
    /// The built-in server's file.
    File(DeletedFile),
    /// The data of the managed PostgreSQL.
    Cluster(MissingCluster),
}

/// A file that only its running server still has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedFile {
    /// The server's process.
    server: u32,
    /// Where the file was.
    file: PathBuf,
    /// Each open file, and its name beside `file`.
    open: Vec<(PathBuf, String)>,
}

/// A cluster whose directory was deleted, replaced or moved away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingCluster {
    /// PostgreSQL's process.
    process: u32,
    /// Where the data was.
    data: PathBuf,
    /// Where it is now; `None` = it was deleted.
    now: Option<PathBuf>,
}

/// Looks at what server and PostgreSQL work on; `None` where that is in its place, or neither runs.
pub fn deleted_database(layout: &Layout) -> Option<DeletedDatabase> {
    // Also where the agent does not answer: the file of the process id is enough.
    let process = |part: &str| {
        let file = host::leftover::PidFile::read(&layout.run().join(format!("{part}.pid")))?;
        file.is_running().then_some(file.pid)
    };
    let server = || process(SERVER).or_else(|| last_user(layout));
    let file = || open_but_deleted(server()?, &layout.sqlite()).map(DeletedDatabase::File);
    let cluster =
        || missing_cluster(process(DATABASE)?, &layout.postgres_data()).map(DeletedDatabase::Cluster);
    file().or_else(cluster)
}

/// The process that has the built-in server's file open by its name, where the whole deployment was deleted, with what it knew of its
/// processes.
fn last_user(layout: &Layout) -> Option<u32> {
    if layout.root().exists() {
        return None;
    }
    let file = layout.sqlite();
    host::running::all().find(|process| process.open_files().any(|open| open == file)).map(|found| found.pid)
}

/// PostgreSQL works in the directory of its data.
fn missing_cluster(process: u32, data: &Path) -> Option<MissingCluster> {
    let directory = PathBuf::from(format!("/proc/{process}/cwd"));
    let link = std::fs::read_link(&directory).ok()?;
    // The program that becomes PostgreSQL works there.
    if link == Path::new("/") {
        return None;
    }
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let holds_data =
        |path: &Path| path.join("PG_VERSION").exists() && path.join("global/pg_control").exists();
    let now = (!link.to_string_lossy().ends_with(" (deleted)") && holds_data(&link)).then_some(link);
    let is_in_place = identity(data).is_some() && identity(data) == identity(&directory);
    (!is_in_place || now.is_none()).then(|| MissingCluster { process, data: data.to_owned(), now })
}

fn open_but_deleted(server: u32, file: &Path) -> Option<DeletedFile> {
    let name = file.file_name()?.to_str()?;
    let log = format!("{name}-wal");
    let (mut database, mut written_ahead) = (None, None);
    for entry in std::fs::read_dir(format!("/proc/{server}/fd")).ok()?.flatten() {
        let path = entry.path();
        let Ok(target) = std::fs::read_link(&path) else { continue };
        let target = target.to_string_lossy().into_owned();
        let target = Path::new(target.strip_suffix(" (deleted)").unwrap_or(&target));
        if target.parent().and_then(Path::file_name) != file.parent().and_then(Path::file_name) {
            continue;
        }
        match target.file_name().and_then(|name| name.to_str()) {
            Some(found) if found == name => {
                let is_deleted = std::fs::metadata(&path).is_ok_and(|meta| meta.nlink() == 0);
                database = database.or(is_deleted.then_some(path));
            }
            Some(found) if found == log => written_ahead = written_ahead.or(Some(path)),
            _ => {}
        }
    }
    let open = [(database?, name.to_owned())].into_iter().chain(written_ahead.map(|path| (path, log)));
    Some(DeletedFile { server, file: file.to_owned(), open: open.collect() })
}

impl DeletedDatabase {
    /// What is wrong.
    pub fn what(&self) -> String {
        match self {
            Self::File(DeletedFile { server, file, .. }) => format!(
                "{} was deleted or replaced, and the server (process {server}) still works on the deleted file: what is in it is lost when \
                 the server stops",
                file.display()
            ),
            Self::Cluster(MissingCluster { process, data, now: None }) => format!(
                "{} was deleted or replaced, and PostgreSQL (process {process}) still runs without it: it stops by itself within a minute, \
                 and nothing that is written now is kept",
                data.display()
            ),
            Self::Cluster(MissingCluster { process, data, now: Some(now) }) => format!(
                "{} was moved to {} while PostgreSQL (process {process}) works in it: it will not start again from there",
                data.display(),
                now.display()
            ),
        }
    }

    /// What stopping it loses, as a question; `None` where it loses nothing.
    pub fn question(&self) -> Option<&'static str> {
        match self {
            Self::File(_) => Some("Stop it, and lose this data?"),
            Self::Cluster(MissingCluster { now: None, .. }) => {
                Some("Stop it, and lose what only the running server still has?")
            }
            Self::Cluster(_) => None,
        }
    }

    /// How to save it.
    pub fn hint(&self) -> String {
        let of = |path: &Path| quoted(&path.display().to_string());
        match self {
            Self::File(DeletedFile { file, open, .. }) => {
                let copies = open.iter().map(|(path, name)| format!("cp {} SAFE/{}", of(path), quoted(name)));
                let copies = copies.collect::<Vec<_>>().join(" && ");
                let (data, file) = (of(file.parent().unwrap_or(file)), of(file));
                format!(
                    "do not stop it; copy the file first, when nobody writes: `{copies}`, SAFE being a directory of yours. Then \
                     `mainstay down --yes`, `cp SAFE/* {data}/ && chown --reference={data} {file}*`, `mainstay up`"
                )
            }
            Self::Cluster(MissingCluster { data, now: None, .. }) => format!(
                "PostgreSQL's data is more than its open files, so it cannot be copied from them. Run `mainstay down --yes`, put {} back from \
                 a backup, then run `mainstay up`; `mainstay up --start-empty` begins with an empty Mattermost",
                of(data)
            ),
            Self::Cluster(MissingCluster { data, now: Some(now), .. }) => {
                format!("`mainstay down`, then `mv {} {}`, then `mainstay up`", of(now), of(data))
            }
        }
    }

    /// Why nothing may be changed now.
    pub(crate) fn refusal(&self) -> Error {
        Error::new(Exit::Refused, self.what()).hint(self.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_file_that_was_deleted_or_replaced_is_found_and_one_in_its_place_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("data/mattermost.db");
        std::fs::create_dir(dir.path().join("data")).expect("data");
        std::fs::write(&file, "precious").expect("a database");
        let open = std::fs::File::open(&file).expect("opened");
        let this = std::process::id();
        assert_eq!(open_but_deleted(this, &file), None);
        std::fs::remove_file(&file).expect("deleted");
        for replaced in [false, true] {
            if replaced {
                std::fs::write(&file, "another").expect("replaced");
            }
            let found = open_but_deleted(this, &file).expect("found");
            let copied = std::fs::read_to_string(&found.open[0].0).expect("the open file");
            assert_eq!(copied, "precious");
            let hint = DeletedDatabase::File(found).hint();
            assert!(hint.contains("SAFE/mattermost.db"), "{hint}");
        }
        drop(open);
        assert_eq!(open_but_deleted(this, &file), None);
    }

    #[test]
    fn a_cluster_that_was_moved_is_told_from_one_that_was_deleted() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path().canonicalize().expect("a path");
        let (data, away) = (dir.join("data"), dir.join("away"));
        std::fs::create_dir_all(data.join("global")).expect("a directory");
        std::fs::write(data.join("PG_VERSION"), "15").expect("written");
        std::fs::write(data.join("global/pg_control"), "").expect("written");
        let mut works =
            std::process::Command::new("sleep").arg("60").current_dir(&data).spawn().expect("sleep");
        let look = |process| missing_cluster(process, &data).map(|missing| missing.now);
        assert_eq!(look(works.id()), None);
        std::fs::rename(&data, &away).expect("moved");
        assert_eq!(look(works.id()), Some(Some(away.clone())));
        std::fs::create_dir(&data).expect("another in its place");
        assert_eq!(look(works.id()), Some(Some(away.clone())));
        std::fs::remove_dir_all(&away).expect("deleted");
        assert_eq!(look(works.id()), Some(None));
        works.kill().expect("ended");
        works.wait().expect("waited");
        assert_eq!(look(works.id()), None);
    }
}
