//! Why a database cannot be used.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use dsn::Server;

use crate::explanation::Explanation;
use crate::version::Version;

/// A server that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which one.
    pub server: Box<Server>,
    /// Why.
    pub reason: Reason,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The resolver has no address for the host.
    UnknownHost,
    /// Nothing listens there.
    Refused,
    /// The network has no way there; the kernel's words.
    NoRoute(String),
    /// No answer within this time.
    TimedOut(Duration),
    /// There is no such Unix socket.
    NoSocket,
    /// The Unix socket is not ours to use.
    SocketDenied,
    /// The connection ended before anybody had logged in.
    Dropped,
    /// What answers speaks another protocol; the driver's words.
    OtherProtocol(String),
    /// We insist on TLS, the server has none.
    TlsNotOffered,
    /// The server insists on TLS, we were told not to.
    TlsRequired,
    /// The server's certificate was not accepted.
    Certificate(Certificate),
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

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// No authority that we know signed it.
    UnknownAuthority,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is made out to another host.
    OtherName,
    /// Something else, in the TLS library's words.
    Other(String),
}

impl Reason {
    /// Whether it may go away by waiting. An unknown host may: a container's name is known once the container runs.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::UnknownHost
                | Self::Refused
                | Self::NoRoute(_)
                | Self::TimedOut(_)
                | Self::NoSocket
                | Self::Dropped
                | Self::TooManyConnections
                | Self::StartingUp
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { what, cause, fix } = self.explanation();
        write!(f, "{what}: {cause}; {fix}")
    }
}

impl std::error::Error for Failure {}
