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
    /// The Unix socket does not exist.
    NoSocket,
    /// This system user may not use the Unix socket.
    SocketDenied,
    /// The program that answers speaks another protocol; the driver's words.
    OtherProtocol(String),
    /// The address requires TLS, and the server offers none.
    TlsNotOffered,
    /// The server requires TLS, and the address forbids it.
    TlsRequired,
    /// The file of authorities cannot be used, with the reason.
    AuthorityFile(PathBuf, String),
    /// The server does not accept this host, user and database, whatever the password.
    HostNotAllowed,
    /// The server has blocked this host after many failed attempts (MySQL).
    HostBlocked,
    /// The user or the password is wrong; servers do not say which.
    WrongPassword,
    /// The user does not exist, or may not log in.
    UnknownUser,
    /// The server accepts the password only over TLS (MySQL's `caching_sha2_password`).
    PasswordNeedsTls,
    /// The user or the password contains characters that SCRAM forbids (RFC 4013): control characters, and all that are newer than
    /// Unicode 3.2. Servers and some drivers accept them; sqlx does not.
    LoginCharacters,
    /// The database does not exist.
    UnknownDatabase,
    /// This user may not use this database.
    DatabaseDenied,
    /// All connections are in use.
    TooManyConnections,
    /// A parameter of the address is none that the server knows, or its value is not allowed; the server's words.
    Parameter(String),
    /// A pooler in front of the server does not take a parameter of the address; its words.
    PoolerParameter(String),
    /// A pooler answers, and does not reach the server behind it; its words.
    PoolerCutOff(String),
    /// The server is starting, stopping or recovering.
    StartingUp,
    /// Another session has a table locked.
    Locked,
    /// This user may not create tables in the schema.
    SchemaDenied {
        /// Which schema.
        schema: String,
        /// Its owner; `None` if it does not exist.
        owner: Option<String>,
    },
    /// This user may not use a table of Mattermost's.
    TableDenied {
        /// Which table, where that is known.
        table: Option<String>,
        /// Its owner, where that is known.
        owner: Option<String>,
    },
    /// It is read-only.
    ReadOnly {
        /// The server is a replica.
        standby: bool,
    },
    /// The database is not in UTF8 but in this encoding.
    Encoding(String),
    /// The release needs a newer server.
    TooOld {
        /// The server's version.
        found: Version,
        /// The oldest that the release supports.
        minimum: Version,
    },
    /// Something else: the server's code, if there is one, and its words.
    Other(Option<String>, String),
}

impl Reason {
    /// Whether waiting may help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreached(unreached) => unreached.may_pass(),
            Self::NoSocket | Self::TooManyConnections | Self::StartingUp | Self::PoolerCutOff(_) => true,
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
