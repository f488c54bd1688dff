//! What can be wrong with a server's certificate.

use std::fmt;

use crate::finding::Finding;
use crate::peer::Peer;
use crate::text::one_line;

/// Names of a certificate that are shown at most: some have hundreds.
const NAMES: usize = 5;

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateFlaw {
    /// Its last day is over.
    Expired,
    /// Its first day has not come.
    NotYetValid,
    /// It does not name the host, but these; empty where they are not known.
    OtherName(Vec<String>),
    /// It is signed with its own key.
    SelfSigned,
    /// It was sent alone, and the authority that signed it is not among the trusted ones.
    Alone,
    /// No trusted authority stands behind it.
    UnknownAuthority,
    /// Something else, in the TLS library's words.
    Other(String),
}

impl CertificateFlaw {
    pub(crate) fn finding(&self, peer: &Peer<'_>) -> Finding {
        let host = peer.host.escape_debug();
        let (cause, fix) = match self {
            Self::Expired => (
                "it was not renewed, or the renewed one was not loaded".to_owned(),
                "renew it and reload the program that shows it, and find out why the renewal did not run (port 80 closed, DNS \
                 changed); if it is new, check this machine's clock"
                    .to_owned(),
            ),
            Self::NotYetValid => (
                "the clock of this machine is wrong, or that of the machine that made it".to_owned(),
                "check both clocks (`timedatectl`)".to_owned(),
            ),
            Self::OtherName(names) => (
                match &names[..] {
                    [] => format!("it does not name `{host}`"),
                    names => format!("it names {}, not `{host}`", shown(names)),
                },
                format!("use a name that the certificate holds, or get one that holds this name: `{host}`"),
            ),
            Self::SelfSigned => (
                "a self-signed certificate is often one that a proxy or an installer made for itself".to_owned(),
                format!(
                    "get one for `{host}` from an authority, such as Let's Encrypt, or add this one to the trusted certificates of \
                     this machine and of every client"
                ),
            ),
            Self::Alone => (
                "the server sends only its own certificate and not the intermediate one, or the authority is a private one; \
                 browsers often hide this, mobile apps do not"
                    .to_owned(),
                "let the server send the full chain (fullchain.pem instead of cert.pem); add a private authority to the trusted \
                 certificates of this machine and of every client"
                    .to_owned(),
            ),
            Self::UnknownAuthority => (
                "the authority is a private one, or the server does not send the intermediate certificate".to_owned(),
                "let the server send the full chain (fullchain.pem instead of cert.pem), or add the private authority to the \
                 trusted certificates of every client, and of this machine (or name it in SSL_CERT_FILE)"
                    .to_owned(),
            ),
            Self::Other(_) => (
                "it is damaged, revoked, or made for another purpose than a server's".to_owned(),
                format!("get a new certificate for `{host}`, with the key usage of a server"),
            ),
        };
        Finding::error(format!("the certificate of {} {self}", peer.place), cause, fix)
    }
}

fn shown(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(NAMES).map(|name| one_line(name, 100)).collect();
    let more = if names.len() > NAMES { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

impl fmt::Display for CertificateFlaw {
    /// The rest of a sentence that begins with "the certificate".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("has expired"),
            Self::NotYetValid => f.write_str("is not valid yet"),
            Self::OtherName(_) => f.write_str("is for another name"),
            Self::SelfSigned => f.write_str("is self-signed"),
            Self::Alone => f.write_str("comes without the certificate that signed it"),
            Self::UnknownAuthority => f.write_str("is signed by an unknown authority"),
            Self::Other(why) => write!(f, "was not accepted ({why})"),
        }
    }
}

#[cfg(feature = "rustls")]
impl From<&rustls::CertificateError> for CertificateFlaw {
    fn from(error: &rustls::CertificateError) -> Self {
        use rustls::CertificateError as E;
        match error {
            E::Expired | E::ExpiredContext { .. } => Self::Expired,
            E::NotValidYet | E::NotValidYetContext { .. } => Self::NotYetValid,
            E::NotValidForName => Self::OtherName(Vec::new()),
            E::NotValidForNameContext { presented, .. } => {
                Self::OtherName(presented.iter().map(|name| bare(name)).collect())
            }
            E::UnknownIssuer => Self::UnknownAuthority,
            // The verifier's own error, which has no public type: an authority's certificate used as a server's.
            other if format!("{other:?}").contains("CaUsedAsEndEntity") => Self::SelfSigned,
            other => Self::Other(one_line(&other.to_string(), 200)),
        }
    }
}

/// The name in rustls's `DnsName("chat.example")` or `IpAddress(127.0.0.1)`.
#[cfg(feature = "rustls")]
fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"').to_owned()
}
