//! A dump of a database on a server, kept while a newer release migrates it, and loaded again where that fails.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use database::dump::{self, Content, Rows};
use plan::{Progress, Step, Undo, Unit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::pending::changes_nothing;
use super::{Action, endable, step};
use crate::error::{Error, Exit};
use crate::place::machine::make_dir;
use crate::state::database_failure;
use crate::state::database_programs::Programs;
use crate::state::location;
use crate::world::World;

/// How long one question to the database may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Dumps the database. Whoever migrates it loads the dump as its undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptDump {}

/// What a dump holds, beside it.
#[derive(Serialize, Deserialize)]
struct Whole {
    rows: Rows,
}

impl KeptDump {
    pub(crate) fn step(self) -> Step<Action> {
        step("dump", "Keep a dump of the database", Undo::by("Remove it"), 5000, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        if changes_nothing(&world.layout) {
            return Ok(Value::Null);
        }
        if let Some(whole) = whole(&world.layout.before())? {
            return Ok(json!({ "rows": whole.rows.values().sum::<u64>() }));
        }
        make_dir(&world.layout.before(), 0o700, None)?;
        let server = location::of_config(world)?;
        let scratch = world.layout.before();
        let programs = Programs::of(world)?;
        let means = programs.means(&scratch, PATIENCE);
        let dump = dump::begin(&dsn::DataSource::Server(server), &means).await?;
        let Content::Stream(mut stream) = dump.content else {
            return Err(Error::new(Exit::Bug, "a server's dump is no stream"));
        };
        let stopper = stream.stopper();
        let (path, progress) = (text(&world.layout.before()), progress.clone());
        let work = move || {
            let failed = |error: std::io::Error| Error::path("write", &path, &error);
            let mut file = File::create(&path).map_err(failed)?;
            let mut bytes = 0u64;
            let mut buffer = vec![0; 1 << 17];
            loop {
                let count = std::io::Read::read(&mut stream, &mut buffer).map_err(failed)?;
                if count == 0 {
                    break;
                }
                file.write_all(&buffer[..count]).map_err(failed)?;
                bytes += count as u64;
                progress.at(bytes, None, Unit::Bytes);
            }
            file.sync_all().map_err(failed)?;
            Ok(stream.finish()?)
        };
        let rows = endable(work, move || stopper.stop()).await?;
        let count: u64 = rows.values().sum();
        let whole =
            serde_json::to_vec(&Whole { rows }).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
        host::disk::atomic_write(&said(&world.layout.before()), &whole, 0o600, None)?;
        Ok(json!({ "rows": count }))
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        host::disk::remove_file(&said(&world.layout.before()))?;
        Ok(host::disk::remove_file(&text(&world.layout.before()))?)
    }
}

/// The files of a dump.
pub(super) const FILES: [&str; 2] = ["database.sql", "database.json"];

fn text(directory: &Path) -> PathBuf {
    directory.join(FILES[0])
}

/// It is written when the dump is whole.
fn said(directory: &Path) -> PathBuf {
    directory.join(FILES[1])
}

fn whole(directory: &Path) -> Result<Option<Whole>, Error> {
    let path = said(directory);
    match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::path("read", &path, &error)),
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::not_ready(format!("{}: {error}", path.display()))),
    }
}

/// Makes the database what the dump in a directory is. What is there moves into a schema of its own; it is not deleted.
///
/// # Errors
/// There is no dump; the database refuses; it took other rows than the dump has.
pub(super) async fn load(world: &World, directory: &Path) -> Result<(), Error> {
    let Some(Whole { rows }) = whole(directory)? else {
        return Err(Error::new(
            Exit::NeedsYou,
            format!(
                "the dump that was kept in {} is gone, so the database stays as the new release left it",
                text(directory).display()
            ),
        )
        .hint("restore a backup that was made before"));
    };
    let server = location::of_config(world)?;
    let aside = format!("{}{}", database::ASIDE, jiff::Timestamp::now().as_millisecond());
    database::set_aside(&server, &aside, PATIENCE)
        .await
        .map_err(|failure| database_failure::refused(&failure))?;
    let scratch = world.layout.before();
    let programs = Programs::of(world)?;
    let mut load = dump::load(&server, &programs.means(&scratch, PATIENCE)).await?;
    let stopper = load.stopper();
    let path = text(directory);
    let work = move || {
        let failed = |error: std::io::Error| Error::path("load", &path, &error);
        let mut file = BufReader::new(File::open(&path).map_err(failed)?);
        std::io::copy(&mut file, &mut load).map_err(failed)?;
        Ok(load.finish()?)
    };
    let loaded = endable(work, move || stopper.stop()).await?;
    if loaded == rows {
        return Ok(());
    }
    Err(Error::not_ready("the database took other rows than the dump has"))
}
