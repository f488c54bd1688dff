//! The dump of a snapshot, loaded into an empty database on a server.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use database::dump;
use plan::{Progress, Step, Undo, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::snapshot_files::{compare, fetched_manifest};
use super::{Action, endable, step};
use crate::error::Error;
use crate::place::machine::make_dir;
use crate::state::backups::set::DATABASE;
use crate::state::database_failure;
use crate::state::database_programs::Programs;
use crate::state::location::{self, Location};
use crate::world::World;

/// How long one question to the database may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Loads the dump that was fetched, and compares the rows with what was counted in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loading {
    /// Bytes of the dump.
    pub bytes: u64,
}

impl Loading {
    pub(crate) fn step(self, location: &Location) -> Step<Action> {
        let undo = Undo::by("Move what was loaded into a schema of its own");
        // 20 MB/s.
        let ms = 300 + self.bytes / 20_000;
        let title = format!("Load the dump into {location}, and compare the rows");
        Step { snapshot: true, ..step("load", title, undo, ms, self) }
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let server = location::of_config(world)?;
        let manifest = fetched_manifest(world)?;
        // A kill may have come after the end of the load.
        let there = dump::rows(&dsn::DataSource::Server(server.clone()), PATIENCE).await?;
        if !there.is_empty() {
            if compare(&manifest, &there).is_ok() {
                return Ok(Value::Null);
            }
            self.undo(world, None).await?;
        }
        let scratch = world.layout.run().join("load");
        host::disk::remove_tree(&scratch)?;
        make_dir(&scratch, 0o700, None)?;
        let programs = Programs::of(world)?;
        let means = programs.means(&scratch, PATIENCE);
        let mut pieces = Pieces::of(&world.layout.restoring().join(DATABASE))?;
        let mut load = dump::load(&server, &means).await?;
        let (stopper, total, progress) = (load.stopper(), self.bytes, progress.clone());
        let work = move || {
            let (mut done, mut buffer) = (0, vec![0; 256 << 10]);
            loop {
                let read =
                    pieces.read(&mut buffer).map_err(|error| Error::path("read", pieces.shown(), &error))?;
                if read == 0 {
                    return Ok(load.finish()?);
                }
                // What the database said is the cause, and is known at the end.
                if load.write_all(&buffer[..read]).is_err() {
                    return Ok(load.finish()?);
                }
                done += read as u64;
                progress.at(done, total.max(done), Unit::Bytes);
            }
        };
        let rows = endable(work, move || stopper.stop()).await;
        host::disk::remove_tree(&scratch)?;
        let rows = rows?;
        compare(&manifest, &rows).map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let server = location::of_config(world)?;
        let name = format!("{}{}", database::ASIDE, jiff::Timestamp::now().as_millisecond());
        let moved = database::set_aside(&server, &name, PATIENCE).await;
        moved.map_err(|failure| database_failure::refused(&failure))
    }
}

/// The pieces of a dump, one after the other.
struct Pieces {
    left: std::vec::IntoIter<PathBuf>,
    open: Option<File>,
    dir: PathBuf,
}

impl Pieces {
    fn of(dir: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::path("read", dir, &error);
        let entries = std::fs::read_dir(dir).map_err(failed)?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        paths.sort();
        Ok(Self { left: paths.into_iter(), open: None, dir: dir.to_owned() })
    }

    /// Where they are.
    fn shown(&self) -> PathBuf {
        self.dir.clone()
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(file) = &mut self.open else {
                let Some(next) = self.left.next() else { return Ok(0) };
                self.open = Some(File::open(next)?);
                continue;
            };
            match file.read(buffer)? {
                0 if !buffer.is_empty() => self.open = None,
                read => return Ok(read),
            }
        }
    }
}
