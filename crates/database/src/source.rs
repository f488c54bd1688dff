//! Where a database is, and who we are there.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};

use crate::address::{self, AddressError};

/// A database that a server program speaks for. `MySql` is MariaDB too: which of them, the probe tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    MySql,
}

impl Engine {
    /// 5432 or 3306.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::MySql => 3306,
        }
    }

    /// `SqlSettings.DriverName` of Mattermost's config.json; also the scheme of an address.
    pub fn driver_name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
        })
    }
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name that the resolver knows: letters, digits, `-`, `_` and dots.
    Name(String),
    /// An address.
    Ip(IpAddr),
    /// A Unix socket: PostgreSQL's directory, or MySQL's socket itself.
    Socket(PathBuf),
}

impl Host {
    /// Reads a name, an address (IPv6 with or without brackets) or an absolute path.
    ///
    /// # Errors
    /// What is none of these.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.starts_with('/') {
            return Ok(Self::Socket(PathBuf::from(text)));
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Ok(Self::Ip(ip));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > 253 || !text.chars().all(is_name) {
            return Err(AddressError::Host);
        }
        Ok(Self::Name(text.to_owned()))
    }

    /// Whether the way there stays on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Ip(ip) => ip.is_loopback(),
            Self::Socket(_) => true,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

/// How much TLS, in libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// Where the server offers it; nobody is authenticated.
    Prefer,
    /// Always; nobody is authenticated.
    Require,
    /// The certificate must lead to a known authority.
    VerifyCa,
    /// And be made out to this host.
    VerifyFull,
}

impl TlsMode {
    /// Every mode, the laxest first.
    pub const ALL: [Self; 5] = [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// PostgreSQL's `sslmode`.
    pub fn sslmode(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// TLS on the way to the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tls {
    /// How much.
    pub mode: TlsMode,
    /// A PEM file of authorities, beside those the system knows. Given with `Require`, it is verified as with
    /// `VerifyCa`, which is libpq's rule.
    pub ca: Option<PathBuf>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { mode: TlsMode::Prefer, ca: None }
    }
}

/// A database on a database server. `Debug` and `Display` never show the password, nor further parameters, some of
/// which are secrets.
#[derive(Clone)]
pub struct Server {
    /// What it speaks.
    pub engine: Engine,
    /// Where it listens.
    pub host: Host,
    /// On which port. For a PostgreSQL socket it is a part of the file's name; for a MySQL socket it means nothing.
    pub port: u16,
    /// The database; empty for the server's own choice.
    pub name: String,
    /// The role or user; empty for none.
    pub user: String,
    /// Their password; empty for none.
    pub password: SecretString,
    /// TLS on the way.
    pub tls: Tls,
    /// What else the driver is told, as it stood in the address.
    pub parameters: BTreeMap<String, String>,
}

impl Server {
    /// A server by itself: default port, TLS where offered, no database and no user.
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

/// The address of a database, as an operator writes it in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataSource {
    /// The built-in server's file.
    Sqlite(PathBuf),
    /// A database on a server.
    Server(Server),
}

impl DataSource {
    /// `SqlSettings.DriverName` of config.json.
    pub fn driver_name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Server(server) => server.engine.driver_name(),
        }
    }
}

impl FromStr for DataSource {
    type Err = AddressError;

    /// Reads `postgres://`, `postgresql://`, `mysql://` and `mariadb://` URLs, `sqlite:PATH`, and the MySQL DSN of Go
    /// programs, `USER:PASSWORD@tcp(HOST:PORT)/NAME?PARAMETERS`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        address::parse(text)
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Server(server) => server.fmt(f),
        }
    }
}
