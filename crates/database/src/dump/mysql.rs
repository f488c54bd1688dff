//! Dumps of MySQL and MariaDB with their own clients, and back.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dsn::{Host, Server, TlsMode};
use secrecy::ExposeSecret as _;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::child::Running;
use super::load::Load;
use super::mysql_text::{MySqlText, Way};
use super::programs::{self, Program};
use super::stream::Stream;
use super::{Content, Dump, Error, Means, Rows, Scratch, credentials};
use crate::connect::{self, Connected, connect};
use crate::failure::Failure;
use crate::quote;
use crate::reason::Reason;
use crate::tables::mysql_tables;
use crate::version::{Product, Version};

/// Where the clients are besides `PATH`.
const PLACES: [&str; 3] = ["/usr/bin", "/usr/local/bin", "/usr/local/mysql/bin"];

/// How many things are named of a database that is not empty.
const SOME: usize = 3;

/// What is known of the server.
struct Known {
    product: Product,
    version: String,
    migration: Option<i64>,
    apart: Vec<String>,
    tables: Vec<String>,
}

pub(super) async fn begin(server: &Server, means: &Means<'_>) -> Result<Dump, Error> {
    let known = known(server, means.limit).await?;
    let client = client(DUMPS, known.product, means).await?;
    let options = write_options(server, &client, means.scratch).await?;
    let mut command = Command::new(&client.path);
    command
        .arg(format!("--defaults-file={}", options.0.display()))
        .args(["--single-transaction", "--quick", "--skip-dump-date", "--hex-blob", "--no-tablespaces"])
        .args(["--routines", "--triggers", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"]);
    if !client.is_mariadbs() {
        command.args(["--column-statistics=0", "--set-gtid-purged=OFF"]);
    }
    command.arg(&server.name).env_clear().env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped());
    let (running, pipes) = Running::start("mysqldump", command, Arc::default())?;
    let output = pipes.output.ok_or_else(|| Error::Ended("mysqldump has no output".to_owned()))?;
    let text = Box::new(MySqlText::new(Way::Out));
    let content = Content::Stream(Box::new(Stream::new(running, output, text, Some(options), None)));
    let Known { version, migration, apart, .. } = known;
    Ok(Dump { engine: "mysql", server: version, migration, apart, content })
}

/// The names of the client that dumps.
const DUMPS: [&str; 2] = ["mariadb-dump", "mysqldump"];

/// The names of the client that loads.
const LOADS: [&str; 2] = ["mariadb", "mysql"];

pub(super) async fn check(server: &Server, means: &Means<'_>) -> Result<(), Error> {
    let known = known(server, means.limit).await?;
    client(DUMPS, known.product, means).await?;
    client(LOADS, known.product, means).await.map(drop)
}

pub(super) async fn load(server: &Server, means: &Means<'_>) -> Result<Load, Error> {
    let known = known(server, means.limit).await?;
    if !known.tables.is_empty() {
        let mut found = known.tables;
        found.truncate(SOME);
        return Err(Error::NotEmpty { place: server.place(), found });
    }
    let client = client(LOADS, known.product, means).await?;
    let options = write_options(server, &client, means.scratch).await?;
    let mut command = Command::new(&client.path);
    command
        .arg(format!("--defaults-file={}", options.0.display()))
        // In this mode it obeys none of its own commands but the one that ends statements.
        .args(["--batch", "--binary-mode", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"])
        .arg(&server.name)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let (running, pipes) = Running::start("mysql", command, Arc::default())?;
    Ok(Load::silent((running, pipes.input), "mysql", Box::new(MySqlText::new(Way::In)), options))
}

pub(super) async fn rows(server: &Server, limit: Duration) -> Result<Rows, Error> {
    let mut connection = log_in(server, limit).await?;
    let counted = async {
        let begin = "set session transaction isolation level repeatable read; start transaction with consistent snapshot";
        sqlx::raw_sql(begin).execute(&mut connection).await?;
        let mut rows = Rows::new();
        let tables = "select cast(table_name as char) from information_schema.tables
                      where table_schema = database() and table_type = 'BASE TABLE' order by 1";
        for row in sqlx::query(tables).fetch_all(&mut connection).await? {
            let table: String = row.try_get(0)?;
            let quoted = quote::mysql_name(&table, "table").unwrap_or_default();
            let sql = format!("select count(*) from {quoted}");
            let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await?;
            rows.insert(table, count.unsigned_abs());
        }
        Ok(rows)
    };
    let rows = counted.await.map_err(|error: sqlx::Error| Failure::of(server, &error))?;
    Connected::MySql(connection).close().await;
    Ok(rows)
}

async fn log_in(server: &Server, limit: Duration) -> Result<MySqlConnection, Error> {
    match connect(server, limit).await? {
        Connected::MySql(connection) => Ok(connection),
        Connected::Postgres(_) => Err(Error::Ended(format!("{} is no MySQL", server.place()))),
    }
}

async fn known(server: &Server, limit: Duration) -> Result<Known, Error> {
    let mut connection = log_in(server, limit).await?;
    let looked = tokio::time::timeout(limit, look(&mut connection)).await;
    let looked = looked.map_err(|_| Failure::new(server, Reason::timed_out(limit)))?;
    let known = looked.map_err(|error| Failure::of(server, &error))?;
    Connected::MySql(connection).close().await;
    Ok(known)
}

async fn look(connection: &mut MySqlConnection) -> sqlx::Result<Known> {
    let said: String = sqlx::query_scalar("select version()").fetch_one(&mut *connection).await?;
    let (product, version) = match Version::of_mysql(&said) {
        Some((product, version)) => (product, format!("{product} {version}")),
        None => (Product::MySql, said),
    };
    let tables = mysql_tables(connection).await?;
    let apart = "select cast(table_name as char) from information_schema.tables
                 where table_schema = database() and table_type = 'BASE TABLE' and engine <> 'InnoDB' order by 1";
    let apart = sqlx::query(apart).fetch_all(&mut *connection).await?;
    let apart = apart.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>()?;
    let migration = match tables.iter().find(|name| name.eq_ignore_ascii_case("db_migrations")) {
        Some(name) => {
            let quoted = quote::mysql_name(name, "table").unwrap_or_default();
            let sql = format!("select cast(max(Version) as signed) from {quoted}");
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await?
        }
        None => None,
    };
    Ok(Known { product, version, migration, apart, tables })
}

impl Program {
    /// MariaDB's clients and those of MySQL have different options.
    fn is_mariadbs(&self) -> bool {
        self.version.to_ascii_lowercase().contains("mariadb")
    }
}

/// A client by one of its names: of the server's own maker, or else of the other one.
async fn client(names: [&'static str; 2], product: Product, means: &Means<'_>) -> Result<Program, Error> {
    let dirs: Vec<PathBuf> = means.path.split(':').chain(PLACES).map(PathBuf::from).collect();
    let mut paths = Vec::new();
    for name in names {
        paths.extend(dirs.iter().map(|dir| dir.join(name)));
    }
    let mut other = None;
    for path in paths {
        if let Some(version) = programs::version(&path).await {
            let program = Program { path, version };
            if program.is_mariadbs() == (product == Product::MariaDb) {
                return Ok(program);
            }
            other.get_or_insert(program);
        }
    }
    other.ok_or_else(|| Error::Program {
        program: names[1],
        wanted: format!("the server is {product}"),
        found: None,
        package: "mariadb-client".to_owned(),
    })
}

/// The client's only file of options: who logs in, and how.
async fn write_options(server: &Server, client: &Program, scratch: &Path) -> Result<Scratch, Error> {
    let authority = connect::authority(server).await.map_err(|reason| Failure::new(server, reason))?;
    let mut lines = vec!["[client]".to_owned()];
    // Quotes keep spaces and `#`; within them only a backslash has a meaning.
    let mut set = |key: &str, value: &str| lines.push(format!("{key}=\"{}\"", value.replace('\\', "\\\\")));
    match &server.host {
        Host::Socket(path) => set("socket", &path.display().to_string()),
        host => {
            set("host", &connect::host_text(host));
            set("port", &server.port.to_string());
            set("protocol", "tcp");
        }
    }
    set("user", &server.user);
    set("password", server.password.expose_secret());
    if let Some(path) = &authority {
        set("ssl-ca", &path.display().to_string());
    }
    let mode = connect::mode(server);
    let tls = match (client.is_mariadbs(), mode) {
        (false, TlsMode::Disable) => "ssl-mode=DISABLED",
        (false, TlsMode::Prefer) => "ssl-mode=PREFERRED",
        (false, TlsMode::Require) => "ssl-mode=REQUIRED",
        (false, TlsMode::VerifyCa) => "ssl-mode=VERIFY_CA",
        (false, TlsMode::VerifyFull) => "ssl-mode=VERIFY_IDENTITY",
        (true, TlsMode::Disable) => "skip-ssl",
        (true, TlsMode::Prefer | TlsMode::Require) => "ssl\nskip-ssl-verify-server-cert",
        // It has no mode that leaves out the name.
        (true, TlsMode::VerifyCa | TlsMode::VerifyFull) => "ssl\nssl-verify-server-cert",
    };
    lines.push(tls.to_owned());
    credentials::write(scratch, "client.cnf", &(lines.join("\n") + "\n"))
}
