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
            TlsMode::Disable => "false",
            TlsMode::Prefer => "preferred",
            TlsMode::Require => "skip-verify",
            TlsMode::VerifyFull => "true",
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
        Ok(self.with_parameters(dsn, vec![("tls", tls.to_owned())], &MYSQL_PARAMETERS))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddressError, DataSource, Tls};
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Server, AddressError> {
        match text.parse()? {
            DataSource::Server(server) => Ok(server),
            DataSource::Sqlite(path) => panic!("{} is a file", path.display()),
        }
    }

    /// Anything but NUL, rich in what grammars trip over.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![r#"[a-z@:/%?#&=+ ()'"\\\[\]éЖ😀]{0,12}"#, "[^\0]{0,12}"]
    }

    fn host() -> impl Strategy<Value = Host> {
        prop_oneof![
            "[a-z0-9]([a-z0-9-]{0,8}[a-z])?(\\.[a-z]{2,5})?".prop_map(Host::Name),
            any::<std::net::IpAddr>().prop_map(Host::Ip),
            "/[a-z /]{0,12}".prop_map(|path| Host::Socket(path.into())),
        ]
    }

    prop_compose! {
        fn server()(
            engine in prop_oneof![Just(Engine::Postgres), Just(Engine::MySql)],
            host in host(), port in 1u16.., name in text(), user in text(), password in text(),
            mode in proptest::sample::select(TlsMode::ALL.to_vec()),
            ca in proptest::option::of("/[a-z@ ]{1,9}"),
            value in text(),
        ) -> Server {
            // A name of digits and dots may be an address.
            let host = match host { Host::Name(name) => Host::parse(&name).unwrap(), host => host };
            let port = if engine == Engine::MySql && matches!(host, Host::Socket(_)) { 3306 } else { port };
            let parameters = [("application_name".to_owned(), value)].into();
            let tls = Tls { mode, ca: ca.map(Into::into) };
            Server { engine, host, port, name, user, password: password.into(), tls, parameters }
        }
    }

    proptest! {
        #[test]
        fn any_address_survives_our_own_form(server in server()) {
            let url = server.url();
            prop_assert_eq!(read(url.expose_secret()).unwrap(), server);
        }

        #[test]
        fn any_address_survives_mattermosts_form_or_is_refused(server in server()) {
            let dsn = match server.mattermost() {
                Ok(dsn) => dsn,
                Err(refused) => {
                    let rightly = match refused {
                        RenderError::UserWithColon => server.user.contains(':'),
                        RenderError::SocketWithAt => server.place().contains('@'),
                        RenderError::MySqlAuthority => {
                            server.tls.ca.is_some() || server.tls.mode == TlsMode::VerifyCa
                        }
                    };
                    prop_assert!(rightly, "{refused}");
                    return Ok(());
                }
            };
            let mut back = read(dsn.expose_secret()).unwrap();
            let added = if server.engine == Engine::Postgres { POSTGRES_PARAMETERS } else { MYSQL_PARAMETERS };
            for (key, value) in added {
                let found = back.parameters.remove(key);
                prop_assert_eq!(found.as_deref(), Some(value));
            }
            let mut server = server;
            match server.engine {
                Engine::Postgres if server.tls.mode == TlsMode::Prefer => server.tls.mode = TlsMode::Require,
                Engine::MySql => server.tls.ca = None,
                Engine::Postgres => {}
            }
            prop_assert_eq!(back, server);
        }

        #[test]
        fn no_text_makes_it_panic_or_tell_the_password(text in r"(postgres://|mysql://|)[a-z@:/%?#()\[\]=&]{0,20}", secret in "[A-Z]{8}") {
            for text in [text.clone(), text.replacen(':', &format!(":{secret}"), 2), format!("{text}{secret}@h/n")] {
                if let Err(error) = text.parse::<DataSource>() {
                    prop_assert!(!error.to_string().contains(&secret), "{error}");
                    prop_assert!(!format!("{error:?}").contains(&secret), "{error:?}");
                }
            }
        }
    }

    #[test]
    fn as_upstream_documents_it() {
        let server =
            read("postgres://mmuser:p%40ss%2Fword@db.example.com/mattermost?sslmode=disable").unwrap();
        assert_eq!(
            server.mattermost().unwrap().expose_secret(),
            "postgres://mmuser:p%40ss%2Fword@db.example.com:5432/mattermost?sslmode=disable&binary_parameters=yes&connect_timeout=10"
        );
        let server =
            read("mmuser:p@s:s/word@tcp(db:3306)/mattermost?charset=utf8mb4,utf8&readTimeout=30s").unwrap();
        assert_eq!(server.password.expose_secret(), "p@s:s/word");
        assert_eq!(
            server.mattermost().unwrap().expose_secret(),
            "mmuser:p@s:s/word@tcp(db:3306)/mattermost?tls=preferred&charset=utf8mb4,utf8&readTimeout=30s&writeTimeout=30s"
        );
    }

    #[test]
    fn a_password_that_makes_a_dsn_look_like_a_url() {
        let server = read("mysql://x@tcp(db:3306)/n").unwrap();
        assert_eq!((server.user.as_str(), server.password.expose_secret()), ("mysql", "//x"));
    }

    #[test]
    fn sockets_and_ipv6() {
        for (given, place) in [
            ("postgres://u:p@/n?host=/run/postgresql", "/run/postgresql/.s.PGSQL.5432"),
            ("postgresql://u@%2Frun%2Fpostgresql/n?port=6000", "/run/postgresql/.s.PGSQL.6000"),
            ("u:p@unix(/run/mysqld/mysqld.sock)/n", "/run/mysqld/mysqld.sock"),
            ("mysql://u@/n?socket=/run/m.sock", "/run/m.sock"),
            ("postgres://[fd00::7]:6432/n", "[fd00::7]:6432"),
            ("u@tcp([::1]:3307)/n", "[::1]:3307"),
            ("postgres:///n", "localhost:5432"),
            ("u@/n", "localhost:3306"),
        ] {
            assert_eq!(read(given).unwrap().place(), place, "{given}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_text() {
        use AddressError as E;
        for (given, error) in [
            ("hello", E::Unknown),
            ("sqlite:", E::Unknown),
            ("http://u:p@h/n", E::Scheme("http".into())),
            ("postgres://u:pa/ss@h/n", E::Unencoded),
            ("postgres://u:pa#ss@h/n", E::Unencoded),
            ("postgres://u:pa?ss@h/n", E::Unencoded),
            ("postgres://u:5%@h/n", E::Escape("password")),
            ("postgres://u:%FF@h/n", E::Escape("password")),
            ("postgres://u:%00@h/n", E::Nul("password")),
            ("postgres://u:p@h:0/n", E::Port),
            ("postgres://u:p@h:99999/n", E::Port),
            ("postgres://a,b/n", E::Host),
            ("postgres://h/n?host=/run", E::Twice("host".into())),
            ("postgres://h/n?x=1&x=2", E::Twice("x".into())),
            ("u:p@udp(h:1)/n", E::Network),
            ("u:p@tcp(h:1/n", E::Network),
        ] {
            assert_eq!(given.parse::<DataSource>().unwrap_err(), error, "{given}");
        }
        let error = read("mysql://h/n?tls=custom").unwrap_err().to_string();
        assert!(error.contains("false, preferred, skip-verify, true"), "{error}");
    }

    #[test]
    fn what_is_shown_is_masked() {
        let server = read("postgres://u:secret@h/n?sslpassword=secret2").unwrap();
        assert_eq!(server.to_string(), "postgres://u:***@h:5432/n");
        assert!(!format!("{:?} {:?}", server, DataSource::Server(server.clone())).contains("secret"));
    }
}
