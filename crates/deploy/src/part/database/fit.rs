//! Whether a database server that can be used suits the server that is to use it: poolers, limits of connections, files that the
//! server must be able to read. Decided from data.

use std::path::{Path, PathBuf};

use database::{Facts, Limited};
use dsn::Server;
use release::{Capabilities, ReleaseId};

use crate::error::{Error, Exit};

/// With fewer connections than this, the server's own start may fail.
const FEW: u32 = 20;

/// What the server is told about its connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connections {
    /// `SqlSettings.MaxOpenConns`, where it is said.
    pub most: Option<u32>,
}

/// What works and yet is not as it should be.
///
/// # Errors
/// The server would fail later, with a less clear reason.
pub(crate) fn suits(
    server: &Server,
    facts: &Facts,
    release: &ReleaseId,
    connections: Connections,
) -> Result<Vec<String>, Error> {
    if facts.shares_sessions {
        pooler(server, release)?;
    }
    limit(server, facts, connections)
}

/// Behind a pooler in transaction mode, a prepared statement is gone, or another client's, when it is executed.
fn pooler(server: &Server, release: &ReleaseId) -> Result<(), Error> {
    let place = server.place();
    let what =
        format!("{place} is a pooler in transaction mode, as PgBouncer is with `pool_mode = transaction`");
    let direct =
        "name the port of PostgreSQL itself, or set `pool_mode = session` for this database in the pooler";
    if !Capabilities::of(release).pooled_transactions {
        return Err(Error::not_ready(format!("{what}: {release} keeps prepared statements in its sessions"))
            .hint(direct));
    }
    if server.parameters.get("binary_parameters").map(String::as_str) == Some("yes") {
        return Ok(());
    }
    let hint = format!("add `binary_parameters=yes` to the address (MM_SQLSETTINGS_DATASOURCE); or {direct}");
    Err(Error::not_ready(format!(
        "{what}: without `binary_parameters=yes`, {release} prepares its statements"
    ))
    .hint(hint))
}

/// One connection stays for Mainstay itself.
fn limit(server: &Server, facts: &Facts, connections: Connections) -> Result<Vec<String>, Error> {
    let Some(limit) = facts.limit else { return Ok(Vec::new()) };
    let (most, spare) = (limit.connections, limit.connections.saturating_sub(1));
    if connections.most.is_some_and(|wants| (1..=spare).contains(&wants)) {
        return Ok(Vec::new());
    }
    let (user, name) = (server.user.escape_debug(), server.name.escape_debug());
    let (whose, raise) = match limit.of {
        Limited::Role => (format!("user \"{user}\""), format!("ALTER ROLE \"{user}\" CONNECTION LIMIT")),
        Limited::Database => {
            (format!("database \"{name}\""), format!("ALTER DATABASE \"{name}\" CONNECTION LIMIT"))
        }
    };
    let wants = match connections.most {
        Some(wants) => format!("`SqlSettings.MaxOpenConns` is {wants}"),
        None => "`SqlSettings.MaxOpenConns` is not set".to_owned(),
    };
    let what = format!("{whose} may have {most} connections on {}, and {wants}", server.place());
    let raise = format!("raise the limit, as a superuser: {raise} 100");
    if most >= FEW {
        return Ok(vec![format!(
            "{what}: a busy server will be refused connections; set it to {spare}, or {raise}"
        )]);
    }
    let hint = match spare {
        0 => raise,
        spare => {
            format!("set MM_SQLSETTINGS_MAXOPENCONNS={spare}, which leaves one for Mainstay; or {raise}")
        }
    };
    Err(Error::not_ready(what).hint(hint))
}

