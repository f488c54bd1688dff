//! The database as docker-mattermost is told of it: `DB_*`, and the variables of docker links.
//!
//! Precedence, as its README documents: `DB_*`, then the link with the alias `mysql`, then the one with the alias
//! `postgres`, then defaults. An empty variable counts as unset. `*_FILE` variants are the caller's to resolve.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;

use crate::source::{Engine, Host, Server};

/// A part of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// `DB_ADAPTER`.
    Engine,
    /// `DB_HOST`.
    Host,
    /// `DB_PORT`.
    Port,
    /// `DB_NAME`.
    Name,
    /// `DB_USER`.
    User,
    /// `DB_PASS`.
    Password,
    /// `DB_ENCODING`.
    Encoding,
}

/// Where a part's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This variable.
    Variable(&'static str),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What is wrong with a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which one.
    pub variable: &'static str,
    /// What is wrong. Never a password's text.
    pub problem: String,
    /// What is allowed, or the way out.
    pub allowed: String,
    /// Whether there is no address because of it.
    pub fatal: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.variable, self.problem, self.allowed)
    }
}

/// What an environment says about the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The address: None when nothing is said about a database, or a finding is fatal.
    pub server: Option<Server>,
    /// Where each part comes from; empty when nothing is said.
    pub origins: BTreeMap<Part, Origin>,
    /// Everything that is wrong, at once.
    pub findings: Vec<Finding>,
}

/// The variables of one link alias. Of each list, the first that is set counts.
struct Link {
    engine: Engine,
    address: &'static str,
    port: &'static str,
    name: &'static [&'static str],
    user: &'static [&'static str],
    password: &'static [&'static str],
    default_user: &'static str,
}

/// The alias `mysql`: `MYSQL_*` are set by the images mysql, centurylink/mysql and orchardup/mysql, `DB_*` by sameersbn/mysql.
static MYSQL: Link = Link {
    engine: Engine::MySql,
    address: "MYSQL_PORT_3306_TCP_ADDR",
    port: "MYSQL_PORT_3306_TCP_PORT",
    name: &["MYSQL_ENV_MYSQL_DATABASE", "MYSQL_ENV_DB_NAME"],
    user: &["MYSQL_ENV_MYSQL_USER", "MYSQL_ENV_DB_USER"],
    password: &["MYSQL_ENV_MYSQL_PASSWORD", "MYSQL_ENV_DB_PASS"],
    default_user: "root",
};

/// The alias `postgres`: `POSTGRES_*` are set by the official image, `DB_*` by sameersbn/postgresql.
static POSTGRES: Link = Link {
    engine: Engine::Postgres,
    address: "POSTGRES_PORT_5432_TCP_ADDR",
    port: "POSTGRES_PORT_5432_TCP_PORT",
    name: &["POSTGRES_ENV_POSTGRES_DB", "POSTGRES_ENV_DB_NAME"],
    user: &["POSTGRES_ENV_POSTGRES_USER", "POSTGRES_ENV_DB_USER"],
    password: &["POSTGRES_ENV_POSTGRES_PASSWORD", "POSTGRES_ENV_DB_PASS"],
    default_user: "postgres",
};

const OWN: [&str; 7] = ["DB_ADAPTER", "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASS", "DB_ENCODING"];
const DEFAULT_NAME: &str = "mattermost";
const DEFAULT_ENCODING: &str = "utf8mb4,utf8";

/// Reads an environment. Pure: what it is given is all it knows.
pub fn read(environment: &BTreeMap<String, String>) -> Reading {
    Reader { environment, reading: Reading::default() }.read()
}

struct Reader<'a> {
    environment: &'a BTreeMap<String, String>,
    reading: Reading,
}

impl<'a> Reader<'a> {
    fn read(mut self) -> Reading {
        let says = |name: &&str| self.get(name).is_some();
        if !OWN.iter().chain([&MYSQL.address, &POSTGRES.address]).any(says) {
            return self.reading;
        }
        let engine = self.engine();
        let defaults = if engine == Engine::MySql { &MYSQL } else { &POSTGRES };
        let link = self.link(engine);
        let linked = |names: fn(&Link) -> &'static [&'static str]| link.map_or(&[][..], names);

