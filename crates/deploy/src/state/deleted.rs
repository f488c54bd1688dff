//! The database's file that was deleted while the server runs. The kernel keeps it for as long as the server has it open, so the server
//! answers as if nothing were wrong, and the data is lost at the moment it stops.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use finding::quoted;

use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// A database that only its running server still has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedDatabase {
    /// The server's process.
    pub server: u32,
    /// Where the file was.
    pub file: PathBuf,
    /// Each open file, and its name beside `file`.
    open: Vec<(PathBuf, String)>,
}

/// Looks at what the server has open; `None` where its database is in its place, or the server does not run.
pub fn deleted_database(layout: &Layout) -> Option<DeletedDatabase> {
    // Also where the agent does not answer: the file of the process id is enough.
    let server = host::leftover::PidFile::read(&layout.run().join("server.pid"))?;
    server.is_running().then(|| open_but_deleted(server.pid, &layout.sqlite()))?
}

fn open_but_deleted(server: u32, file: &Path) -> Option<DeletedDatabase> {
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
    Some(DeletedDatabase { server, file: file.to_owned(), open: open.collect() })
}

impl DeletedDatabase {
    /// What is wrong.
    pub fn what(&self) -> String {
        format!(
            "{} was deleted or replaced, and the server (process {}) still works on the deleted file: what is in it is lost when the \
             server stops",
            self.file.display(),
            self.server
        )
    }

    /// How to save it.
    pub fn hint(&self) -> String {
        let copies = self
            .open
            .iter()
            .map(|(path, name)| format!("cp {} SAFE/{}", quoted(&path.display().to_string()), quoted(name)));
        let copies = copies.collect::<Vec<_>>().join(" && ");
        let of = |path: &Path| quoted(&path.display().to_string());
        let (data, file) = (of(self.file.parent().unwrap_or(&self.file)), of(&self.file));
        format!(
            "do not stop it; copy the file first, when nobody writes: `{copies}`, SAFE being a directory of yours. Then \
             `mainstay down --yes`, `cp SAFE/* {data}/ && chown --reference={data} {file}*`, `mainstay up`"
        )
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
            assert!(found.hint().contains("SAFE/mattermost.db"), "{}", found.hint());
        }
        drop(open);
        assert_eq!(open_but_deleted(this, &file), None);
    }
}
