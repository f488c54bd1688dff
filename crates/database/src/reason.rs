//! Why a database cannot be used.

use std::path::PathBuf;
use std::time::Duration;

use finding::Unreached;

use crate::version::Version;

/// Why a database cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// There is no connection, or it failed before the login.
    Unreached(Unreached),
    /// There is no such Unix socket.
    NoSocket,
    /// The Unix socket is not ours to use.
    SocketDenied,
    /// What answers speaks another protocol; the driver's words.
    OtherProtocol(String),
    /// We insist on TLS, the server has none.
    TlsNotOffered,
    /// The server insists on TLS, we were told not to.
    TlsRequired,
    /// The file of authorities cannot be used, and why.
    AuthorityFile(PathBuf, String),
    /// The server does not let this host, user and database in, whatever the password.
    HostNotAllowed,
    /// The server stopped talking to this host after many broken attempts (MySQL).
    HostBlocked,
    /// User or password are wrong; for their own safety, servers do not say which.
    WrongPassword,
    /// There is no such user, or it may not log in.
    UnknownUser,
    /// The server wants the password over TLS only (MySQL's `caching_sha2_password`).
    PasswordNeedsTls,
    /// User or password hold characters that SCRAM's rules forbid (RFC 4013): control characters, and everything newer than
    /// Unicode 3.2. Servers and some drivers overlook that, ours does not.
    LoginCharacters,
    /// There is no such database.
    UnknownDatabase,
    /// This user may not use this database.
    DatabaseDenied,
    /// Every connection is taken.
    TooManyConnections,
    /// The server is starting, stopping or recovering.
    StartingUp,
    /// This user may not create tables in the schema.
    SchemaDenied {
        /// Which schema.
        schema: String,
        /// Whose it is; None when it does not exist.
        owner: Option<String>,
    },
    /// It cannot be written to.
    ReadOnly {
        /// Because it is a replica.
        standby: bool,
    },
    /// The database is not in UTF8 but in this encoding.
    Encoding(String),
    /// The release needs a newer server.
    TooOld {
        /// What answers.
        found: Version,
        /// What it must be at least.
        minimum: Version,
    },
    /// Something else: the server's code, where there is one, and words.
    Other(Option<String>, String),
}

impl Reason {
    /// Whether waiting may help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreached(unreached) => unreached.may_pass(),
            Self::NoSocket | Self::TooManyConnections | Self::StartingUp => true,
            _ => false,
        }
    }

    /// No answer within this time.
    pub fn timed_out(after: Duration) -> Self {
        Self::Unreached(Unreached::TimedOut(Some(after)))
    }
}

impl From<Unreached> for Reason {
    fn from(unreached: Unreached) -> Self {
        Self::Unreached(unreached)
    }
}
