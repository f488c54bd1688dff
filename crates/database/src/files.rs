//! The uploaded files that a database knows: table `fileinfo`.

use std::time::Duration;

use dsn::{DataSource, Server};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::connect::{Connected, connect};
use crate::dump::{self, sqlite};
use crate::failure::Failure;
use crate::quote;
use crate::reason::Reason;
use crate::tables::mysql_tables;

/// A row of `fileinfo`. Paths are those below the directory of files; an empty one is of none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Its id.
    pub id: String,
    /// When the file was uploaded, in ms since the epoch.
    pub created: i64,
    /// When it was deleted; 0 = it was not.
    pub deleted: i64,
    /// The file.
    pub path: String,
    /// Its thumbnail.
    pub thumbnail: String,
    /// Its preview.
    pub preview: String,
    /// Its size in bytes.
    pub size: i64,
}

type Row = (String, i64, i64, String, String, String, i64);

impl From<Row> for FileRow {
    fn from((id, created, deleted, path, thumbnail, preview, size): Row) -> Self {
        Self { id, created, deleted, path, thumbnail, preview, size }
    }
}

/// SQLite and PostgreSQL take the same words.
const ROWS: &str = "
    select id, coalesce(createat, 0), coalesce(deleteat, 0), coalesce(path, ''), coalesce(thumbnailpath, ''), coalesce(previewpath, ''),
           cast(coalesce(size, 0) as bigint)
    from fileinfo";

/// All of them, within the time limit.
///
/// # Errors
/// Why the database cannot be read.
pub async fn file_rows(source: &DataSource, limit: Duration) -> Result<Vec<FileRow>, dump::Error> {
    let rows: Vec<Row> = match source {
        DataSource::Sqlite(path) => {
            let fails = |error: sqlx::Error| sqlite::unreadable(path, &error);
            let mut connection = sqlite::open(path, limit).await.map_err(fails)?;
            let rows = sqlx::query_as(ROWS).fetch_all(&mut connection).await;
            sqlite::close(connection).await;
            rows.map_err(fails)?
        }
        DataSource::Server(server) => on_server(server, limit).await?,
    };
    Ok(rows.into_iter().map(FileRow::from).collect())
}

async fn on_server(server: &Server, limit: Duration) -> Result<Vec<Row>, Failure> {
    let mut connected = connect(server, limit).await?;
    let asked = tokio::time::timeout(limit, async {
        match &mut connected {
            // A pooler may give each transaction another session of the server: the statement has no name, and nothing of it stays.
            Connected::Postgres(connection) => {
                let mut transaction = connection.begin().await?;
                let rows = sqlx::query_as(ROWS).persistent(false).fetch_all(&mut *transaction).await?;
                transaction.rollback().await?;
                Ok(rows)
            }
            Connected::MySql(connection) => on_mysql(connection).await,
        }
    });
    let rows = match asked.await {
        Ok(rows) => rows.map_err(|error: sqlx::Error| Failure::of(server, &error)),
        Err(_) => Err(Failure::new(server, Reason::timed_out(limit))),
    };
    connected.close().await;
    rows
}

async fn on_mysql(connection: &mut MySqlConnection) -> sqlx::Result<Vec<Row>> {
    let names = mysql_tables(connection).await?;
    let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case("fileinfo")) else {
        return Ok(Vec::new());
    };
    let text = |column: &str| format!("cast(coalesce({column}, '') as char)");
    let number = |column: &str| format!("cast(coalesce({column}, 0) as signed)");
    let sql = format!(
        "select {}, {}, {}, {}, {}, {}, {} from {}",
        text("Id"),
        number("CreateAt"),
        number("DeleteAt"),
        text("Path"),
        text("ThumbnailPath"),
        text("PreviewPath"),
        number("Size"),
        quote::mysql_name(name, "table").unwrap_or_default()
    );
    sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await
}
