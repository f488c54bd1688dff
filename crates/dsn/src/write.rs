//! Writes an address for Mattermost's drivers, as `SqlSettings.DataSource`.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

use crate::engine::Engine;
use crate::error::{Part, Unwritable};
use crate::host::Host;
use crate::server::Server;
use crate::tls::TlsMode;

/// RFC 3986's unreserved characters stay.
const TEXT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Go's MySQL driver decodes only some parameters, and `charset` is not among them.
const PARAMETER: &AsciiSet = &TEXT.remove(b',');

impl Server {
    /// The address that Mattermost's driver reads as this server.
    ///
    /// # Errors
    /// The first of [`Server::unwritable`].
    pub fn data_source(&self) -> Result<SecretString, Unwritable> {
        if let Some(first) = self.unwritable().first() {
            return Err(*first);
        }
        Ok(match self.engine {
            Engine::Postgres => self.postgres_url(),
            Engine::MySql => self.mysql_dsn(),
        }
        .into())
    }

    /// What keeps the address from being written: nothing, for nearly every server.
    pub fn unwritable(&self) -> Vec<Unwritable> {
        let socket = match &self.host {
            Host::Socket(path) => path.to_str().unwrap_or("\0"),
            _ => "",
        };
        let parts = [
            (Part::User, &*self.user),
            (Part::Password, self.password.expose_secret()),
            (Part::Name, &self.name),
            (Part::Socket, socket),
        ];
        let mut all = Vec::new();
        for (part, text) in parts {
            let without: &'static [char] = match (self.engine, part) {
                // The driver decodes nothing: it splits at the last `/`, the last `@` before it and the first `:`. Newer
                // drivers decode a `%` in the name, older ones do not.
                (Engine::MySql, Part::User) => &[':'],
                (Engine::MySql, Part::Name) => &['/', '?', '%'],
                (Engine::MySql, Part::Socket) => &['@'],
                _ => &[],
            };
            if text.contains(without) {
                all.push(Unwritable::Characters { part, without });
            }
            if text.contains('\0') {
                all.push(Unwritable::Nul(part));
            }
        }
        if self.engine == Engine::MySql && self.tls.ca.is_some() {
            all.push(Unwritable::Authorities);
        }
        all
    }

    fn postgres_url(&self) -> String {
        let text = |text| utf8_percent_encode(text, TEXT);
        let password = self.password.expose_secret();
        let mut url = "postgres://".to_owned();
        if !self.user.is_empty() || !password.is_empty() {
            let colon = if password.is_empty() { "" } else { ":" };
            let _ = write!(url, "{}{colon}{}@", text(&self.user), text(password));
        }
        let mut query = Query::default();
        match &self.host {
            Host::Socket(path) => {
                query.add("host", &path.to_string_lossy());
                query.add("port", &self.port.to_string());
            }
            host => {
                let _ = write!(url, "{host}:{}", self.port);
            }
        }
        let _ = write!(url, "/{}", text(&self.name));
        // The driver does not know the word `prefer`; see `as_mattermost_connects`.
        if self.tls.mode != TlsMode::Prefer {
            query.add("sslmode", self.tls.mode.sslmode());
        }
        if let Some(ca) = &self.tls.ca {
            query.add("sslrootcert", &ca.to_string_lossy());
        }
        self.parameters.iter().for_each(|(key, value)| query.add(key, value));
        url + &query.0
    }

    fn mysql_dsn(&self) -> String {
        let network = match &self.host {
            Host::Socket(path) => format!("unix({})", path.display()),
            host => format!("tcp({host}:{})", self.port),
        };
        let mut query = Query::default();
        self.parameters.iter().for_each(|(key, value)| query.add(key, value));
        match self.tls.mode {
            // The driver's default.
            TlsMode::Disable => {}
            TlsMode::Prefer => query.add("tls", "preferred"),
            TlsMode::Require => query.add("tls", "skip-verify"),
            // The driver verifies the host's name whenever it verifies.
            TlsMode::VerifyCa | TlsMode::VerifyFull => query.add("tls", "true"),
        }
        format!("{}:{}@{network}/{}{}", self.user, self.password.expose_secret(), self.name, query.0)
    }
}

/// `?key=value&key=value`; empty without parameters.
#[derive(Default)]
struct Query(String);

impl Query {
    fn add(&mut self, key: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        let _ = write!(
            self.0,
            "{}={}",
            utf8_percent_encode(key, PARAMETER),
            utf8_percent_encode(value, PARAMETER)
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::DataSource;

    fn server(engine: Engine, host: &str, password: &str) -> Server {
        let mut server = Server::new(engine, Host::parse(host).unwrap());
        (server.user, server.name, server.password) = ("me".into(), "chat".into(), password.into());
        server.tls.mode = TlsMode::Disable;
        server
    }

    fn written(server: &Server) -> String {
        server.data_source().unwrap().expose_secret().to_owned()
    }

    fn host() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z][a-z0-9-]{0,8}[a-z]",
            r"10\.1\.2\.[0-9]",
            "fd00::[1-9]",
            "/run/[a-z %()@/.-]{0,8}[a-z]",
        ]
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![r#"[a-z@:/%?#&=+ ()'"\\é😀\n]{0,12}"#, "[^\\x00]{0,12}", ".{0,12}"]
    }

