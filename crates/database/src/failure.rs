//! A server that cannot be used: every reason in an operator's words, in one table.

use std::fmt;

use dsn::{Engine, Host, Server};
use finding::{CertificateFlaw, Finding, Location, Peer, Unreached};

use crate::reason::Reason;

/// How to get a user and a database.
const CREATE: &str =
    "create it: `mainstay database sql` prints the SQL, `mainstay up --create-database FILE` runs it";

/// A server that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which one.
    pub server: Box<Server>,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.finding().fmt(f)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// This server cannot be used for this reason.
    pub fn new(server: &Server, reason: Reason) -> Self {
        Self { server: Box::new(server.clone()), reason }
    }

    /// What was seen, why, and what to do.
    pub fn finding(&self) -> Finding {
        let server = &*self.server;
        let engine = &server.engine;
        let (place, mode) = (server.place(), server.tls.mode.sslmode());
        // Escaped, so that no name can pretend to be a part of the sentence.
        let (name, user) = (server.name.escape_debug(), server.user.escape_debug());
        let (what, cause, fix) = match &self.reason {
            Reason::Unreached(unreached) => return connection(server, unreached),
            Reason::NoSocket => (
                format!("the socket {place} does not exist"),
                format!("{engine} is not running, or its socket is elsewhere"),
                match engine {
                    Engine::Postgres => "start it, or correct the directory (unix_socket_directories) and the port".into(),
                    Engine::MySql => "start it, or correct the path (socket in my.cnf)".into(),
                },
            ),
            Reason::SocketDenied => (
                format!("this system user may not use the socket {place}"),
                "the permissions of the socket or of its directory do not allow it".into(),
                "run as a user who may, or change the permissions".into(),
            ),
            Reason::OtherProtocol(words) => (
                format!("the program that listens on {place} does not speak {engine}'s protocol ({words})"),
                "the port belongs to another kind of server".into(),
                format!("correct the port ({engine}: {}) or the kind of database", engine.default_port()),
            ),
            Reason::TlsNotOffered => (
                format!("{place} offers no TLS, but TLS mode {mode} requires it"),
                "the server has no certificate configured".into(),
                match engine {
                    Engine::Postgres => "set ssl=on, ssl_cert_file and ssl_key_file in postgresql.conf; or sslmode=disable, if the network is trusted".into(),
                    Engine::MySql => "set ssl_cert and ssl_key in my.cnf; or ssl-mode=DISABLED, if the network is trusted".into(),
                },
            ),
            Reason::TlsRequired => (
                format!("{place} accepts this user only over TLS"),
                match engine {
                    Engine::Postgres => "its pg_hba.conf has a hostssl line for this machine, but no host line".into(),
                    Engine::MySql => "require_secure_transport is on, or the user was created with REQUIRE SSL".into(),
                },
                match engine {
                    Engine::Postgres => "use sslmode=require, or better verify-full with sslrootcert".into(),
                    Engine::MySql => "use ssl-mode=REQUIRED, or better VERIFY_IDENTITY with ssl-ca".into(),
                },
            ),
            Reason::PasswordNeedsTls => (
                format!("{place} accepts this user's password only over TLS"),
                "the account uses caching_sha2_password, and the connection is not encrypted".into(),
                "use ssl-mode=PREFERRED or stricter".into(),
            ),
            Reason::LoginCharacters => (
                format!("user \"{user}\" and the password cannot be sent to {place}"),
                "one of them contains a character that SCRAM forbids: a control character, such as a line end, or an emoji".into(),
                "change it to one without such a character; if it comes from a file, remove the line end".into(),
            ),
            Reason::AuthorityFile(path, why) => (
                format!("the CA file {} cannot be used: {why}", path.display()),
                "it is missing, this system user may not read it, or it contains no PEM certificate".into(),
                "give the PEM file of the authority that signed the server's certificate".into(),
            ),
            Reason::HostNotAllowed => (
                format!("{place} does not accept user \"{user}\" from this host"),
                match engine {
                    Engine::Postgres => "no line of its pg_hba.conf matches this host, user and database, or the line that matches requires another kind of login".into(),
                    Engine::MySql => "no account of this name may connect from this host".into(),
                },
                match engine {
                    Engine::Postgres => format!("add `host \"{name}\" \"{user}\" ADDRESS/32 scram-sha-256` (or hostssl) to pg_hba.conf, with this host's address, and reload"),
                    Engine::MySql => format!("create the account '{user}'@'%', or for this host's address"),
                },
            ),
            Reason::HostBlocked => (
                format!("{place} has blocked this host"),
                "too many connections from this host were closed before the login".into(),
                "run `mariadb-admin flush-hosts` (or `mysqladmin flush-hosts`) there, and find out what closed them".into(),
            ),
            Reason::WrongPassword => {
                let given = if server.has_password() { "the password given" } else { "no password" };
                (
                    format!("{place} refused user \"{user}\" with {given}"),
                    "the password is wrong, or the user does not exist: the server does not say which".into(),
                    match engine {
                        Engine::Postgres => format!("correct it, or set it on the server: psql -c '\\password \"{user}\"'"),
                        Engine::MySql => format!("correct it, or set it on the server: ALTER USER '{user}'@'%' IDENTIFIED BY '...'"),
                    },
                )
            }
            Reason::UnknownUser => (
                format!("{place} has no user \"{user}\" that may log in"),
                "it was never created, or created without LOGIN".into(),
                CREATE.into(),
            ),
            Reason::UnknownDatabase => (
                format!("{place} has no database \"{name}\""),
                "it was never created, or its name is spelt differently".into(),
                CREATE.into(),
            ),
            Reason::DatabaseDenied => (
                format!("user \"{user}\" may not use database \"{name}\" on {place}"),
                match engine {
                    Engine::Postgres => "the user lacks CONNECT on it".into(),
                    Engine::MySql => "it does not exist, or the user has no privilege on it: the server does not say which".into(),
                },
                match engine {
                    Engine::Postgres => format!("as its owner: GRANT ALL ON DATABASE \"{name}\" TO \"{user}\""),
                    Engine::MySql => format!("as root: create it, and GRANT ALL PRIVILEGES ON `{name}`.* TO '{user}'@'%'"),
                },
            ),
            Reason::TooManyConnections => (
                format!("{place} has no free connection"),
                "max_connections, or the limit of this user or database, is reached".into(),
                "raise the limit above what Mattermost opens (SqlSettings.MaxOpenConns on every node), or close idle connections".into(),
            ),
            Reason::Parameter(words) => (
                format!("{place} refuses a parameter of the address: {}", words.escape_debug()),
                "what follows `?` in the address and is not the driver's own is passed to the server".into(),
                "correct its name or value, or take it out of the address".into(),
            ),
            Reason::PoolerParameter(words) => (
                format!("the pooler at {place} refuses a parameter of the address: {}", words.escape_debug()),
                "a pooler such as PgBouncer takes only the start-up parameters that it knows".into(),
                "take it out of the address and set it for the role (ALTER ROLE ... SET ...), or name it in the pooler's ignore_startup_parameters".into(),
            ),
            Reason::PoolerCutOff(words) => (
                format!("the pooler at {place} does not reach the server behind it: {}", words.escape_debug()),
                "that server is not running, or refuses the pooler's login".into(),
                "start it; check the pooler's own configuration and log".into(),
            ),
            Reason::StartingUp => (
                format!("{place} accepts no logins at the moment"),
                "it is starting, stopping, or recovering".into(),
                "wait; if it fails again, read the database server's log".into(),
            ),
            Reason::Locked => (
                format!("another session has a table of database \"{name}\" on {place} locked"),
                "something else works in it: a program that makes backups, or a transaction that somebody left open".into(),
                match engine {
                    Engine::Postgres => format!("end it, then run the command again; who it is: SELECT pid, usename, query FROM pg_stat_activity WHERE datname = '{name}'"),
                    Engine::MySql => "end it, then run the command again; who it is: SHOW FULL PROCESSLIST".into(),
                },
            ),
            Reason::SchemaDenied { schema, owner } => {
                let schema = schema.escape_debug();
                (
                    format!("permission denied for schema {schema}: user \"{user}\" may not create tables in database \"{name}\""),
                    match owner {
                        Some(owner) => format!("the schema belongs to \"{}\"; since PostgreSQL 15, others may not create in it", owner.escape_debug()),
                        None => "the schema does not exist".into(),
                    },
                    format!("in database \"{name}\", as a superuser: ALTER SCHEMA \"{schema}\" OWNER TO \"{user}\"; GRANT USAGE, CREATE ON SCHEMA \"{schema}\" TO \"{user}\""),
                )
            }
            Reason::TableDenied { table, owner } => {
                let which = table.as_ref().map_or_else(|| "a table".to_owned(), |table| format!("table \"{}\"", table.escape_debug()));
                let cause = match owner {
                    Some(owner) => format!("it belongs to \"{}\", and \"{user}\" was not granted everything on it", owner.escape_debug()),
                    None => format!("it belongs to another user, and \"{user}\" was not granted everything on it"),
                };
                let all = match (engine, owner) {
                    // What the first superuser owns cannot be reassigned as a whole.
                    (Engine::Postgres, Some(owner)) if owner != "postgres" => format!(
                        "in database \"{name}\", as a superuser: REASSIGN OWNED BY \"{}\" TO \"{user}\" gives it everything of that role there; ALTER TABLE ... OWNER TO \"{user}\" gives it one table",
                        owner.escape_debug()
                    ),
                    (Engine::Postgres, _) => format!("in database \"{name}\", as a superuser: ALTER TABLE ... OWNER TO \"{user}\", for every table of Mattermost's"),
                    (Engine::MySql, _) => format!("as root: GRANT ALL PRIVILEGES ON `{name}`.* TO '{user}'@'%'"),
                };
                (format!("user \"{user}\" may not use {which} in database \"{name}\" on {place}"), cause, all)
            }
            Reason::ReadOnly { standby: true } => (
                format!("{place} is read-only: it is a replica"),
                "the address is a standby's, not the primary's".into(),
                "use the primary's address, or promote this server".into(),
            ),
            Reason::ReadOnly { standby: false } => (
                format!("database \"{name}\" on {place} is read-only"),
                match engine {
                    Engine::Postgres => "default_transaction_read_only is on for the server, the database or the user".into(),
                    Engine::MySql => "read_only is on: it is probably a replica".into(),
                },
                "turn it off, or use another server".into(),
            ),
            Reason::Encoding(found) => (
                format!("database \"{name}\" is in encoding {found}, not UTF8"),
                "it was created from a template with another encoding".into(),
                format!("create it again: CREATE DATABASE \"{name}\" OWNER \"{user}\" ENCODING 'UTF8' TEMPLATE template0"),
            ),
            Reason::TooOld { found, minimum } => (
                format!("{place} is {engine} {found}; this release of Mattermost needs {minimum} or later"),
                "the server's version is no longer supported".into(),
                format!("upgrade {engine} first; nothing has been changed"),
            ),
            Reason::Other(code, words) => (
                match code {
                    Some(code) => format!("{place} said: {words} (code {code})"),
                    None => format!("{place}: {words}"),
                },
                "this is none of the known causes".into(),
                "read the database server's log".into(),
            ),
        };
        Finding::error(what, cause, fix).at(Location::Address(place))
    }
}

