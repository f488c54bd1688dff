//! Addresses written: our own form, and the one Mattermost's drivers read.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

use crate::source::{Engine, Host, Server, TlsMode};

/// Everything but RFC 3986's unreserved characters and the comma, which Go's MySQL driver wants as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',');

/// What Mattermost's own examples add to a PostgreSQL address.
const POSTGRES_PARAMETERS: [(&str, &str); 2] = [("binary_parameters", "yes"), ("connect_timeout", "10")];
/// And to a MySQL one. Without a charset of four bytes, the first emoji is an error.
const MYSQL_PARAMETERS: [(&str, &str); 2] = [("charset", "utf8mb4,utf8"), ("writeTimeout", "30s")];

/// Why Mattermost's driver cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Its grammar ends the user name at the first colon.
    #[error(
        "a MySQL user name with a colon cannot be written for Mattermost's driver; give the user another name"
    )]
    UserWithColon,
    /// Its grammar ends the password at the last `@`.
    #[error("a socket path with an @ cannot be written for Mattermost's driver; move the socket")]
    SocketWithAt,
    /// It takes authorities from the system only.
    #[error(
        "Mattermost's MySQL driver cannot be given a CA file, nor check the authority alone; add the CA to the system's store \
         (update-ca-certificates) and use ssl-mode=VERIFY_IDENTITY without a file"
    )]
    MySqlAuthority,
}

impl Server {
    /// The address in full, password included: what [`crate::DataSource`] reads back to the same value.
    pub fn url(&self) -> SecretString {
        let mut query = Vec::new();
        match (self.engine, self.tls.mode) {
            (_, TlsMode::Prefer) => {}
            (Engine::Postgres, mode) => query.push(("sslmode", mode.sslmode().to_owned())),
            (Engine::MySql, TlsMode::Disable) => query.push(("ssl-mode", "DISABLED".into())),
            (Engine::MySql, TlsMode::Require) => query.push(("ssl-mode", "REQUIRED".into())),
            (Engine::MySql, TlsMode::VerifyCa) => query.push(("ssl-mode", "VERIFY_CA".into())),
            (Engine::MySql, TlsMode::VerifyFull) => query.push(("ssl-mode", "VERIFY_IDENTITY".into())),
        }
        if let Some(ca) = &self.tls.ca {
            let key = if self.engine == Engine::Postgres { "sslrootcert" } else { "ssl-ca" };
            query.push((key, ca.to_string_lossy().into_owned()));
        }
        self.as_url(query, &[])
    }

    /// `SqlSettings.DataSource` for Mattermost, password included. `Prefer` is unknown to its PostgreSQL driver and
    /// becomes `require`, that driver's own default: settle it first by what the probe saw ([`Server::settled`]).
    ///
    /// # Errors
    /// What the driver's grammar cannot say.
    pub fn mattermost(&self) -> Result<SecretString, RenderError> {
        match self.engine {
            Engine::Postgres => {
                let mode = match self.tls.mode {
                    TlsMode::Prefer => TlsMode::Require,
                    mode => mode,
                };
                let mut query = vec![("sslmode", mode.sslmode().to_owned())];
                if let Some(ca) = &self.tls.ca {
                    query.push(("sslrootcert", ca.to_string_lossy().into_owned()));
                }
                Ok(self.as_url(query, &POSTGRES_PARAMETERS))
            }
            Engine::MySql => self.as_go_dsn(),
        }
    }

    /// The same server with `Prefer` decided: TLS from now on when the probe was given it, none otherwise.
    #[must_use]
    pub fn settled(mut self, tls: bool) -> Self {
        if self.tls.mode == TlsMode::Prefer {
            self.tls.mode = if tls { TlsMode::Require } else { TlsMode::Disable };
        }
        self
    }

    fn as_url(&self, mut query: Vec<(&str, String)>, defaults: &[(&str, &str)]) -> SecretString {
        let mut url = format!("{}://", self.engine.driver_name());
        if !self.user.is_empty() || self.has_password() {
            url += &escaped(&self.user);
            if self.has_password() {
                url.push(':');
                url += &escaped(self.password.expose_secret());
            }
            url.push('@');
        }
        match (&self.host, self.engine) {
            (Host::Socket(path), Engine::Postgres) => {
                query.push(("host", path.to_string_lossy().into_owned()));
                query.push(("port", self.port.to_string()));
            }
            (Host::Socket(path), Engine::MySql) => {
                query.push(("socket", path.to_string_lossy().into_owned()));
            }
            (host, _) => {
                // Writing to a String cannot fail.
                let _ = write!(url, "{host}:{}", self.port);
            }
        }
        url.push('/');
        url += &escaped(&self.name);
        self.with_parameters(url, query, defaults)
    }

    fn as_go_dsn(&self) -> Result<SecretString, RenderError> {
        if self.user.contains(':') {
            return Err(RenderError::UserWithColon);
        }
        let tls = match self.tls.mode {
            TlsMode::VerifyCa => return Err(RenderError::MySqlAuthority),
            TlsMode::Require | TlsMode::VerifyFull if self.tls.ca.is_some() => {
                return Err(RenderError::MySqlAuthority);
            }
            TlsMode::Disable => None,
            TlsMode::Prefer => Some("preferred"),
            TlsMode::Require => Some("skip-verify"),
            TlsMode::VerifyFull => Some("true"),
        };
        let mut dsn = String::new();
        if !self.user.is_empty() || self.has_password() {
            dsn += &self.user;
            if self.has_password() {
                dsn.push(':');
                dsn += self.password.expose_secret();
            }
            dsn.push('@');
        }
        let place = self.place();
        dsn += &match &self.host {
            Host::Socket(_) if place.contains('@') => return Err(RenderError::SocketWithAt),
            Host::Socket(_) => format!("unix({place})"),
            _ => format!("tcp({place})"),
        };
        dsn.push('/');
        dsn += &escaped(&self.name);
        let tls = tls.map(|mode| ("tls", mode.to_owned())).into_iter().collect();
        Ok(self.with_parameters(dsn, tls, &MYSQL_PARAMETERS))
    }

    fn with_parameters(
        &self,
        mut text: String,
        query: Vec<(&str, String)>,
        defaults: &[(&str, &str)],
    ) -> SecretString {
        let own = self.parameters.iter().map(|(key, value)| (key.as_str(), value.clone()));
        let missing = defaults.iter().filter(|(key, _)| !self.parameters.contains_key(*key));
        let missing = missing.map(|&(key, value)| (key, value.to_owned()));
        for (n, (key, value)) in query.into_iter().chain(own).chain(missing).enumerate() {
            text.push(if n == 0 { '?' } else { '&' });
            let _ = write!(text, "{}={}", escaped(key), escaped(&value));
        }
        text.into()
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
