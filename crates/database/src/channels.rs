//! The channels in an SQLite file that nobody works with, by name.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

/// Name and id of each channel.
///
/// # Errors
/// What SQLite says.
pub async fn channels(file: &Path) -> Result<Vec<(String, String)>, String> {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(false).read_only(true);
    let mut connection: SqliteConnection = options.connect().await.map_err(|error| error.to_string())?;
    let found = sqlx::query_as("select name, id from channels order by createat, id")
        .fetch_all(&mut connection)
        .await;
    let _ = connection.close().await;
    found.map_err(|error| error.to_string())
}
