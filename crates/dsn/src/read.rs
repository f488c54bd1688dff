//! Reads an address: a URL, or the DSN of Go's MySQL driver.

use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::engine::Engine;
use crate::error::AddressError;
use crate::host::Host;
use crate::server::Server;
use crate::source::DataSource;
use crate::tls::TlsMode;

impl FromStr for DataSource {
    type Err = AddressError;

    /// Reads `postgres://`, `postgresql://`, `mysql://` and `mariadb://` URLs, `sqlite:PATH`, and the MySQL DSN of Go
    /// programs, `USER:PASSWORD@tcp(HOST:PORT)/NAME?PARAMETERS`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        parse(text)
    }
}

fn parse(text: &str) -> Result<DataSource, AddressError> {
    // First: a Go DSN does not encode its password, and with a password of `//...` the user looks like a scheme.
    if is_go_dsn(text) {
        return go_dsn(text).map(DataSource::Server);
    }
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        return match path {
            "" => Err(AddressError::Unknown),
            path => Ok(DataSource::Sqlite(PathBuf::from(decoded(path, "path")?))),
        };
    }
    let is_scheme =
        |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    match text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
            "postgres" | "postgresql" => url(Engine::Postgres, rest),
            "mysql" | "mariadb" => url(Engine::MySql, rest),
            _ => Err(AddressError::Scheme(scheme.to_owned())),
        },
        None => go_dsn(text),
    }
    .map(DataSource::Server)
}

/// Reads what follows `scheme://`.
fn url(engine: Engine, rest: &str) -> Result<Server, AddressError> {
    if rest.contains('#') {
        return Err(AddressError::Unencoded);
    }
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, name) = before_query.split_once('/').unwrap_or((before_query, ""));
    let (login, place) = match authority.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        // The `@` that ends the password comes after a `/`, so this `/` is in the password.
        None if rest.contains('@') => return Err(AddressError::Unencoded),
        None => (None, authority),
    };
    let mut server = Server::new(engine, Host::Name("localhost".into()));
    let mut given = Given { host: !place.is_empty(), ..Given::default() };
    if let Some(login) = login {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        server.user = decoded(user, "user")?;
        server.password = decoded(password, "password")?.into();
        given.user = !user.is_empty();
        given.password = !password.is_empty();
    }
    if given.host {
        if place.contains(',') {
            return Err(AddressError::Hosts);
        }
        let (host, port) = host_and_port(place)?;
        server.host = Host::parse(&decoded(host, "host")?)?;
        given.port = port.is_some();
        server.port = port.unwrap_or(server.port);
    }
    server.name = decoded(name, "name")?;
    given.name = !name.is_empty();
    parameters(&mut server, query, &mut given)?;
    Ok(server)
}

/// Whether a network in parentheses comes before the last slash, which is so in no URL.
fn is_go_dsn(text: &str) -> bool {
    let front = text.rsplit_once('/').map_or("", |(front, _)| front);
    let network = front.rsplit_once('@').map_or(front, |(_, network)| network);
    network.ends_with(')') && (network.starts_with("tcp(") || network.starts_with("unix("))
}

/// `[USER[:PASSWORD]@][NET[(ADDRESS)]]/NAME[?PARAMETERS]`, where user and password are not encoded: the last slash
/// ends the network, and the last `@` before it the password (go-sql-driver/mysql, `ParseDSN`).
fn go_dsn(text: &str) -> Result<Server, AddressError> {
    let (front, back) = text.rsplit_once('/').ok_or(AddressError::Unknown)?;
    let (login, network) = front.rsplit_once('@').unwrap_or(("", front));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (name, query) = back.split_once('?').unwrap_or((back, ""));
    let mut server = Server::new(Engine::MySql, Host::Name("localhost".into()));
    let (kind, address) = match network.split_once('(') {
        Some((kind, rest)) => (kind, rest.strip_suffix(')').ok_or(AddressError::Network)?),
        None => (network, ""),
    };
    match (kind, address) {
        ("" | "tcp", "") => {}
        ("tcp", place) => {
            let (host, port) = host_and_port(place)?;
            server.host = Host::parse(host)?;
            server.port = port.unwrap_or(server.port);
        }
        ("unix", path) if path.starts_with('/') => server.host = Host::Socket(path.into()),
        _ => return Err(AddressError::Network),
    }
    server.user = without_nul(user.to_owned(), "user")?;
    server.password = without_nul(password.to_owned(), "password")?.into();
    server.name = decoded(name, "name")?;
    parameters(
        &mut server,
        query,
        &mut Given { host: true, port: true, user: true, password: true, name: true, ..Given::default() },
    )?;
    Ok(server)
}

