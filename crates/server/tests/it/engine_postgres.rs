//! PostgreSQL: one cluster for all tests, and a database for each site.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use dsn::{DataSource, Server};
use serde_json::{Value, json};
use server::Config;
use sqlx::{AssertSqlSafe, ConnectOptions};
use testbed::postgres::{Cluster, Kind, url};
use tokio::sync::OnceCell;

/// The cluster of all tests.
pub(crate) static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let settings = &[("max_connections", "500"), ("log_statement", "none"), ("full_page_writes", "off")];
    let mut cluster = Cluster::new(&Kind { settings, ..Kind::default() });
    cluster.start();
    cluster
});

/// A migrated database to copy, which is faster than migrating each one.
static TEMPLATE: OnceCell<()> = OnceCell::const_new();

/// The file with the database's address, for the test and its child processes.
fn address_file(directory: &Path) -> PathBuf {
    directory.join("database.url")
}

/// The name of the database for `directory`.
pub(crate) fn name(directory: &Path) -> String {
    let name = directory.file_name().expect("a directory has a name").to_string_lossy();
    format!("site{}", name.replace('.', "_"))
}

/// The address of a site's database, without a password, because checking one takes longer than most tests.
fn site_of(name: &str) -> Server {
    CLUSTER.to("nobody", "", name)
}

/// Creates the database of `directory`, if there is none.
pub(crate) async fn prepare(directory: &Path) {
    if address_file(directory).exists() {
        return;
    }
    TEMPLATE
        .get_or_init(|| async {
            CLUSTER.execute("postgres", "create role nobody login").await;
            CLUSTER.execute("postgres", "create database model owner nobody").await;
            let sql = json!({"DriverName": "postgres", "DataSource": url(&site_of("model"))});
            let config = json!({"SqlSettings": sql}).to_string();
            let config = Config::from_json(directory, &config, &BTreeMap::new()).expect("it is valid");
            server::migrate(&config).await.expect("the database is there");
        })
        .await;
    let name = name(directory);
    CLUSTER.execute("postgres", &format!("create database \"{name}\" template model owner nobody")).await;
    let url = url(&site_of(&name));
    std::fs::write(address_file(directory), url).expect("the directory can be written");
}

pub(crate) fn sql_settings(directory: &Path) -> Value {
    let url = std::fs::read_to_string(address_file(directory)).expect("the site was prepared");
    json!({"DriverName": "postgres", "DataSource": url})
}

/// The text in the first row and column of the result of `statement`; empty if it has no rows.
pub(crate) async fn ask(directory: &Path, statement: &str) -> String {
    let settings = sql_settings(directory);
    let source = settings["DataSource"].as_str().unwrap_or_default();
    let Ok(DataSource::Server(server)) = source.parse() else { panic!("{source} is an address") };
    let options = database::postgres_options(&server).await.expect("there is no authority");
    let mut connection = options.connect().await.expect("the database is there");
    let row = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_optional(&mut connection).await;
    row.expect("the statement is valid").unwrap_or_default()
}
