//! PostgreSQL: a cluster for all tests, and a database of its own for each site.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use database::{DataSource, Server};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions};
use testbed::postgres::{Cluster, Kind, url};

/// The cluster of all tests.
pub(crate) static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let mut cluster = Cluster::new(&Kind { settings: &[("max_connections", "500")], ..Kind::default() });
    cluster.start();
    cluster
});

/// The file that keeps the database's address: a child process reads it too.
fn address_file(directory: &Path) -> PathBuf {
    directory.join("database.url")
}

/// The name of the database of `directory`.
pub(crate) fn name(directory: &Path) -> String {
    let name = directory.file_name().expect("a directory has a name").to_string_lossy();
    format!("site{}", name.replace('.', "_"))
}

/// Makes the database of `directory`, if there is none.
pub(crate) async fn prepare(directory: &Path) {
    if address_file(directory).exists() {
        return;
    }
    let name = name(directory);
    CLUSTER.execute("postgres", &format!("CREATE DATABASE \"{name}\"")).await;
    let url = url(&CLUSTER.admin(&name));
    std::fs::write(address_file(directory), url).expect("the directory can be written");
}

pub(crate) fn sql_settings(directory: &Path) -> Value {
    let url = std::fs::read_to_string(address_file(directory)).expect("the site was prepared");
    json!({"DriverName": "postgres", "DataSource": url})
}

/// The text in the first row and column of what `statement` answers; empty if it answers nothing.
pub(crate) async fn ask(directory: &Path, statement: &str) -> String {
    let settings = sql_settings(directory);
    let source = settings["DataSource"].as_str().unwrap_or_default();
    let Ok(DataSource::Server(server)) = source.parse() else { panic!("{source} is an address") };
    let server: Server = server;
    let options = database::postgres_options(&server).await.expect("there is no authority");
    let mut connection = options.connect().await.expect("the database is there");
    let row = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_optional(&mut connection).await;
    row.expect("the statement is valid").unwrap_or_default()
}
