//! The address of a database, as the server's drivers want it.

use std::fmt;
use std::fmt::Write as _;

use secrecy::{ExposeSecret as _, SecretString};

/// Where the database is.
#[derive(Debug, Clone)]
pub struct Database {
    /// Which one.
    pub adapter: Adapter,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database's name.
    pub name: String,
    /// The user who owns it.
    pub user: String,
    /// That user's password; empty = none.
    pub password: SecretString,
    /// How the way is encrypted: disable, require, verify-ca or verify-full.
    pub ssl_mode: String,
    /// The character sets of a MySQL connection.
    pub encoding: String,
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    /// MySQL and MariaDB.
    Mysql,
    /// PostgreSQL.
    Postgres,
}

impl Adapter {
    /// As `SqlSettings.DriverName` has it.
    pub fn driver(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Postgres => "postgres",
        }
    }

    /// The user it is made with.
    pub fn user(self) -> &'static str {
        match self {
            Self::Mysql => "root",
            Self::Postgres => "postgres",
        }
    }

    /// Its usual port.
    pub fn port(self) -> u16 {
        match self {
            Self::Mysql => 3306,
            Self::Postgres => 5432,
        }
    }
}

impl Database {
    /// `SqlSettings.DataSource`.
    pub fn data_source(&self) -> SecretString {
        let (user, password, name) = (&self.user, self.password.expose_secret(), &self.name);
        let host = if self.host.contains(':') && !self.host.starts_with('[') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match self.adapter {
            // The driver decodes nothing: it splits at the last `/`, the last `@` before it and the first `:`, so that a
            // password stands as it is.
            Adapter::Mysql => {
                let tls = match self.ssl_mode.as_str() {
                    "disable" => "",
                    "require" => "&tls=skip-verify",
                    _ => "&tls=true",
                };
                // Without deadlines a connection whose other end is gone is waited for.
                format!(
                    "{user}:{password}@tcp({host}:{})/{name}?charset={}&readTimeout=30s&writeTimeout=30s{tls}",
                    self.port, self.encoding
                )
            }
            Adapter::Postgres => {
                let colon = if password.is_empty() { "" } else { ":" };
                format!(
                    "postgres://{}{colon}{}@{host}:{}/{}?sslmode={}&connect_timeout=10",
                    Encoded(user),
                    Encoded(password),
                    self.port,
                    Encoded(name),
                    self.ssl_mode
                )
            }
        }
        .into()
    }
}

impl Adapter {
    /// The characters that this driver's address cannot carry in a user's name and in a database's.
    pub(crate) fn unfit(self) -> (&'static [char], &'static [char]) {
        match self {
            // Newer drivers read a percent sign as an escape, older ones do not.
            Self::Mysql => (&[':'], &['/', '?', '%']),
            Self::Postgres => (&[], &[]),
        }
    }
}

/// Percent-encoded: only what RFC 3986 calls unreserved stays.
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                f.write_char(char::from(byte))
            }
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(adapter: Adapter, host: &str, password: &str) -> Database {
        Database {
            adapter,
            host: host.to_owned(),
            port: adapter.port(),
            name: "chat".to_owned(),
            user: "me".to_owned(),
            password: password.into(),
            ssl_mode: "disable".to_owned(),
            encoding: "utf8mb4,utf8".to_owned(),
        }
    }

    #[test]
    fn a_hostile_password_survives() {
        let hostile = "p@s:s/w?o#r%d ü\n";
        let url = database(Adapter::Postgres, "db", hostile).data_source();
        let url = url::Url::parse(url.expose_secret()).expect("a URL");
        assert_eq!(url.host_str(), Some("db"));
        assert_eq!(url.password(), Some("p%40s%3As%2Fw%3Fo%23r%25d%20%C3%BC%0A"));
        assert_eq!(
            database(Adapter::Mysql, "db", "p@s/s").data_source().expose_secret(),
            "me:p@s/s@tcp(db:3306)/chat?charset=utf8mb4,utf8&readTimeout=30s&writeTimeout=30s"
        );
    }

    #[test]
    fn an_ipv6_host_gets_brackets_and_no_password_no_colon() {
        assert_eq!(
            database(Adapter::Postgres, "::1", "").data_source().expose_secret(),
            "postgres://me@[::1]:5432/chat?sslmode=disable&connect_timeout=10"
        );
    }
}
