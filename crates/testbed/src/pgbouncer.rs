//! PgBouncer in front of a PostgreSQL cluster.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use dsn::Server;
use secrecy::ExposeSecret as _;

use crate::PATIENCE;
use crate::child::{self, Guarded};

const ACCOUNT: &str = "postgres";
const PACKAGES: &str = "pgbouncer";

/// A pooler, which runs.
pub struct PgBouncer {
    _server: Guarded,
    port: u16,
}

impl PgBouncer {
    /// Starts one for the login and the database of `server`, with `pool_mode` (`session` or `transaction`) and further lines
    /// of its configuration.
    pub fn start(server: &Server, pool_mode: &str, more: &[&str]) -> Self {
        let (program, port) = (child::program(&["/usr/sbin/pgbouncer"], PACKAGES), child::free_port());
        let mut pooler =
            Guarded::new(ACCOUNT, "INT", &program, |dir| vec![dir.join("ini").display().to_string()]);
        let (dir, password) = (pooler.dir().to_owned(), server.password.expose_secret());
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = plain\nauth_file = {dir}/users\npool_mode = {pool_mode}\n{}\n",
            server.port,
            more.join("\n"),
            dir = dir.display(),
        );
        std::fs::write(dir.join("ini"), text).unwrap();
        std::fs::write(dir.join("users"), format!("{} {}\n", quoted(&server.user), quoted(password)))
            .unwrap();
        std::fs::set_permissions(dir.join("users"), PermissionsExt::from_mode(0o600)).unwrap();
        child::hand_over(&dir, ACCOUNT);
        pooler.start();
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "PgBouncer does not listen: {}", pooler.log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Self { _server: pooler, port }
    }

    /// The same database through the pooler.
    pub fn through(&self, server: &Server) -> Server {
        Server { port: self.port, ..server.clone() }
    }
}
