//! MariaDB servers: one that all tests share, and others for those that need one of their own.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use dsn::{Engine, Host, Server};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _};

use testbed::child::{self, Guarded};
use testbed::{ANY_VERSION, PATIENCE, certificate};

const ACCOUNT: &str = "mysql";
const PACKAGES: &str = "mariadb-server";

/// A running server. Its root comes in through the socket, without a password.
pub(crate) struct MariaDb {
    server: Guarded,
    port: u16,
}

impl MariaDb {
    /// Starts one, with or without TLS, and returns at once.
    pub(crate) fn start(tls: bool, options: &[&str]) -> Self {
        let port = child::free_port();
        let program = child::program(&["/usr/sbin/mariadbd", "/usr/bin/mariadbd"], PACKAGES);
        let mut server = Guarded::new(ACCOUNT, "TERM", &program, |dir| {
            let path = |option: &str, name: &str| format!("--{option}={}", dir.join(name).display());
            let mut args = places(dir);
            args.extend(
                ["--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"].map(String::from),
            );
            args.extend(["--character-set-server=utf8mb4".into(), format!("--port={port}")]);
            args.extend([path("socket", "m.sock"), path("pid-file", "m.pid")]);
            if tls {
                args.extend([path("ssl-cert", "server.pem"), path("ssl-key", "server.key")]);
            }
            args.extend(options.iter().map(ToString::to_string));
            args
        });
        certificate::write(server.dir(), &["127.0.0.1"], false);
        child::hand_over(server.dir(), ACCOUNT);
        let install = child::program(&["/usr/bin/mariadb-install-db"], PACKAGES);
        let mut args = places(server.dir());
        args.extend(["--auth-root-authentication-method=normal", "--skip-test-db"].map(String::from));
        child::run(ACCOUNT, &install, &args);
        server.start();
        Self { server, port }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.server.dir()
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.dir().join("ca.pem")
    }

    /// Somebody's way to a database.
    pub(crate) fn to(&self, user: &str, password: &str, name: &str) -> Server {
        let mut server = Server::new(Engine::MySql, Host::parse("127.0.0.1").unwrap());
        server.port = self.port;
        (server.user, server.name, server.password) = (user.into(), name.into(), password.to_owned().into());
        server
    }

    /// Root's way.
    pub(crate) fn admin(&self) -> Server {
        let mut server = Server::new(Engine::MySql, Host::Socket(self.dir().join("m.sock")));
        server.user = "root".into();
        server
    }

    /// Runs SQL as root.
    pub(crate) async fn execute(&self, statements: &[&str]) {
        // A read-only server is ready too.
        let _ = database::wait_ready(&self.admin(), ANY_VERSION, PATIENCE, |_| ()).await;
        let socket = self.dir().join("m.sock");
        let mut root: MySqlConnection = MySqlConnectOptions::new()
            .username("root")
            .socket(socket)
            .connect()
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.server.log()));
        for sql in statements {
            root.execute(sqlx::raw_sql(AssertSqlSafe(*sql))).await.expect(sql);
        }
    }
}

/// Where it keeps things. A MariaDB that starts removes what others have in their directory for temporary files.
fn places(dir: &Path) -> Vec<String> {
    let data = format!("--datadir={}", dir.join("data").display());
    vec!["--no-defaults".into(), data, format!("--tmpdir={}", dir.display())]
}

/// The server that tests share: with TLS, and everything in it that they need.
pub(crate) async fn shared() -> &'static MariaDb {
    static SERVER: LazyLock<MariaDb> = LazyLock::new(|| MariaDb::start(true, &[]));
    static READY: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    READY
        .get_or_init(|| {
            SERVER.execute(&[
                "CREATE DATABASE chat CHARACTER SET utf8mb4",
                "CREATE DATABASE narrow CHARACTER SET utf8mb3",
                "CREATE DATABASE closed",
                "CREATE USER mm@'%' IDENTIFIED BY 'mm'",
                "GRANT ALL ON chat.* TO mm@'%'",
                "GRANT ALL ON narrow.* TO mm@'%'",
                "CREATE USER encrypted@'%' IDENTIFIED BY 'mm' REQUIRE SSL",
                "GRANT ALL ON chat.* TO encrypted@'%'",
            ])
        })
        .await;
    &SERVER
}
