//! The other end of a connection.

/// The other end of a connection, as a message names it.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// A host name or an address.
    pub host: &'a str,
    /// Host and port, or the path of a socket.
    pub place: &'a str,
    /// What should listen there, such as `the mail server`.
    pub service: &'a str,
}
