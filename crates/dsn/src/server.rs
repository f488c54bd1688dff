//! A database on a database server, and the login to it.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use crate::engine::Engine;
use crate::host::Host;
use crate::tls::{Tls, TlsMode};

/// A database on a database server. `Debug` and `Display` show neither the password nor the values of further
/// parameters, which may be secrets.
#[derive(Clone)]
pub struct Server {
    /// The kind of server.
    pub engine: Engine,
    /// Where it listens.
    pub host: Host,
    /// Its port. In the name of a PostgreSQL socket's file; without a meaning for a MySQL socket.
    pub port: u16,
    /// The database; empty to let the server choose.
    pub name: String,
    /// The role or user; empty for none.
    pub user: String,
    /// Their password; empty for none.
    pub password: SecretString,
    /// TLS of the connection.
    pub tls: Tls,
    /// The address's other parameters, which the driver is given as they are.
    pub parameters: BTreeMap<String, String>,
}

impl Server {
    /// A server at its default port, with TLS if it offers it, no database and no user.
    pub fn new(engine: Engine, host: Host) -> Self {
        Self {
            engine,
            host,
            port: engine.default_port(),
            name: String::new(),
            user: String::new(),
            password: SecretString::default(),
            tls: Tls::default(),
            parameters: BTreeMap::new(),
        }
    }

    /// Whether a password was given.
    pub fn has_password(&self) -> bool {
        !self.password.expose_secret().is_empty()
    }

    /// This server, with TLS as Mattermost's driver uses it. The driver knows no "TLS if the server offers it" for
    /// PostgreSQL: without a word about TLS in the address it insists on it.
    #[must_use]
    pub fn as_mattermost_connects(mut self) -> Self {
        if self.engine == Engine::Postgres && self.tls.mode == TlsMode::Prefer {
            self.tls.mode = TlsMode::Require;
        }
        self
    }

    /// Host and port, or the socket.
    pub fn place(&self) -> String {
        match (&self.host, self.engine) {
            (Host::Socket(dir), Engine::Postgres) => {
                dir.join(format!(".s.PGSQL.{}", self.port)).display().to_string()
            }
            (Host::Socket(path), Engine::MySql) => path.display().to_string(),
            (host, _) => format!("{host}:{}", self.port),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.engine.driver_name())?;
        if !self.user.is_empty() || self.has_password() {
            let mask = if self.has_password() { ":***" } else { "" };
            write!(f, "{}{mask}@", self.user.escape_debug())?;
        }
        write!(f, "{}/{}", self.place(), self.name.escape_debug())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self} {:?} {:?})", self.tls, self.parameters.keys())
    }
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        let parts = |s: &Self| {
            (
                s.engine,
                s.host.clone(),
                s.port,
                s.name.clone(),
                s.user.clone(),
                s.tls.clone(),
                s.parameters.clone(),
            )
        };
        parts(self) == parts(other) && self.password.expose_secret() == other.password.expose_secret()
    }
}

impl Eq for Server {}
