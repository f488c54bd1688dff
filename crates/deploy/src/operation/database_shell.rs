//! `shell database`: how PostgreSQL's own client is started for the deployment's database.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dsn::{Engine, Host, Server};
use secrecy::SecretString;

use crate::error::{Error, Exit};
use crate::place::postgres::administrator;
use crate::state::cluster::Record;
use crate::state::location;
use crate::world::World;

/// `psql`, and how it reaches the database.
#[derive(Debug)]
pub struct DatabaseShell {
    /// The program.
    pub program: PathBuf,
    /// Where to, without a password.
    pub args: Vec<OsString>,
    /// For its environment, which only its own user and root can read.
    pub password: Option<SecretString>,
}

/// The client for the deployment's database: for the managed one as its superuser, who needs no password.
///
/// # Errors
/// There is no database on a PostgreSQL; `psql` is not there.
pub fn database_shell(world: &World) -> Result<DatabaseShell, Error> {
    let layout = &world.layout;
    if location::is_file(layout)? {
        let file = layout.sqlite();
        return Err(Error::new(
            Exit::Usage,
            format!("this deployment's database is the file {}", file.display()),
        )
        .hint(format!("`sqlite3 -readonly {}` opens it", file.display())));
    }
    let named = location::of_config(world)?;
    let path = world.variables.get("PATH").map(String::as_str).unwrap_or_default();
    let is_managed = location::is_managed(layout);
    let (server, beside) = match is_managed {
        true => {
            let record = Record::read(layout)?;
            let bin = record.and_then(|record| record.installation(layout, path).ok()).map(|there| there.bin);
            (Server { name: named.name.clone(), ..administrator(layout) }, bin)
        }
        false if named.engine == Engine::MySql => {
            return Err(Error::new(Exit::Usage, format!("{named} is no PostgreSQL"))
                .hint("open it with `mysql` or `mariadb`; `mainstay database status` shows the address"));
        }
        false => (named, None),
    };
    let dirs = beside.into_iter().chain(path.split(':').map(PathBuf::from));
    let program = dirs.map(|dir| dir.join("psql")).find(|file| Path::is_file(file)).ok_or_else(|| {
        Error::not_ready("psql, PostgreSQL's client, is not installed")
            .hint("`apt-get install postgresql-client`, or `dnf install postgresql`")
    })?;
    let host = match &server.host {
        Host::Socket(directory) => directory.clone().into_os_string(),
        host => host.to_string().trim_matches(['[', ']']).into(),
    };
    let port = server.port.to_string().into();
    let args =
        ["--host".into(), host, "--port".into(), port, "--username".into(), server.user.clone().into()];
    let mut args = args.to_vec();
    args.extend(["--dbname".into(), server.name.clone().into()]);
    let password = server.has_password().then(|| server.password.clone());
    Ok(DatabaseShell { program, args, password })
}