    proptest! {
        #[test]
        fn an_address_is_read_back_as_it_was_written(
            is_postgres in any::<bool>(),
            host in host(),
            port in 1u16..,
            (user, password, name) in (text(), text(), text()),
            mode in 0..TlsMode::ALL.len(),
            ca in proptest::option::weighted(0.2, text()),
            parameters in proptest::collection::btree_map("x[^\\x00]{0,6}", text(), 0..3),
        ) {
            let engine = if is_postgres { Engine::Postgres } else { Engine::MySql };
            let mut server = server(engine, &host, &password);
            (server.port, server.user, server.name, server.parameters) = (port, user, name, parameters);
            (server.tls.mode, server.tls.ca) = (TlsMode::ALL[mode], ca.map(Into::into));
            let has_nul = [&server.user, &password, &server.name].iter().any(|text| text.contains('\0'))
                || server.parameters.values().any(|value| value.contains('\0'));
            if has_nul || server.tls.ca.as_ref().is_some_and(|ca| ca.to_string_lossy().contains('\0')) {
                return Ok(());
            }
            let Ok(text) = server.data_source() else {
                prop_assert!(!is_postgres, "a URL can contain everything");
                return Ok(());
            };
            let text = text.expose_secret();
            let read = match text.parse() {
                Ok(DataSource::Server(read)) => read,
                other => return Err(TestCaseError::fail(format!("{text}: {other:?}"))),
            };
            // A mode that is the driver's default is not written.
            server.tls.said = read.tls.said;
            if !is_postgres {
                server.tls.mode = match server.tls.mode {
                    TlsMode::Disable => TlsMode::Prefer,
                    TlsMode::VerifyCa => TlsMode::VerifyFull,
                    mode => mode,
                };
                if matches!(server.host, Host::Socket(_)) {
                    server.port = engine.default_port();
                }
            }
            prop_assert_eq!(&read, &server, "{}", text);
            let shown = format!("{read:?} {read}");
            prop_assert!(password.is_empty() || !shown.contains(&format!(":{password}@")), "{}", shown);
        }
    }

    #[test]
    fn special_characters_in_a_password_are_encoded_for_postgres_alone() {
        assert_eq!(
            written(&server(Engine::Postgres, "db", "p@s:s/w?o#r%d ü\n")),
            "postgres://me:p%40s%3As%2Fw%3Fo%23r%25d%20%C3%BC%0A@db:5432/chat?sslmode=disable"
        );
        let mut mysql = server(Engine::MySql, "db", "p@s/s");
        mysql.parameters.insert("charset".into(), "utf8mb4,utf8".into());
        assert_eq!(written(&mysql), "me:p@s/s@tcp(db:3306)/chat?charset=utf8mb4,utf8");
    }

    #[test]
    fn ipv6_has_brackets_and_an_empty_password_has_no_colon() {
        assert_eq!(
            written(&server(Engine::Postgres, "::1", "")),
            "postgres://me@[::1]:5432/chat?sslmode=disable"
        );
    }

    #[test]
    fn what_the_mysql_driver_would_split_is_refused() {
        let mut mysql = server(Engine::MySql, "/run/a@b", "p");
        (mysql.user, mysql.name, mysql.tls.ca) = ("a:b".into(), "a/b".into(), Some("/ca.pem".into()));
        let all = mysql.unwritable();
        let parts = |part: Part| {
            all.iter().any(|bad| matches!(bad, Unwritable::Characters { part: p, .. } if *p == part))
        };
        assert!(parts(Part::User) && parts(Part::Name) && parts(Part::Socket) && !parts(Part::Password));
        assert!(all.contains(&Unwritable::Authorities));
        let error = mysql.data_source().unwrap_err().to_string();
        assert!(error.starts_with("the user cannot be written"), "{error}");
    }

    #[test]
    fn mattermost_insists_on_tls_to_postgres_when_the_address_is_silent() {
        let mode = |text: &str| match text.parse().unwrap() {
            DataSource::Server(server) => server.as_mattermost_connects().tls.mode,
            DataSource::Sqlite(path) => panic!("{} is a file", path.display()),
        };
        assert_eq!(mode("postgres://u:p@db/chat"), TlsMode::Require);
        assert_eq!(mode("postgres://u:p@db/chat?sslmode=disable"), TlsMode::Disable);
        assert_eq!(mode("u:p@tcp(db:3306)/chat"), TlsMode::Prefer);
    }
}