/// The files that an address names for TLS, which the server reads as `user`.
///
/// # Errors
/// It cannot read one.
pub(crate) fn files_are_readable(server: &Server, user: Option<&str>) -> Result<(), Error> {
    let Some(name) = user else { return Ok(()) };
    let reader = host::User::named(name).unwrap_or_else(|_| {
        // A user that is created later may read what everybody may read.
        host::User { name: name.to_owned(), uid: u32::MAX - 1, gid: u32::MAX - 1, home: "/".into() }
    });
    let named = |key: &str| server.parameters.get(key).filter(|path| !path.is_empty()).map(PathBuf::from);
    let files = server.tls.ca.clone().into_iter().chain(named("sslcert")).chain(named("sslkey"));
    for file in files {
        if !Path::new(&file).is_absolute() {
            return Err(Error::new(
                Exit::Settings,
                format!(
                    "the database's address names the file {}, which is no absolute path",
                    file.display()
                ),
            )
            .hint("the server runs in another directory: write the path from `/` on"));
        }
        if !reader.can_read(&file)? {
            return Err(Error::not_ready(format!(
                "the server runs as {name}, who cannot read {}, which the database's address names",
                file.display()
            ))
            .hint(format!("let {name} read it, and enter the directories above it")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use database::{ConnectionLimit, Product, Version};
    use dsn::{Engine, Host};

    use super::*;

    fn server() -> Server {
        let mut server = Server::new(Engine::Postgres, Host::Name("db".into()));
        (server.name, server.user, server.password) = ("chat".into(), "mm".into(), "hunter2".into());
        server
    }

    fn facts(limit: Option<(u32, Limited)>, shares_sessions: bool) -> Facts {
        Facts {
            product: Product::Postgres,
            version: Version { major: 15, minor: 0, patch: 0 },
            tls: false,
            encoding: "UTF8".into(),
            collation: "C".into(),
            max_connections: 100,
            limit: limit.map(|(connections, of)| ConnectionLimit { connections, of }),
            shares_sessions,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_pooler_in_transaction_mode_is_named_with_what_to_set() {
        let official: ReleaseId = "11.7.15-team".parse().expect("a release");
        let asked = |server: &Server, release: &ReleaseId| {
            suits(server, &facts(None, true), release, Connections { most: None })
        };
        let refused = asked(&server(), &release::builtin()).expect_err("refused");
        assert!(refused.what.contains("pool_mode = transaction"), "{refused}");
        assert!(refused.hint.expect("a way out").contains("pool_mode = session"));
        let refused = asked(&server(), &official).expect_err("refused");
        assert!(refused.hint.expect("a way out").contains("binary_parameters=yes"));
        let mut with = server();
        with.parameters.insert("binary_parameters".into(), "yes".into());
        asked(&with, &official).expect("allowed");
        asked(&with, &release::builtin()).expect_err("refused");
    }

    #[test]
    fn a_limit_of_connections_is_named_with_the_key() {
        let asked = |limit, most| {
            suits(&server(), &facts(Some(limit), false), &release::builtin(), Connections { most })
        };
        let refused = asked((3, Limited::Role), None).expect_err("refused");
        assert!(refused.what.contains("user \"mm\" may have 3 connections on db:5432"), "{refused}");
        let hint = refused.hint.expect("a way out");
        assert!(
            hint.contains("MM_SQLSETTINGS_MAXOPENCONNS=2") && hint.contains("ALTER ROLE \"mm\""),
            "{hint}"
        );
        asked((3, Limited::Role), Some(3)).expect_err("none is left for Mainstay");
        assert_eq!(asked((3, Limited::Role), Some(2)).expect("enough"), Vec::<String>::new());
        let only = asked((1, Limited::Database), None).expect_err("refused").hint.expect("a way out");
        assert!(only.starts_with("raise the limit") && only.contains("ALTER DATABASE \"chat\""), "{only}");
        let warned = asked((50, Limited::Database), Some(300)).expect("a warning");
        assert!(
            warned[0].contains("MaxOpenConns` is 300") && warned[0].contains("set it to 49"),
            "{warned:?}"
        );
    }
}
