//! The client programs that fit the deployment's database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use database::dump::Means;

use crate::error::Error;
use crate::state::cluster::Record;
use crate::state::location;
use crate::world::World;

/// Where client programs are looked for.
pub(crate) struct Programs<'a> {
    /// As `PATH` has them.
    path: &'a str,
    /// Where those of the managed PostgreSQL are; `None` where the database is another one.
    bin: Option<PathBuf>,
}

impl<'a> Programs<'a> {
    /// For the deployment of `world`.
    ///
    /// # Errors
    /// What is known of the managed PostgreSQL cannot be read.
    pub(crate) fn of(world: &'a World) -> Result<Self, Error> {
        let path = world.variables.get("PATH").map(String::as_str).unwrap_or_default();
        if !location::is_managed(&world.layout) {
            return Ok(Self { path, bin: None });
        }
        let record = Record::read(&world.layout)?;
        let installation = record.and_then(|record| record.installation(&world.layout, path).ok());
        Ok(Self { path, bin: installation.map(|there| there.bin) })
    }

    /// What a dump needs, with `scratch` for its files and `limit` for one question.
    pub(crate) fn means<'b>(&'b self, scratch: &'b Path, limit: Duration) -> Means<'b> {
        Means { scratch, path: self.path, bin: self.bin.as_deref(), limit }
    }
}
