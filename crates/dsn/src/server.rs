//! A database on a database server, and the login to it.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use crate::engine::Engine;
use crate::host::Host;
use crate::tls::{Tls, TlsMode};

/// Parameters of an address that Mattermost's PostgreSQL driver (lib/pq) uses itself. All others are the server's.
const DRIVERS_OWN: [&str; 15] = [
    "application_name",
    "binary_parameters",
    "client_encoding",
    "connect_timeout",
    "datestyle",
    "disable_prepared_binary_result",
    "extra_float_digits",
    "fallback_application_name",
    "krbspn",
    "krbsrvname",
    "options",
    "sslcert",
    "sslinline",
    "sslkey",
    "sslsni",
];

/// The settings in `options`, as PostgreSQL reads them: `-c NAME=VALUE` or `--NAME=VALUE`, a backslash before a space that
/// belongs to a value.
fn options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => words.last_mut().into_iter().for_each(|word| word.extend(letters.next())),
            letter if letter.is_whitespace() => words.push(String::new()),
            letter => words.last_mut().into_iter().for_each(|word| word.push(letter)),
        }
    }
    words.retain(|word| !word.is_empty());
    let mut found = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let pair = match word.strip_prefix("-c") {
            Some("") => words.next(),
            Some(pair) => Some(pair.to_owned()),
            None => word.strip_prefix("--").map(str::to_owned),
        };
        if let Some((name, value)) = pair.as_deref().and_then(|pair| pair.split_once('=')) {
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    found
}

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

    /// Whether the address says `sslmode=prefer`, which the driver of Mattermost refuses.
    pub fn insists_on_prefer(&self) -> bool {
        self.engine == Engine::Postgres && self.tls.said && self.tls.mode == TlsMode::Prefer
    }

    /// The parameters that PostgreSQL's driver of Mattermost passes on to the server for the session: all but its own. Those of
    /// `options` (`-c NAME=VALUE`) are among them.
    pub fn session_parameters(&self) -> Vec<(String, String)> {
        let own = |key: &String| DRIVERS_OWN.contains(&key.as_str());
        let mut all: Vec<(String, String)> = self
            .parameters
            .iter()
            .filter(|(key, _)| !own(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        all.extend(self.parameters.get("options").map(|text| options(text)).unwrap_or_default());
        all
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

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_driver_passes_on_is_told_from_its_own() {
        let address = "postgres://u:p@db/chat?sslmode=require&binary_parameters=yes&connect_timeout=10&search_path=chat\
                       &options=-c%20statement_timeout%3D5000%20-cwork_mem%3D4MB%20--geqo%3Doff%20-c%20a.b%3Dx%5C%20y";
        let Ok(crate::DataSource::Server(server)) = address.parse() else { panic!("an address") };
        let passed = server.session_parameters();
        let passed: Vec<_> = passed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("search_path", "chat"),
            ("statement_timeout", "5000"),
            ("work_mem", "4MB"),
            ("geqo", "off"),
            ("a.b", "x y"),
        ];
        assert_eq!(passed, expected);
        assert!(!server.insists_on_prefer());
    }

    #[test]
    fn prefer_is_insisted_on_only_where_it_is_said() {
        let insists = |text: &str| match text.parse() {
            Ok(crate::DataSource::Server(server)) => server.insists_on_prefer(),
            other => panic!("{text}: {other:?}"),
        };
        assert!(insists("postgres://u:p@db/chat?sslmode=prefer"));
        assert!(!insists("postgres://u:p@db/chat") && !insists("postgres://u:p@db/chat?sslmode=require"));
        assert!(!insists("u:p@tcp(db:3306)/chat?tls=preferred"));
    }

    #[test]
    fn several_hosts_are_refused_as_such() {
        for address in ["postgres://u:p@a:1,b:2/chat", "postgres://u:p@/chat?host=a,b"] {
            assert_eq!(address.parse::<crate::DataSource>(), Err(crate::AddressError::Hosts), "{address}");
        }
    }
}
