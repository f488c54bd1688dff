//! A PostgreSQL that Mainstay runs itself: where its programs are on a machine, what its configuration says, who may log in. Data and
//! text alone; whoever runs it writes the files and starts the programs.
//!
//! It listens on a Unix socket and nowhere else. Root and the cluster's own system user are its superuser, proven by the kernel (`peer`),
//! so the superuser has no password. The server logs in with a password (SCRAM).

mod configuration;
mod contents;
mod furnish;
mod installation;
mod listening;

pub use configuration::{Machine, access, identities, settings};
pub use contents::{databases, roles};
pub use furnish::furnish;
pub(crate) use installation::directories_of;
pub use installation::{Installation, Programs, installations, major_of, programs};
pub use listening::listens;

/// The superuser.
pub const SUPERUSER: &str = "postgres";

/// The server's user and its database.
pub const MATTERMOST: &str = "mattermost";

/// The file with the settings, beside the directory of the data.
pub const SETTINGS: &str = "postgresql.conf";

/// The file that says who may log in.
pub const ACCESS: &str = "pg_hba.conf";

/// The file that says which system user may be which role.
pub const IDENTITIES: &str = "pg_ident.conf";