/// `HOST`, `HOST:PORT`, `[IPV6]:PORT`.
fn host_and_port(place: &str) -> Result<(&str, Option<u16>), AddressError> {
    let (host, port) = match place.rfind(']') {
        Some(end) if place.starts_with('[') => match &place[end + 1..] {
            "" => (place, None),
            rest => (&place[..=end], Some(rest.strip_prefix(':').ok_or(AddressError::Bracket)?)),
        },
        Some(_) => return Err(AddressError::Bracket),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let port =
        port.map(|text| text.parse().ok().filter(|&port| port > 0).ok_or(AddressError::Port)).transpose()?;
    Ok((host, port))
}

/// The parts found so far: none may be given twice.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "a set of parts")]
struct Given {
    host: bool,
    port: bool,
    user: bool,
    password: bool,
    name: bool,
    tls: bool,
    ca: bool,
}

fn parameters(server: &mut Server, query: &str, given: &mut Given) -> Result<(), AddressError> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // In a query, both Go and every browser read a plus sign as a space.
        let key = decoded(&key.replace('+', " "), "parameters")?;
        let value = decoded(&value.replace('+', " "), "parameters")?;
        let once = |seen: &mut bool| match std::mem::replace(seen, true) {
            true => Err(AddressError::Twice(key.clone())),
            false => Ok(()),
        };
        match (server.engine, key.as_str()) {
            (Engine::Postgres, "host") | (Engine::MySql, "socket") => {
                once(&mut given.host)?;
                if value.contains(',') {
                    return Err(AddressError::Hosts);
                }
                server.host = Host::parse(&value)?;
            }
            (Engine::Postgres, "port") => {
                once(&mut given.port)?;
                server.port = value.parse().ok().filter(|&port| port > 0).ok_or(AddressError::Port)?;
            }
            (Engine::Postgres, "user") => {
                once(&mut given.user)?;
                server.user = value;
            }
            (Engine::Postgres, "password") => {
                once(&mut given.password)?;
                server.password = value.into();
            }
            (Engine::Postgres, "dbname") => {
                once(&mut given.name)?;
                server.name = value;
            }
            (Engine::Postgres, "sslmode") | (Engine::MySql, "tls" | "sslmode" | "ssl-mode") => {
                once(&mut given.tls)?;
                server.tls.mode = tls_mode(server.engine, &key, &value)?;
                server.tls.said = true;
            }
            (Engine::Postgres, "sslrootcert") | (Engine::MySql, "ssl-ca") => {
                once(&mut given.ca)?;
                server.tls.ca = Some(value.into());
            }
            _ => {
                if server.parameters.insert(key.clone(), value).is_some() {
                    return Err(AddressError::Twice(key));
                }
            }
        }
    }
    Ok(())
}

/// Reads libpq's words, those of MySQL's programs (`ssl-mode`) and those of Go's MySQL driver (`tls`).
fn tls_mode(engine: Engine, key: &str, value: &str) -> Result<TlsMode, AddressError> {
    let word = value.to_ascii_lowercase().replace('_', "-");
    match (engine, key, word.as_str()) {
        (Engine::MySql, "tls", "false") | (Engine::MySql, "ssl-mode", "disabled") => Ok(TlsMode::Disable),
        (Engine::MySql, "tls" | "ssl-mode", "preferred") => Ok(TlsMode::Prefer),
        (Engine::MySql, "tls", "skip-verify") | (Engine::MySql, "ssl-mode", "required") => {
            Ok(TlsMode::Require)
        }
        (Engine::MySql, "tls", "true") | (Engine::MySql, "ssl-mode", "verify-identity") => {
            Ok(TlsMode::VerifyFull)
        }
        (_, "sslmode" | "ssl-mode", word) => TlsMode::of_sslmode(word).ok_or(()),
        _ => Err(()),
    }
    .map_err(|()| AddressError::Parameter {
        key: key.to_owned(),
        allowed: match key {
            "tls" => "false, preferred, skip-verify, true",
            "ssl-mode" => "DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY",
            _ => "disable, prefer, require, verify-ca, verify-full",
        },
    })
}

