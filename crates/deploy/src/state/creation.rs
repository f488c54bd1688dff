//! Who may create user and database on a database server: the administrator's login.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dsn::{DataSource, Server};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit};
use crate::place::machine::read_secret_file;
use crate::world::World;

/// Where the administrator's address is read from, when a step needs it: never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Creation {
    /// A file of one line.
    File(PathBuf),
    /// `MAINSTAY_DATABASE_ADMIN`, or the file that `MAINSTAY_DATABASE_ADMIN_FILE` names.
    Variable,
}

/// The variables of the administrator's address, and of a file that holds it.
pub const ADMINISTRATORS: [&str; 2] = ["MAINSTAY_DATABASE_ADMIN", "MAINSTAY_DATABASE_ADMIN_FILE"];

impl Creation {
    /// What these variables ask for: where nobody types a command line, as in a container.
    pub fn asked(variables: &BTreeMap<String, String>) -> Option<Self> {
        ADMINISTRATORS.iter().any(|name| variables.contains_key(*name)).then_some(Self::Variable)
    }

    /// The administrator's login.
    ///
    /// # Errors
    /// It cannot be read, or is no address of a server.
    pub(crate) fn administrator(&self, world: &World) -> Result<Server, Error> {
        let of_file = |path: &PathBuf| {
            read_secret_file(path)
                .map_err(|error| Error::path("read the administrator's address in", path, &error))
        };
        let (place, text) = match self {
            Self::File(path) => (path.display().to_string(), of_file(path)?),
            Self::Variable => {
                let [address, file] = ADMINISTRATORS;
                match (world.variables.get(address), world.variables.get(file)) {
                    (Some(text), _) => (address.to_owned(), text.clone()),
                    (None, Some(path)) => (file.to_owned(), of_file(&PathBuf::from(path))?),
                    (None, None) => {
                        return Err(Error::new(Exit::Usage, "the administrator's address is not given")
                            .hint(format!("name a file that holds it (`--create-database FILE`, `-` for stdin), or set {address}")));
                    }
                }
            }
        };
        // No sentence about it repeats it.
        let text = SecretString::from(text);
        match secrecy::ExposeSecret::expose_secret(&text).trim().parse() {
            Ok(DataSource::Server(server)) => Ok(server),
            Ok(DataSource::Sqlite(_)) => {
                Err(Error::new(Exit::Usage, format!("{place}: a file has no administrator")))
            }
            Err(error) => Err(Error::new(Exit::Usage, format!("{place}: {error}"))
                .hint("an administrator's address is like postgres://postgres:PASSWORD@HOST:5432/postgres")),
        }
    }
}