/// What a failed connection means for a database server.
fn connection(server: &Server, unreached: &Unreached) -> Finding {
    let Server { engine, host, port, .. } = server;
    let (place, mode) = (server.place(), server.tls.mode.sslmode());
    let name = match host {
        Host::Ip(ip) => ip.to_string(),
        host => host.to_string(),
    };
    let service = engine.to_string();
    let finding = unreached.finding(&Peer { host: &name, place: &place, service: &service });
    match unreached {
        Unreached::Refused => finding.fixed_by(match (host, engine) {
            (Host::Socket(_), _) => "start it",
            (_, Engine::Postgres) => {
                "start it; check listen_addresses and port in postgresql.conf, and the address"
            }
            (_, Engine::MySql) => "start it; check bind-address and port in my.cnf, and the address",
        }),
        Unreached::TimedOut(_) => finding
            .because(format!("a firewall drops the packets, the machine is down, or the port is not {engine}'s"))
            .fixed_by(format!("check that port {port} is open from this machine, and that it is {engine}'s")),
        Unreached::Dropped => finding
            .because(
                "the server is starting or stopping, or a forwarder (Docker's published ports) has no server behind it yet",
            )
            .fixed_by("wait a moment; if it fails again, read the database server's log"),
        Unreached::Certificate(flaw) => {
            let cause = format!("{}; TLS mode {mode} requires a valid certificate", finding.cause);
            let finding = finding.because(cause);
            match flaw {
                CertificateFlaw::UnknownAuthority => finding.fixed_by(
                    match engine {
                        Engine::Postgres => "name the authority's PEM file (DB_SSLROOTCERT, or sslrootcert= in the address), or add it to this machine's trusted certificates",
                        Engine::MySql => "add the authority to this machine's trusted certificates (ssl-ca)",
                    },
                ),
                _ => finding,
            }
        }
        _ => finding,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::Version;

    use super::*;
    use dsn::TlsMode;

    fn flaw(flaw: CertificateFlaw) -> Reason {
        Unreached::Certificate(flaw).into()
    }

    /// Every reason, with a word that must be in what was seen, and one that must be in the fix, for each engine.
    fn table() -> Vec<(Reason, &'static str, [&'static str; 2])> {
        let version = |major| Version { major, minor: 0, patch: 0 };
        vec![
            (Unreached::UnknownHost.into(), "host name db.example", ["correct the name"; 2]),
            (
                Unreached::Refused.into(),
                "nothing listens on db.example:7",
                ["listen_addresses", "bind-address"],
            ),
            (Unreached::NoRoute("unreachable".into()).into(), "unreachable", ["route"; 2]),
            (Reason::timed_out(Duration::from_millis(1500)), "within 1.5s", ["port 7"; 2]),
            (Reason::NoSocket, "does not exist", ["unix_socket_directories", "my.cnf"]),
            (Reason::SocketDenied, "may not use the socket", ["run as a user"; 2]),
            (Unreached::Dropped.into(), "closed the connection", ["wait"; 2]),
            (Reason::OtherProtocol("0x4a".into()), "0x4a", ["5432", "3306"]),
            (Reason::TlsNotOffered, "verify-full requires it", ["sslmode=disable", "ssl-mode=DISABLED"]),
            (Reason::TlsRequired, "only over TLS", ["sslmode=require", "ssl-mode=REQUIRED"]),
            (
                flaw(CertificateFlaw::UnknownAuthority),
                "signed by an unknown authority",
                ["DB_SSLROOTCERT", "ssl-ca"],
            ),
            (flaw(CertificateFlaw::Expired), "expired", ["renew"; 2]),
            (flaw(CertificateFlaw::NotYetValid), "not valid yet", ["clocks"; 2]),
            (
                flaw(CertificateFlaw::OtherName(Vec::new())),
                "of db.example:7 is for another name",
                ["name"; 2],
            ),
            (flaw(CertificateFlaw::Other("odd".into())), "odd", ["new certificate"; 2]),
            (Reason::AuthorityFile("/ca.pem".into(), "gone".into()), "/ca.pem", ["PEM"; 2]),
            (Reason::HostNotAllowed, "from this host", ["pg_hba.conf", "'mm'@'%'"]),
            (Reason::HostBlocked, "blocked", ["flush-hosts"; 2]),
            (Reason::WrongPassword, "refused user \"mm\"", ["\\password", "ALTER USER"]),
            (Reason::UnknownUser, "no user \"mm\"", ["--create-database"; 2]),
            (Reason::PasswordNeedsTls, "only over TLS", ["PREFERRED"; 2]),
            (Reason::LoginCharacters, "cannot be sent", ["change it"; 2]),
            (Reason::UnknownDatabase, "no database \"chat\"", ["--create-database"; 2]),
            (
                Reason::DatabaseDenied,
                "may not use database \"chat\"",
                ["GRANT ALL ON DATABASE", "GRANT ALL PRIVILEGES"],
            ),
            (Reason::TooManyConnections, "no free connection", ["MaxOpenConns"; 2]),
            (Reason::Parameter("unknown parameter x".into()), "unknown parameter x", ["take it out"; 2]),
            (
                Reason::PoolerParameter("unsupported: x".into()),
                "unsupported: x",
                ["ignore_startup_parameters"; 2],
            ),
            (Reason::PoolerCutOff("cannot connect".into()), "cannot connect", ["start it"; 2]),
            (Reason::StartingUp, "no logins at the moment", ["wait"; 2]),
            (Reason::Locked, "locked", ["pg_stat_activity", "PROCESSLIST"]),
            (
                Reason::SchemaDenied { schema: "public".into(), owner: Some("other".into()) },
                "permission denied for schema public",
                ["ALTER SCHEMA \"public\" OWNER TO \"mm\""; 2],
            ),
            (
                Reason::SchemaDenied { schema: "x".into(), owner: None },
                "schema x",
                ["GRANT USAGE, CREATE"; 2],
            ),
            (
                Reason::TableDenied { table: Some("systems".into()), owner: Some("other".into()) },
                "may not use table \"systems\"",
                ["REASSIGN OWNED BY \"other\" TO \"mm\"", "GRANT ALL PRIVILEGES ON `chat`"],
            ),
            (
                Reason::TableDenied { table: None, owner: None },
                "may not use a table in database \"chat\"",
                ["ALTER TABLE", "GRANT ALL PRIVILEGES ON `chat`"],
            ),
            (Reason::ReadOnly { standby: true }, "replica", ["primary"; 2]),
            (Reason::ReadOnly { standby: false }, "read-only", ["turn it off"; 2]),
            (Reason::Encoding("LATIN1".into()), "LATIN1", ["ENCODING 'UTF8' TEMPLATE template0"; 2]),
            (Reason::TooOld { found: version(13), minimum: version(14) }, "13.0", ["upgrade"; 2]),
            (Reason::Other(Some("XX000".into()), "boom".into()), "boom (code XX000)", ["log"; 2]),
            (Reason::Other(None, "boom".into()), "boom", ["log"; 2]),
        ]
    }

    #[test]
    fn every_reason_has_its_own_words() {
        for (reason, seen, fixes) in table() {
            for (engine, expected) in [Engine::Postgres, Engine::MySql].into_iter().zip(fixes) {
                let mut server = Server::new(engine, Host::Name("db.example".into()));
                (server.port, server.name, server.user) = (7, "chat".into(), "mm".into());
                (server.password, server.tls.mode) = ("s3cret".into(), TlsMode::VerifyFull);
                let failure = Failure { server: Box::new(server), reason: reason.clone() };
                let Finding { what, cause, fix, .. } = failure.finding();
                assert!(what.contains(seen), "{what:?} says {seen:?}");
                assert!(fix.contains(expected), "{fix:?} says {expected:?}");
                assert!(!cause.is_empty() && cause != what && cause != fix, "{cause:?}");
                assert!(!format!("{failure} {failure:?}").contains("s3cret"), "{failure}");
            }
        }
    }

    #[test]
    fn no_name_can_pretend_to_be_a_part_of_the_sentence() {
        let mut server = Server::new(Engine::Postgres, Host::Name("db".into()));
        server.user = "x\" is fine\n\u{1b}[2J".into();
        let failure = Failure { server: Box::new(server), reason: Reason::UnknownUser };
        assert!(!failure.to_string().contains(['\n', '\u{1b}']), "{failure}");
    }
}
