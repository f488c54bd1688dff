//! SQLite: the database is a file in the site's directory.

use std::path::Path;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, SqlitePool};

/// Creates the database of `directory`, if there is none.
pub(crate) async fn prepare(_: &Path) {}

pub(crate) fn sql_settings(directory: &Path) -> Value {
    json!({"DriverName": "sqlite", "DataSource": directory.join("mattermost.db")})
}

/// The text in the first row and column of the result of `statement`; empty if it has no rows.
pub(crate) async fn ask(directory: &Path, statement: &str) -> String {
    let url = format!("sqlite://{}", directory.join("mattermost.db").display());
    let pool = SqlitePool::connect(&url).await.expect("the database is there");
    let row = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_optional(&pool).await;
    row.expect("the statement is valid").unwrap_or_default()
}
