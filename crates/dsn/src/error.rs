//! Why an address cannot be read or written. No error repeats more of the text than one character that no host name has: all of it may
//! be a mistyped password.

use std::fmt;

/// Why an address cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No form that we know.
    #[error(
        "this is not a database address; write postgres://USER:PASSWORD@HOST:5432/NAME, mysql://USER:PASSWORD@HOST:3306/NAME, \
         USER:PASSWORD@tcp(HOST:3306)/NAME or sqlite:PATH"
    )]
    Unknown,
    /// Another scheme before `://`.
    #[error(
        "the scheme {0:?} is not a kind of database that Mainstay knows; write postgres, postgresql, mysql, mariadb or sqlite"
    )]
    Scheme(String),
    /// Not a host name.
    #[error(
        "the host of the database address is malformed ({0}); write one name, an IPv4 address, an IPv6 address in brackets ([::1]), \
         or the path of a Unix socket's directory. Special characters in the password must be percent-encoded (@ as %40, / as %2F)"
    )]
    Host(hostname::NotAHost),
    /// A bracket of an IPv6 address without its partner, or something after it.
    #[error(
        "the host of the database address has a bracket in the wrong place; write an IPv6 address as [::1], and a port as [::1]:5432"
    )]
    Bracket,
    /// Several hosts, separated by commas.
    #[error(
        "the database address names several hosts; Mattermost's driver takes one: name the primary, or a proxy or DNS name that \
         leads to it"
    )]
    Hosts,
    /// Not a port.
    #[error(
        "the port of the database address is not a number from 1 to 65535; if this is a part of the password, percent-encode \
         its special characters (: as %3A, @ as %40, / as %2F)"
    )]
    Port,
    /// A `/`, `?` or `#` in a password that is not encoded.
    #[error(
        "the user or password of the database address contains an unencoded / ? or #; percent-encode them (/ as %2F, ? as %3F, # as %23)"
    )]
    Unencoded,
    /// A `%` without two hexadecimal digits, or bytes that are not UTF-8.
    #[error(
        "the {0} of the database address contains a % that begins no valid UTF-8 escape; write a percent sign as %25"
    )]
    Escape(&'static str),
    /// A NUL character, which no database protocol can transmit.
    #[error("the {0} of the database address contains a NUL character, which no database accepts")]
    Nul(&'static str),
    /// A parameter twice, or a parameter for a part that is already there.
    #[error("the database address gives {0} twice; give it once")]
    Twice(String),
    /// A parameter with a value that is not allowed.
    #[error("the parameter {key} of the database address cannot have this value; allowed: {allowed}")]
    Parameter {
        /// Its name.
        key: String,
        /// The values that are allowed.
        allowed: &'static str,
    },
    /// An unknown network in a Go DSN.
    #[error("the network of the MySQL DSN is unknown; write tcp(HOST:PORT) or unix(/PATH/OF/SOCKET)")]
    Network,
}

/// A part of an address that Mattermost's driver cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// The driver would take these characters for the end of the part.
    #[error("the {part} cannot be written into a database address: it must be text without {without:?}")]
    Characters {
        /// Which part.
        part: Part,
        /// What it must not contain.
        without: &'static [char],
    },
    /// No database accepts it.
    #[error("the {0} contains a NUL character, which no database accepts")]
    Nul(Part),
    /// The driver reads certificate authorities from the system alone.
    #[error(
        "a file of certificate authorities cannot be written into an address of MySQL; add them to the system's"
    )]
    Authorities,
}

/// A part of an address that is free text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The user.
    User,
    /// Their password.
    Password,
    /// The database's name.
    Name,
    /// The path of a Unix socket.
    Socket,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Password => "password",
            Self::Name => "database name",
            Self::Socket => "path of the socket",
        })
    }
}
