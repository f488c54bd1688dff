//! The client programs that fit the deployment's database.

use std::path::PathBuf;

use crate::error::Error;
use crate::state::cluster::Record;
use crate::state::location;
use crate::world::World;

/// Where the programs of the managed PostgreSQL are; `None` where the database is another one.
///
/// # Errors
/// What is known of the managed PostgreSQL cannot be read.
pub(crate) fn programs(world: &World) -> Result<Option<PathBuf>, Error> {
    if !location::is_managed(&world.layout) {
        return Ok(None);
    }
    let path = world.variables.get("PATH").map(String::as_str).unwrap_or_default();
    let record = Record::read(&world.layout)?;
    Ok(record.and_then(|record| record.installation(&world.layout, path).ok()).map(|there| there.bin))
}