fn decoded(text: &str, part: &'static str) -> Result<String, AddressError> {
    let bytes = text.as_bytes();
    let whole = |i: usize| bytes.get(i + 1..i + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    if (0..bytes.len()).any(|i| bytes[i] == b'%' && !whole(i)) {
        return Err(AddressError::Escape(part));
    }
    let text = percent_decode_str(text).decode_utf8().map_err(|_| AddressError::Escape(part))?;
    without_nul(text.into_owned(), part)
}

fn without_nul(text: String, part: &'static str) -> Result<String, AddressError> {
    if text.contains('\0') { Err(AddressError::Nul(part)) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(text: &str) -> Result<Server, AddressError> {
        match text.parse()? {
            DataSource::Server(server) => Ok(server),
            DataSource::Sqlite(path) => panic!("{} is a file", path.display()),
        }
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic_or_an_error_with_the_password(text in r"(postgres://|mysql://|)[a-z@:/%?#()\[\]=&]{0,20}", secret in "[A-Z]{8}") {
            for text in [text.clone(), text.replacen(':', &format!(":{secret}"), 2), format!("{text}{secret}@h/n")] {
                if let Err(error) = text.parse::<DataSource>() {
                    prop_assert!(!error.to_string().contains(&secret), "{error}");
                    prop_assert!(!format!("{error:?}").contains(&secret), "{error:?}");
                }
            }
        }
    }

    #[test]
    fn the_examples_in_mattermosts_documentation() {
        let url =
            "postgres://mmuser:p%40ss%2Fword@db.example.com/mattermost?sslmode=disable&binary_parameters=yes";
        let server = read(url).unwrap();
        assert_eq!(server.to_string(), "postgres://mmuser:***@db.example.com:5432/mattermost");
        assert_eq!((server.password.expose_secret(), server.tls.mode), ("p@ss/word", TlsMode::Disable));
        assert_eq!(server.parameters.keys().collect::<Vec<_>>(), ["binary_parameters"]);
        let server =
            read("mmuser:p@s:s/word@tcp(db:3306)/mattermost?charset=utf8mb4,utf8&readTimeout=30s").unwrap();
        assert_eq!((server.password.expose_secret(), server.place().as_str()), ("p@s:s/word", "db:3306"));
    }

    #[test]
    fn a_dsn_that_looks_like_a_url_because_of_its_password() {
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
    fn a_wrong_address_is_refused_with_an_error_of_its_kind() {
        use AddressError as E;
        use hostname::NotAHost;
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
            ("postgres://a b/n", E::Host(NotAHost::Character(' '))),
            ("postgres://u:p@$HOST/n", E::Host(NotAHost::Character('$'))),
            ("postgres://u:p@<host>:5432/n", E::Host(NotAHost::Character('<'))),
            ("postgres://u:p@-x/n", E::Host(NotAHost::Hyphen)),
            ("postgres:///n?host={{db}}", E::Host(NotAHost::Character('{'))),
            ("u:p@tcp(5432)/n", E::Host(NotAHost::Number)),
            ("postgres://u:p@[::1]x/n", E::Bracket),
            ("postgres://a,b/n", E::Hosts),
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
    fn display_and_debug_mask_the_password() {
        let server = read("postgres://u:secret@h/n?sslpassword=secret2").unwrap();
        assert_eq!(server.to_string(), "postgres://u:***@h:5432/n");
        assert!(!format!("{:?} {:?}", server, DataSource::Server(server.clone())).contains("secret"));
    }
}
