//! Where the managed database lies: a PostgreSQL cluster in the deployment's own directory.
//!
//! ```text
//! postgres/              root's: what is written here decides who may log in
//!   cluster.json         which PostgreSQL made it, and whose it is
//!   postgresql.conf, pg_hba.conf, pg_ident.conf
//!   data/                0700, the cluster's user's
//!   socket/              0750, the cluster's user's; the server's group may enter it
//! ```

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use database::cluster::{Installation, MATTERMOST, SUPERUSER};
use dsn::{Engine, Host, Server, TlsMode};
use host::tool::Tool;
use secrecy::SecretString;

use super::layout::Layout;
use super::local_socket::{LONGEST, elsewhere};
use super::machine::make_dir;
use crate::error::Error;

/// The directory's name in the deployment's.
pub(crate) const DIRECTORY: &str = "postgres";

/// How long `postgres --version` may take.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

impl Layout {
    /// The managed cluster.
    pub fn postgres(&self) -> PathBuf {
        self.root().join(DIRECTORY)
    }

    /// Its data, as PostgreSQL keeps it.
    pub fn postgres_data(&self) -> PathBuf {
        self.postgres().join("data")
    }

    /// Which PostgreSQL made the cluster.
    pub(crate) fn cluster_record(&self) -> PathBuf {
        self.postgres().join("cluster.json")
    }

    /// The directory of its socket. Linux takes at most 107 bytes for a socket's path; where the deployment's directory is too deep, it is
    /// a short directory outside.
    pub fn postgres_socket(&self) -> PathBuf {
        let inside = self.postgres().join("socket");
        if socket_in(&inside).as_os_str().len() <= LONGEST {
            return inside;
        }
        let mut short = elsewhere(self.root()).into_os_string();
        short.push("-db");
        short.into()
    }
}

/// The socket itself.
pub(crate) fn socket_of(layout: &Layout) -> PathBuf {
    socket_in(&layout.postgres_socket())
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join(format!(".s.PGSQL.{}", Engine::Postgres.default_port()))
}

/// The managed database, as the server logs in to it.
pub(crate) fn server(layout: &Layout, password: Option<SecretString>) -> Server {
    let mut server = Server::new(Engine::Postgres, Host::Socket(layout.postgres_socket()));
    (server.name, server.user) = (MATTERMOST.to_owned(), MATTERMOST.to_owned());
    server.password = password.unwrap_or_default();
    server.tls.mode = TlsMode::Disable;
    server
}

/// The same PostgreSQL, as its superuser logs in: root, or the user who runs everything.
pub(crate) fn administrator(layout: &Layout) -> Server {
    let mut server = server(layout, None);
    (server.name, server.user) = (SUPERUSER.to_owned(), SUPERUSER.to_owned());
    server
}

/// The PostgreSQLs on this machine, the newest first.
pub(crate) fn installations(path: &str) -> Vec<Installation> {
    let asked = |bin: &Path| {
        let tool = Tool::new(bin.join("postgres"), VERSION_PATIENCE).arg("--version");
        tool.run_blocking().ok().map(|output| output.text())
    };
    database::cluster::installations(database::cluster::programs(Path::new("/"), path), asked)
}

/// Makes the socket's directory where it is missing, and gives it to `owner`, with `group` to enter it.
///
/// # Errors
/// Somebody else made it.
pub(crate) fn prepare_socket(
    layout: &Layout,
    owner: Option<&host::User>,
    group: Option<u32>,
) -> Result<(), Error> {
    let directory = layout.postgres_socket();
    if directory.symlink_metadata().is_err() {
        make_dir(&directory, 0o700, owner.map(|user| (user.uid, user.gid)))?;
    }
    let look = || directory.symlink_metadata().map_err(|error| Error::path("look at", &directory, &error));
    let uid = owner.map_or_else(|| rustix::process::geteuid().as_raw(), |user| user.uid);
    let meta = look()?;
    if !meta.is_dir() || meta.uid() != uid {
        return Err(Error::not_ready(format!(
            "{} must be a directory that belongs to user {uid}, because the socket of PostgreSQL lies in it",
            directory.display()
        ))
        .hint(format!(
            "look who made it, remove it, and run `mainstay up` again: `ls -ld {}`",
            directory.display()
        )));
    }
    let mode = if group.is_some() { 0o750 } else { 0o700 };
    let closed = match group.filter(|gid| *gid != meta.gid()) {
        Some(gid) => chown(&directory, None, Some(gid)),
        None => Ok(()),
    };
    closed
        .and_then(|()| std::fs::set_permissions(&directory, PermissionsExt::from_mode(mode)))
        .map_err(|error| Error::path("protect", &directory, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_directory_gets_a_short_socket_outside() {
        let near = Layout::new("/var/lib/mainstay");
        assert_eq!(near.postgres_socket(), Path::new("/var/lib/mainstay/postgres/socket"));
        for depth in [70, 90, 150] {
            let deep = Layout::new(format!("/srv/{}", "x".repeat(depth)));
            let socket = socket_in(&deep.postgres_socket());
            assert!(socket.as_os_str().len() <= LONGEST, "{}", socket.display());
            assert_ne!(deep.postgres_socket(), deep.http_socket().parent().expect("a directory"));
        }
    }

    #[test]
    fn the_address_is_a_socket_and_the_superuser_has_no_password() {
        let layout = Layout::new("/srv/chat");
        let address = server(&layout, Some("hunter2".to_owned().into())).data_source().expect("an address");
        assert_eq!(
            secrecy::ExposeSecret::expose_secret(&address),
            "postgres://mattermost:hunter2@/mattermost?host=%2Fsrv%2Fchat%2Fpostgres%2Fsocket&port=5432&sslmode=disable"
        );
        assert!(!administrator(&layout).has_password());
    }
}