        let host = self.host(link);
        let port = self.port(link).unwrap_or(engine.default_port());
        let name = self.text(Part::Name, "DB_NAME", linked(|link| link.name)).unwrap_or(DEFAULT_NAME);
        let user =
            self.text(Part::User, "DB_USER", linked(|link| link.user)).unwrap_or(defaults.default_user);
        let password = self.text(Part::Password, "DB_PASS", linked(|link| link.password)).unwrap_or_default();
        let encoding = self.encoding(engine);

        if let (Some(host), false) = (host, self.reading.findings.iter().any(|finding| finding.fatal)) {
            let mut server = Server::new(engine, host);
            server.port = port;
            name.clone_into(&mut server.name);
            user.clone_into(&mut server.user);
            server.password = SecretString::from(password);
            server.parameters.extend(encoding.map(|charset| ("charset".to_owned(), charset)));
            self.reading.server = Some(server);
        }
        self.reading
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn finds(&mut self, variable: &'static str, fatal: bool, problem: String, allowed: impl Into<String>) {
        self.reading.findings.push(Finding { variable, problem, allowed: allowed.into(), fatal });
    }

    /// The first variable that is set; its name becomes the part's origin.
    fn text(&mut self, part: Part, own: &'static str, linked: &'static [&'static str]) -> Option<&'a str> {
        let found = [own].iter().chain(linked).find_map(|&name| Some((name, self.get(name)?)));
        self.reading.origins.insert(part, found.map_or(Origin::Default, |(name, _)| Origin::Variable(name)));
        let (name, value) = found?;
        if value.contains('\0') {
            self.finds(name, true, "holds a NUL character".into(), "no database accepts that; remove it");
        }
        Some(value)
    }

    fn engine(&mut self) -> Engine {
        match self.text(Part::Engine, "DB_ADAPTER", &[]) {
            Some("mysql" | "mysql2") => Engine::MySql,
            Some("postgres" | "postgresql") => Engine::Postgres,
            Some(other) => {
                let problem = format!("{other:?} is no database type");
                self.finds("DB_ADAPTER", true, problem, "allowed: mysql, mysql2, postgres, postgresql");
                Engine::MySql
            }
            None => [&MYSQL, &POSTGRES].into_iter().find(|link| self.get(link.address).is_some()).map_or(
                Engine::MySql,
                |link| {
                    self.reading.origins.insert(Part::Engine, Origin::Variable(link.address));
                    link.engine
                },
            ),
        }
    }

    /// The link that serves this engine. The other one is said to be useless, when it is there.
    fn link(&mut self, engine: Engine) -> Option<&'static Link> {
        let (ours, other) = if engine == Engine::MySql { (&MYSQL, &POSTGRES) } else { (&POSTGRES, &MYSQL) };
        if self.get(other.address).is_some() {
            let name = ours.engine.driver_name();
            self.finds(
                other.address,
                false,
                format!(
                    "a {} container is linked, but the database type is {name}: the link is not used",
                    other.engine
                ),
                format!("set DB_ADAPTER={}, or remove the link", other.engine.driver_name()),
            );
        }
        self.get(ours.address).map(|_| ours)
    }

    fn host(&mut self, link: Option<&'static Link>) -> Option<Host> {
        let (name, text) = match (self.get("DB_HOST"), link) {
            (Some(own), _) => ("DB_HOST", own),
            (None, Some(link)) => (link.address, self.get(link.address)?),
            (None, None) => {
                self.finds(
                    "DB_HOST",
                    true,
                    "is not set, and no database container is linked".into(),
                    "set DB_HOST to the database server's name or address, or link its container with the alias mysql or postgres",
                );
                return None;
            }
        };
        self.reading.origins.insert(Part::Host, Origin::Variable(name));
        Host::parse(text)
            .map_err(|_| {
                let way_out = match text.split_once("://").map_or(text, |(_, rest)| rest).rsplit_once(':') {
                    Some((_, port)) if port.parse::<u16>().is_ok() => "put the port into DB_PORT",
                    _ => "allowed: one host name, IPv4 or IPv6 address, or the path of a Unix socket",
                };
                self.finds(name, true, format!("{text:?} is no host"), way_out);
            })
            .ok()
    }

    fn port(&mut self, link: Option<&'static Link>) -> Option<u16> {
        // The link's port belongs to the link's address; with another host it means nothing.
        let link = link.filter(|_| self.get("DB_HOST").is_none());
        let found = [Some("DB_PORT"), link.map(|link| link.port)].into_iter().flatten();
        let found = found.into_iter().find_map(|name| Some((name, self.get(name)?)));
        self.reading
            .origins
            .insert(Part::Port, found.map_or(Origin::Default, |(name, _)| Origin::Variable(name)));
        let (name, text) = found?;
        let port = text.parse().ok().filter(|&port| port > 0);
        if port.is_none() {
            self.finds(name, true, format!("{text:?} is no port"), "allowed: a number from 1 to 65535");
        }
        port
    }

    /// The charset that MySQL's driver is told.
    fn encoding(&mut self, engine: Engine) -> Option<String> {
        let given = self.text(Part::Encoding, "DB_ENCODING", &[]);
        if engine == Engine::Postgres {
            if given.is_some() {
                let problem = "has no effect with PostgreSQL, whose databases are UTF8".to_owned();
                self.finds("DB_ENCODING", false, problem, "remove it");
            }
            return None;
        }
        let given = given.unwrap_or(DEFAULT_ENCODING);
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !given.split(',').all(is_name) {
            let problem = format!("{given:?} is no list of character sets");
            self.finds("DB_ENCODING", true, problem, "allowed: utf8mb4,utf8 (the default) or utf8mb4");
        } else if given.split(',').next() != Some("utf8mb4") {
            let problem = format!("{given:?} cannot hold every character: posts with emoji fail");
            self.finds("DB_ENCODING", false, problem, "remove it, or set utf8mb4,utf8");
        }
        Some(given.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn reading(pairs: &[(&str, &str)]) -> Reading {
        read(&pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    const LINK: [(&str, &str); 2] =
        [("MYSQL_PORT_3306_TCP_ADDR", "172.17.0.5"), ("MYSQL_PORT_3306_TCP_PORT", "3307")];

    #[test]
    fn nothing_said_is_nothing_wrong() {
        assert_eq!(reading(&[("PATH", "/bin"), ("DB_HOST", "")]), Reading::default());
    }

    #[test]
    fn the_readmes_external_server() {
        let reading = reading(&[
            ("DB_ADAPTER", "mysql"),
            ("DB_HOST", "192.168.1.100"),
            ("DB_NAME", "mattermost"),
            ("DB_USER", "mattermost"),
            ("DB_PASS", "pass@word"),
        ]);
        let server = reading.server.unwrap();
        assert_eq!(
            server.mattermost().unwrap().expose_secret(),
            "mattermost:pass@word@tcp(192.168.1.100:3306)/mattermost?tls=preferred&charset=utf8mb4,utf8&writeTimeout=30s"
        );
        assert_eq!(reading.origins[&Part::Password], Origin::Variable("DB_PASS"));
        assert_eq!(reading.origins[&Part::Port], Origin::Default);
        assert!(reading.findings.is_empty(), "{:?}", reading.findings);
    }

    #[test]
    fn every_documented_image_is_read_through_its_link() {
        let official = ["MYSQL_ENV_MYSQL_DATABASE", "MYSQL_ENV_MYSQL_USER", "MYSQL_ENV_MYSQL_PASSWORD"];
        let images = [
            ("mysql", official),
            ("centurylink/mysql", official),
            ("orchardup/mysql", official),
            ("sameersbn/mysql", ["MYSQL_ENV_DB_NAME", "MYSQL_ENV_DB_USER", "MYSQL_ENV_DB_PASS"]),
        ];
        for (image, [name, user, password]) in images {
            let reading = reading(&[&LINK[..], &[(name, "chat"), (user, "mm"), (password, "pw")]].concat());
            let server = reading.server.expect(image);
            assert_eq!(
                (server.place().as_str(), server.engine),
                ("172.17.0.5:3307", Engine::MySql),
                "{image}"
            );
            assert_eq!((server.name.as_str(), server.user.as_str()), ("chat", "mm"), "{image}");
            assert_eq!(server.password.expose_secret(), "pw", "{image}");
            assert_eq!(reading.origins[&Part::User], Origin::Variable(user), "{image}");
        }
        for [name, user, password] in [
            ["POSTGRES_ENV_POSTGRES_DB", "POSTGRES_ENV_POSTGRES_USER", "POSTGRES_ENV_POSTGRES_PASSWORD"],
            ["POSTGRES_ENV_DB_NAME", "POSTGRES_ENV_DB_USER", "POSTGRES_ENV_DB_PASS"],
        ] {
            let link = ("POSTGRES_PORT_5432_TCP_ADDR", "172.17.0.6");
            let server = reading(&[link, (name, "chat"), (user, "mm"), (password, "pw")]).server.unwrap();
            assert_eq!(server.to_string(), "postgres://mm:***@172.17.0.6:5432/chat");
        }
    }

    #[test]
    fn own_variables_win_over_links_and_links_over_defaults() {
        let env =
            [&LINK[..], &[("MYSQL_ENV_MYSQL_USER", "linked"), ("DB_NAME", "own"), ("DB_USER", "")]].concat();
        let Reading { server, origins, .. } = reading(&env);
        let server = server.unwrap();
        assert_eq!((server.name.as_str(), server.user.as_str()), ("own", "linked"));
        assert_eq!(origins[&Part::Engine], Origin::Variable("MYSQL_PORT_3306_TCP_ADDR"));
        assert_eq!(origins[&Part::Password], Origin::Default);

        // Another host has another port.
        let elsewhere = reading(&[&LINK[..], &[("DB_HOST", "db")]].concat());
        assert_eq!(elsewhere.server.unwrap().place(), "db:3306");
        let defaults = reading(&[("DB_HOST", "db")]).server.unwrap();
        assert_eq!(defaults.to_string(), "mysql://root@db:3306/mattermost");
        let postgres = reading(&[("DB_HOST", "db"), ("DB_ADAPTER", "postgresql")]).server.unwrap();
        assert_eq!(postgres.to_string(), "postgres://postgres@db:5432/mattermost");
    }

    #[test]
    fn everything_wrong_is_said_at_once_with_the_way_out() {
        type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str, bool);
        let cases: [Case; 9] = [
            (&[("DB_USER", "mm")], "DB_HOST", "is not set", true),
            (&[("DB_HOST", "db:3306")], "DB_HOST", "DB_PORT", true),
            (&[("DB_HOST", "tcp://db:3306")], "DB_HOST", "DB_PORT", true),
            (&[("DB_HOST", "two hosts")], "DB_HOST", "one host name", true),
            (&[("DB_HOST", "db"), ("DB_PORT", "0")], "DB_PORT", "1 to 65535", true),
            (&[("DB_HOST", "db"), ("DB_ADAPTER", "oracle")], "DB_ADAPTER", "mysql2", true),
            (&[("DB_HOST", "db"), ("DB_ENCODING", "utf8; x")], "DB_ENCODING", "utf8mb4", true),
            (&[("DB_HOST", "db"), ("DB_ENCODING", "utf8")], "DB_ENCODING", "emoji", false),
            (&[LINK[0], ("DB_ADAPTER", "postgres"), ("DB_HOST", "db")], LINK[0].0, "not used", false),
        ];
        for (env, variable, text, fatal) in cases {
            let Reading { server, findings, .. } = reading(env);
            let finding = findings.iter().find(|f| f.variable == variable).expect(variable);
            assert!(finding.to_string().contains(text), "{finding}");
            assert_eq!((finding.fatal, server.is_none()), (fatal, fatal), "{finding}");
        }
        let three = reading(&[("DB_ADAPTER", "x"), ("DB_PORT", "x"), ("DB_ENCODING", "?")]);
        assert_eq!(three.findings.len(), 4, "{:?}", three.findings);
    }
}
