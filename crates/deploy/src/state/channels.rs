//! The channels of a snapshot by their names, read from its dump.

use std::collections::BTreeMap;
use std::io::{self, Write};

use backup::Repository;

use crate::error::{Error, Exit};
use crate::state::backups::access::told;
use crate::state::backups::set::DATABASE;
use crate::state::restoring::{SQLITE, short};

/// A line of a dump is kept up to so many bytes: those of channels are short.
const LINE: usize = 64 << 10;

/// Ids by name.
pub(crate) struct ChannelNames {
    snapshot: String,
    by_name: BTreeMap<String, Vec<String>>,
}

impl ChannelNames {
    /// Reads the table of channels.
    ///
    /// # Errors
    /// The repository is damaged; the dump is of a kind whose names are not read.
    pub(crate) fn of(repository: &Repository, id: &str) -> Result<Self, Error> {
        let manifest = repository.manifest(id).map_err(told)?;
        let by_name = match manifest.database.engine.as_str() {
            "postgres" => {
                let mut table = CopiedTable::default();
                repository.dump(id, DATABASE, &mut table).map_err(told)?;
                table.by_name
            }
            "sqlite" => of_sqlite(repository, id)?,
            engine => {
                let what =
                    format!("snapshot {} is of {engine}, where a channel is named by its id", short(id));
                return Err(Error::new(Exit::Usage, what)
                    .hint("the channel's menu `View info` in Mattermost shows its id"));
            }
        };
        Ok(Self { snapshot: short(id).to_owned(), by_name })
    }

    /// The id of the channel of that name.
    ///
    /// # Errors
    /// There is none, or several.
    pub(crate) fn id(&self, given: &str) -> Result<&str, Error> {
        match self.by_name.get(given).map(Vec::as_slice) {
            Some([id]) => Ok(id),
            Some(several) => Err(Error::new(
                Exit::Usage,
                format!(
                    "{} channels of snapshot {} are called {given}: {}",
                    several.len(),
                    self.snapshot,
                    several.join(", ")
                ),
            )
            .hint("name one by its id")),
            None => {
                let error =
                    Error::new(Exit::Usage, format!("snapshot {} has no channel {given}", self.snapshot));
                Err(match finding::nearest(given, self.by_name.keys().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean {near}?")),
                    None => error.hint("name it as in its address: the last part, or its id"),
                })
            }
        }
    }
}

fn of_sqlite(repository: &Repository, id: &str) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let scratch = tempfile::tempdir().map_err(|error| Error::path("make", std::env::temp_dir(), &error))?;
    let file = scratch.path().join(SQLITE);
    let wanted = [(format!("{DATABASE}/{SQLITE}"), file.clone())];
    repository.extract(id, &wanted, &backup::Silent).map_err(told)?;
    // This runs where blocking is allowed.
    let rows = tokio::runtime::Handle::current().block_on(database::channels(&file));
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, id) in rows.map_err(|why| {
        Error::new(Exit::NotVerified, format!("the database of snapshot {}: {why}", short(id)))
    })? {
        by_name.entry(name).or_default().push(id);
    }
    Ok(by_name)
}

/// Takes the rows of `channels` out of a dump by `pg_dump`, which says the columns before them: `COPY public.channels (id, ...) FROM stdin;`.
#[derive(Default)]
struct CopiedTable {
    line: Vec<u8>,
    /// The places of `id` and `name`, within the table.
    columns: Option<(usize, usize)>,
    by_name: BTreeMap<String, Vec<String>>,
}

impl CopiedTable {
    fn take(&mut self) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        match self.columns {
            Some(_) if line == "\\." => self.columns = None,
            Some((id, name)) => {
                let cells: Vec<&str> = line.split('\t').collect();
                if let (Some(id), Some(name)) = (cells.get(id), cells.get(name)) {
                    self.by_name.entry((*name).to_owned()).or_default().push((*id).to_owned());
                }
            }
            None => self.columns = columns(&line),
        }
        self.line.clear();
    }
}

fn columns(line: &str) -> Option<(usize, usize)> {
    let rest = line.strip_prefix("COPY ")?.strip_suffix(") FROM stdin;")?;
    let (table, columns) = rest.split_once(" (")?;
    (table.rsplit('.').next() == Some("channels")).then_some(())?;
    let place = |wanted: &str| columns.split(", ").position(|column| column == wanted);
    Some((place("id")?, place("name")?))
}

impl Write for CopiedTable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let room = LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&rest[..end.min(room)]);
            self.take();
            rest = &rest[end + 1..];
        }
        let room = LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&rest[..rest.len().min(room)]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_read_from_a_dump_that_comes_in_any_pieces() {
        let dump = "COPY public.posts (id, name) FROM stdin;\np1\ttown\n\\.\n\nCOPY public.channels (id, createat, name, header) FROM stdin;\n\
                    c1\t1\ttown\ta\\nb\nc2\t2\tother\t\nc3\t3\tother\t\n\\.\nCOPY public.users (id, name) FROM stdin;\nu1\tann\n\\.\n";
        for size in [1, 7, 1000] {
            let mut table = CopiedTable::default();
            dump.as_bytes().chunks(size).for_each(|piece| table.write_all(piece).expect("taken"));
            let names = ChannelNames { snapshot: "01234567".to_owned(), by_name: table.by_name };
            assert_eq!(names.id("town").expect("one"), "c1");
            assert!(names.id("other").expect_err("two").what.contains("c2, c3"));
            let near = names.id("towns").expect_err("none");
            assert!(near.hint.is_some_and(|hint| hint.contains("town")));
        }
    }
}
