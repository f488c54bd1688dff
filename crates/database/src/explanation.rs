//! Every reason in an operator's words: one table.

use dsn::{Engine, Host, Server};

use crate::reason::{Certificate, Failure, Reason};

/// The way to a user and a database.
const CREATE: &str =
    "create it: `mainstay database sql` prints the SQL, `mainstay up --create-database FILE` runs it";

/// The three things an operator needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What was seen.
    pub what: String,
    /// The likely cause.
    pub cause: String,
    /// What to do.
    pub fix: String,
}

impl Failure {
    /// What, why, and what to do.
    pub fn explanation(&self) -> Explanation {
        let server = &*self.server;
        let Server { engine, host, port, .. } = server;
        let (place, mode) = (server.place(), server.tls.mode.sslmode());
        // Names are shown so that none can pretend to be a part of the sentence.
        let (name, user) = (server.name.escape_debug(), server.user.escape_debug());
        let (what, cause, fix) = match &self.reason {
            Reason::UnknownHost => (
                format!("the host name {host} is unknown"),
                "the resolver has no address for it".into(),
                "correct the name; between containers it is the service's name or the link's alias, and both must be on one network".into(),
            ),
            Reason::NoRoute(why) => (
                format!("there is no way to {place} ({why})"),
                "the network between here and there is down, or the address is wrong".into(),
                "check the address and the route to it".into(),
            ),
            Reason::TimedOut(after) => (
                format!("no answer from {place} within {after:.1?}"),
                format!("a firewall drops the packets, the machine is down, or what listens there is no {engine}"),
                format!("check that port {port} is open from here, and that it is {engine}'s"),
            ),
            Reason::NoSocket => (
                format!("there is no socket {place}"),
                format!("{engine} is not running, or has its socket elsewhere"),
                match engine {
                    Engine::Postgres => "start it, or correct the directory (unix_socket_directories) and the port".into(),
                    Engine::MySql => "start it, or correct the path (socket in my.cnf)".into(),
                },
            ),
            Reason::SocketDenied => (
                format!("the socket {place} may not be used"),
                "its directory or the socket itself is closed to this system user".into(),
                "run as a user who may, or open the directory".into(),
            ),
            Reason::Dropped => (
                format!("{place} closed the connection before the login"),
                "the server is starting or stopping, or a forwarder (Docker's published ports) has no server behind it yet".into(),
                "wait a moment; if it stays so, read the database server's log".into(),
            ),
            Reason::OtherProtocol(words) => (
                format!("what listens on {place} does not speak {engine}'s protocol ({words})"),
                "another kind of server has this port".into(),
                format!("correct the port ({engine}: {}) or the kind of database", engine.default_port()),
            ),
            Reason::Refused => (
                format!("nothing listens on {place}"),
                format!("{engine} is not running, or listens on another address or port"),
                match host {
                    Host::Socket(_) => "start it".into(),
                    _ => match engine {
                        Engine::Postgres => "start it; check listen_addresses and port in postgresql.conf, and the address".into(),
                        Engine::MySql => "start it; check bind-address and port in my.cnf, and the address".into(),
                    },
                },
            ),
            Reason::TlsNotOffered => (
                format!("{place} offers no TLS, and {mode} was asked for"),
                "the server has no certificate configured".into(),
                match engine {
                    Engine::Postgres => "set ssl=on, ssl_cert_file and ssl_key_file in postgresql.conf; only where the network is trusted: sslmode=disable".into(),
                    Engine::MySql => "set ssl_cert and ssl_key in my.cnf; only where the network is trusted: ssl-mode=DISABLED".into(),
                },
            ),
            Reason::TlsRequired => (
                format!("{place} lets this user in over TLS only"),
                match engine {
                    Engine::Postgres => "its pg_hba.conf has a hostssl line for us and no host line".into(),
                    Engine::MySql => "require_secure_transport is on, or the user was created with REQUIRE SSL".into(),
                },
                match engine {
                    Engine::Postgres => "use sslmode=require, or better verify-full with sslrootcert".into(),
                    Engine::MySql => "use ssl-mode=REQUIRED, or better VERIFY_IDENTITY with ssl-ca".into(),
                },
            ),
            Reason::PasswordNeedsTls => (
                format!("{place} takes this user's password over TLS only"),
                "the account uses caching_sha2_password, and the connection is not encrypted".into(),
                "use ssl-mode=PREFERRED or stricter".into(),
            ),
            Reason::LoginCharacters => (
                format!("user \"{user}\" and the password cannot be sent to {place}"),
                "one of them holds a character that SCRAM forbids: a control character, such as a line's end, or an emoji".into(),
                "change it to one without; if it is read from a file, read it without the last line's end".into(),
            ),
            Reason::AuthorityFile(path, why) => (
                format!("the CA file {} cannot be used: {why}", path.display()),
                "it is missing, not readable for this system user, or holds no PEM certificate".into(),
                "give the PEM file of the authority that signed the server's certificate".into(),
            ),
            Reason::Certificate(problem) => {
                let (flaw, fix) = match problem {
                    Certificate::UnknownAuthority => (
                        "is signed by nobody we know".into(),
                        "name the authority's PEM file (sslrootcert or ssl-ca), or add it to the system's store".into(),
                    ),
                    Certificate::Expired => ("has expired".into(), "renew it; check both clocks".into()),
                    Certificate::NotYetValid => ("is not valid yet".into(), "check both clocks".into()),
                    Certificate::OtherName => (
                        format!("is not made out to {host}"),
                        "connect by a name the certificate holds, or have it made out to this one".to_owned(),
                    ),
                    Certificate::Other(words) => {
                        (format!("was not accepted ({words})"), "have it made anew".to_owned())
                    }
                };
                let cause = format!("TLS mode {mode} checks it, and somebody else may be answering");
                (format!("the certificate of {place} {flaw}"), cause, fix)
            }
            Reason::HostNotAllowed => (
                format!("{place} does not let user \"{user}\" in from this host"),
                match engine {
                    Engine::Postgres => "no line of its pg_hba.conf fits this host, user and database, or the one that fits wants another kind of login".into(),
                    Engine::MySql => "no account of this name is allowed to come from here".into(),
                },
                match engine {
                    Engine::Postgres => format!("add `host \"{name}\" \"{user}\" ADDRESS/32 scram-sha-256` (or hostssl) to pg_hba.conf, with this host's address, and reload"),
                    Engine::MySql => format!("create the account '{user}'@'%', or for this host's address"),
                },
            ),
            Reason::HostBlocked => (
                format!("{place} has blocked this host"),
                "too many connections from here broke off before the login".into(),
                "run `mariadb-admin flush-hosts` (or `mysqladmin flush-hosts`) there, and find out what broke off".into(),
            ),
            Reason::WrongPassword => {
                let given = if server.has_password() { "the password given" } else { "no password" };
                (
                    format!("{place} refused user \"{user}\" with {given}"),
                    "the password is wrong, or there is no such user: the server does not say which".into(),
                    match engine {
                        Engine::Postgres => format!("correct it, or set it there: psql -c '\\password \"{user}\"'"),
                        Engine::MySql => format!("correct it, or set it there: ALTER USER '{user}'@'%' IDENTIFIED BY '...'"),
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
                    Engine::MySql => "it does not exist, or the user has no privilege in it: the server does not say which".into(),
                },
                match engine {
                    Engine::Postgres => format!("as its owner: GRANT ALL ON DATABASE \"{name}\" TO \"{user}\""),
                    Engine::MySql => format!("as root: create it, and GRANT ALL PRIVILEGES ON `{name}`.* TO '{user}'@'%'"),
                },
            ),
            Reason::TooManyConnections => (
                format!("{place} has no connection left"),
                "max_connections, or the limit of this user or database, is reached".into(),
                "raise the limit above what Mattermost opens (SqlSettings.MaxOpenConns on every node), or end idle connections".into(),
            ),
            Reason::StartingUp => (
                format!("{place} takes no logins at the moment"),
                "it is starting, stopping, or recovering".into(),
                "wait; if it stays so, read the database server's log".into(),
            ),
            Reason::SchemaDenied { schema, owner } => {
                let schema = schema.escape_debug();
                (
                    format!("permission denied for schema {schema}: user \"{user}\" may not create tables in database \"{name}\""),
                    match owner {
                        Some(owner) => format!("the schema belongs to \"{}\"; since PostgreSQL 15, others may not create in it", owner.escape_debug()),
                        None => "there is no such schema".into(),
                    },
                    format!("in database \"{name}\", as a superuser: ALTER SCHEMA \"{schema}\" OWNER TO \"{user}\"; GRANT USAGE, CREATE ON SCHEMA \"{schema}\" TO \"{user}\""),
                )
            }
            Reason::ReadOnly { standby: true } => (
                format!("{place} is read-only: it is a replica"),
                "the address leads to a standby, not to the primary".into(),
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
                "it was created from a template of the cluster's own encoding".into(),
                format!("create it anew: CREATE DATABASE \"{name}\" OWNER \"{user}\" ENCODING 'UTF8' TEMPLATE template0"),
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
                "not one of the causes we know".into(),
                "read the database server's log".into(),
            ),
        };
        Explanation { what, cause, fix }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::Version;

    use super::*;
    use dsn::TlsMode;

    /// Every reason, with a word that must be in what was seen and one that must be in the way out, for each engine.
    fn table() -> Vec<(Reason, &'static str, [&'static str; 2])> {
        let version = |major| Version { major, minor: 0, patch: 0 };
        vec![
            (Reason::UnknownHost, "host name db.example", ["correct the name"; 2]),
            (Reason::Refused, "nothing listens on db.example:7", ["listen_addresses", "bind-address"]),
            (Reason::NoRoute("unreachable".into()), "unreachable", ["route"; 2]),
            (Reason::TimedOut(Duration::from_millis(1500)), "within 1.5s", ["port 7"; 2]),
            (Reason::NoSocket, "no socket", ["unix_socket_directories", "my.cnf"]),
            (Reason::SocketDenied, "may not be used", ["run as a user"; 2]),
            (Reason::Dropped, "closed the connection", ["wait"; 2]),
            (Reason::OtherProtocol("0x4a".into()), "0x4a", ["5432", "3306"]),
            (Reason::TlsNotOffered, "verify-full was asked for", ["sslmode=disable", "ssl-mode=DISABLED"]),
            (Reason::TlsRequired, "over TLS only", ["sslmode=require", "ssl-mode=REQUIRED"]),
            (
                Reason::Certificate(Certificate::UnknownAuthority),
                "signed by nobody",
                ["sslrootcert", "ssl-ca"],
            ),
            (Reason::Certificate(Certificate::Expired), "expired", ["renew"; 2]),
            (Reason::Certificate(Certificate::NotYetValid), "not valid yet", ["clocks"; 2]),
            (Reason::Certificate(Certificate::OtherName), "not made out to db.example", ["name"; 2]),
            (Reason::Certificate(Certificate::Other("odd".into())), "odd", ["made anew"; 2]),
            (Reason::AuthorityFile("/ca.pem".into(), "gone".into()), "/ca.pem", ["PEM"; 2]),
            (Reason::HostNotAllowed, "from this host", ["pg_hba.conf", "'mm'@'%'"]),
            (Reason::HostBlocked, "blocked", ["flush-hosts"; 2]),
            (Reason::WrongPassword, "refused user \"mm\"", ["\\password", "ALTER USER"]),
            (Reason::UnknownUser, "no user \"mm\"", ["--create-database"; 2]),
            (Reason::PasswordNeedsTls, "over TLS only", ["PREFERRED"; 2]),
            (Reason::LoginCharacters, "cannot be sent", ["change it"; 2]),
            (Reason::UnknownDatabase, "no database \"chat\"", ["--create-database"; 2]),
            (
                Reason::DatabaseDenied,
                "may not use database \"chat\"",
                ["GRANT ALL ON DATABASE", "GRANT ALL PRIVILEGES"],
            ),
            (Reason::TooManyConnections, "no connection left", ["MaxOpenConns"; 2]),
            (Reason::StartingUp, "no logins at the moment", ["wait"; 2]),
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
            (Reason::ReadOnly { standby: true }, "replica", ["primary"; 2]),
            (Reason::ReadOnly { standby: false }, "read-only", ["turn it off"; 2]),
            (Reason::Encoding("LATIN1".into()), "LATIN1", ["ENCODING 'UTF8' TEMPLATE template0"; 2]),
            (Reason::TooOld { found: version(13), minimum: version(14) }, "13.0", ["upgrade"; 2]),
            (Reason::Other(Some("XX000".into()), "boom".into()), "boom (code XX000)", ["log"; 2]),
            (Reason::Other(None, "boom".into()), "boom", ["log"; 2]),
        ]
    }

    #[test]
    fn every_reason_has_a_fact_a_cause_and_a_way_out() {
        for (reason, seen, ways_out) in table() {
            for (engine, way_out) in [Engine::Postgres, Engine::MySql].into_iter().zip(ways_out) {
                let mut server = Server::new(engine, Host::Name("db.example".into()));
                (server.port, server.name, server.user) = (7, "chat".into(), "mm".into());
                (server.password, server.tls.mode) = ("s3cret".into(), TlsMode::VerifyFull);
                let failure = Failure { server: Box::new(server), reason: reason.clone() };
                let Explanation { what, cause, fix } = failure.explanation();
                assert!(what.contains(seen), "{what:?} says {seen:?}");
                assert!(fix.contains(way_out), "{fix:?} says {way_out:?}");
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
