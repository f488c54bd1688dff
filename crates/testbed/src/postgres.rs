//! PostgreSQL clusters. One is initialised once for each test executable; each cluster is a copy of it.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dsn::{Engine, Host, Server, TlsMode};
use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use crate::child::{self, Guarded};
use crate::{ANY_VERSION, PATIENCE, certificate};

const ACCOUNT: &str = "postgres";
const PACKAGES: &str = "postgresql-15";
const PASSWORD: &str = "the superuser's: p@ss/w%rd";

/// A line for each way to log in that a test needs. The first that matches is used.
const HBA: &str = "
local   all     all                     scram-sha-256
hostssl tlsonly all       127.0.0.1/32  scram-sha-256
host    tlsonly all       127.0.0.1/32  reject
host    all     unwelcome 127.0.0.1/32  reject
host    all     nobody    127.0.0.1/32  trust
host    all     all       127.0.0.1/32  scram-sha-256
";

/// What distinguishes one cluster from another.
#[derive(Default)]
pub struct Kind<'a> {
    /// Some for TLS; whether the certificate has expired.
    pub certificate: Option<bool>,
    /// More lines of postgresql.conf.
    pub settings: &'a [(&'a str, &'a str)],
    /// `recovery.signal` or `standby.signal`.
    pub signal: Option<&'a str>,
}

/// A cluster, which may not have been started yet.
pub struct Cluster {
    server: Guarded,
    port: u16,
}

/// A database's address as `SqlSettings.DataSource` has it, with its password and without TLS.
pub fn url(server: &Server) -> String {
    let mut server = server.clone();
    server.tls.mode = TlsMode::Disable;
    server.data_source().expect("PostgreSQL's addresses can contain everything").expose_secret().to_owned()
}

/// Path of one of PostgreSQL's programs.
pub fn program(name: &str) -> PathBuf {
    let versions =
        ["18", "17", "16", "15"].map(|version| format!("/usr/lib/postgresql/{version}/bin/{name}"));
    let local = format!("/usr/local/pgsql/bin/{name}");
    let candidates: Vec<&str> = versions.iter().chain([&local]).map(String::as_str).collect();
    child::program(&candidates, PACKAGES)
}

/// A cluster that never runs. Copying it is faster than `initdb`.
static TEMPLATE: LazyLock<Guarded> = LazyLock::new(|| {
    let template = Guarded::new(ACCOUNT, "INT", &program("postgres"), |_| vec![]);
    std::fs::write(template.dir().join("password"), PASSWORD).unwrap();
    child::hand_over(template.dir(), ACCOUNT);
    let path = |name: &str| template.dir().join(name).display().to_string();
    let flags = ["-E", "UTF8", "--locale=C.UTF-8", "-A", "scram-sha-256", "-U", "postgres", "--no-sync"];
    let mut args: Vec<String> = flags.map(String::from).into();
    args.extend(["-D".to_owned(), path("data"), format!("--pwfile={}", path("password"))]);
    child::run(ACCOUNT, &program("initdb"), &args);
    template
});

impl Cluster {
    /// Makes a cluster, and does not start it.
    pub fn new(kind: &Kind) -> Self {
        let port = child::free_port();
        let server = Guarded::new(ACCOUNT, "INT", &program("postgres"), |dir| {
            vec!["-D".into(), dir.join("data").display().to_string(), "-p".into(), port.to_string()]
        });
        let dir = server.dir();
        let data = dir.join("data");
        let copied =
            std::process::Command::new("cp").arg("-a").arg(TEMPLATE.dir().join("data")).arg(&data).status();
        assert!(copied.unwrap().success());
        let mut text = String::from("listen_addresses = '127.0.0.1'\nfsync = off\nlog_statement = 'all'\n");
        let mut set =
            |key: &str, value: &str| writeln!(text, "{key} = '{}'", value.replace('\'', "''")).unwrap();
        set("unix_socket_directories", &dir.display().to_string());
        if let Some(expired) = kind.certificate {
            certificate::write(dir, &["127.0.0.1"], expired);
            set("ssl", "on");
            set("ssl_cert_file", &dir.join("server.pem").display().to_string());
            set("ssl_key_file", &dir.join("server.key").display().to_string());
            std::fs::set_permissions(dir.join("server.key"), PermissionsExt::from_mode(0o600)).unwrap();
        }
        for (key, value) in kind.settings {
            set(key, &value.replace("$DIR", &dir.display().to_string()));
        }
        std::fs::write(data.join("postgresql.auto.conf"), text).unwrap();
        std::fs::write(data.join("pg_hba.conf"), HBA).unwrap();
        if let Some(signal) = kind.signal {
            std::fs::write(data.join(signal), "").unwrap();
        }
        child::hand_over(dir, ACCOUNT);
        Self { server, port }
    }

    /// Starts it. Does not wait until it is ready.
    pub fn start(&mut self) {
        self.server.start();
    }

    /// Stops it, and waits until it has ended. It can be started again.
    pub fn stop(&mut self) {
        self.server.stop();
        let deadline = Instant::now() + PATIENCE;
        // The server removes this file last.
        while self.dir().join("data/postmaster.pid").exists() {
            assert!(Instant::now() < deadline, "it does not stop\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.server.dir()
    }

    /// Certificate of the authority that signed its certificate.
    pub fn ca(&self) -> PathBuf {
        self.dir().join("ca.pem")
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// How a user reaches a database.
    pub fn to(&self, user: &str, password: &str, name: &str) -> Server {
        let mut server = Server::new(Engine::Postgres, Host::parse("127.0.0.1").unwrap());
        server.port = self.port;
        (server.user, server.name, server.password) = (user.into(), name.into(), password.to_owned().into());
        server
    }

    /// How the superuser reaches a database.
    pub fn admin(&self, name: &str) -> Server {
        self.to("postgres", PASSWORD, name)
    }

    /// Runs SQL as the superuser.
    pub async fn execute(&self, name: &str, sql: &str) {
        let mut connection = self.connection(name).await;
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect(sql);
    }

    async fn connection(&self, name: &str) -> PgConnection {
        let admin = self.admin(name);
        database::wait_ready(&admin, ANY_VERSION, PATIENCE, |_| ())
            .await
            .unwrap_or_else(|failure| panic!("{failure}\n{}", self.log()));
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("postgres")
            .password(PASSWORD)
            .database(name)
            .ssl_mode(PgSslMode::Disable)
            .connect()
            .await
            .unwrap()
    }
}
