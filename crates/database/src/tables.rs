//! Which tables there are.

use sqlx::Row as _;
use sqlx::mysql::MySqlConnection;

/// The names of every table of the database.
pub(crate) async fn mysql_tables(connection: &mut MySqlConnection) -> sqlx::Result<Vec<String>> {
    let sql = "select cast(table_name as char) from information_schema.tables where table_schema = database() order by 1";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
