//! A connection to a service, plain or over TLS, or the exact reason why there is none.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::check::Explanation;
use crate::trust::{Flaw, Shown, Trust, Witness};

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Place {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        let host = host.escape_debug();
        if self.host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// When the time is up, and how much of it there was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    /// `None`: beyond what a clock can count.
    at: Option<Instant>,
    allowed: Duration,
}

impl Deadline {
    pub(crate) fn after(allowed: Duration) -> Self {
        Self { at: Instant::now().checked_add(allowed), allowed }
    }

    /// The work's result, or that it took too long.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Unreached> {
        match self.at {
            Some(at) => timeout_at(at, work).await.map_err(|_| Unreached::TimedOut(self.allowed)),
            None => Ok(work.await),
        }
    }

    /// An equal part of the time left, for one of so many attempts.
    fn share(&self, attempts: usize) -> Duration {
        let left = self.at.map_or(self.allowed, |at| at.saturating_duration_since(Instant::now()));
        left / u32::try_from(attempts.max(1)).unwrap_or(u32::MAX)
    }
}

/// Why a service cannot be talked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// The name has no address.
    UnknownHost,
    /// Nothing listens there.
    Refused,
    /// The network does not lead there; the system's words.
    NoRoute(String),
    /// No answer within this time.
    TimedOut(Duration),
    /// The other side hung up.
    Dropped,
    /// TLS was begun, and the answer was something else.
    NotTls,
    /// The certificate is not to be believed.
    Certificate(Flaw),
    /// There is nobody to believe: the machine's store of authorities is empty, or an extra one cannot be used.
    Authorities(String),
    /// The two sides found no common TLS.
    Handshake(String),
    /// An answer that is not in the protocol.
    Garbled(String),
}

/// Opens a TCP connection.
pub(crate) async fn connect(place: &Place, deadline: Deadline) -> Result<TcpStream, Unreached> {
    let found = deadline.within(tokio::net::lookup_host((place.host.as_str(), place.port))).await?;
    let addresses: Vec<_> = found.map_err(|_| Unreached::UnknownHost)?.collect();
    // An address family that leads nowhere must not use up the time of the one that works.
    let mut failure = Unreached::UnknownHost;
    for (tried, address) in addresses.iter().enumerate() {
        let share = deadline.share(addresses.len() - tried);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small messages, each waited for.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failure = broken(&error),
            Err(_) => failure = Unreached::TimedOut(deadline.allowed),
        }
    }
    Err(failure)
}

/// Begins TLS on a connection. The certificate is returned, good or bad; so whoever calls decides what may be
/// said over the connection.
pub(crate) async fn begin_tls(
    stream: TcpStream,
    place: &Place,
    trust: &Trust,
    deadline: Deadline,
) -> Result<(TlsStream<TcpStream>, Shown), Unreached> {
    let unable = |why: String| Unreached::Handshake(why);
    let (witness, config) = Witness::new(trust).map_err(|error| Unreached::Authorities(error.to_string()))?;
    let name = ServerName::try_from(place.host.clone()).map_err(|error| unable(error.to_string()))?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = deadline.within(handshake).await?.map_err(|error| broken(&error))?;
    let shown = witness.shown().ok_or_else(|| unable("the server showed no certificate".to_owned()))?;
    Ok((stream, shown))
}

/// What a system's or rustls's error means.
pub(crate) fn broken(error: &io::Error) -> Unreached {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return match tls {
            rustls::Error::InvalidMessage(_) => Unreached::NotTls,
            other => Unreached::Handshake(other.to_string()),
        };
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => Unreached::Refused,
        ErrorKind::TimedOut => Unreached::NoRoute("the system gave up waiting".to_owned()),
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => Unreached::Dropped,
        _ => Unreached::NoRoute(error.to_string()),
    }
}

impl Unreached {
    /// What it means for an operator; `service` is what should be at the place, such as `the mail server`.
    pub(crate) fn explanation(&self, place: &Place, service: &str) -> Explanation {
        let Place { host, port } = place;
        let host = host.escape_debug();
        match self {
            Unreached::UnknownHost => Explanation::new(
                format!("the host name {host} is unknown"),
                "the resolver has no address for it",
                "correct the name; between containers it is the service's name, and both must be on one network",
            ),
            Unreached::Refused => Explanation::new(
                format!("nothing listens on {place}"),
                format!("{service} is not running, or listens on another address or port"),
                format!(
                    "start it, or correct the host and port; from inside a container, `localhost` is the container itself ({host})"
                ),
            ),
            Unreached::NoRoute(why) => Explanation::new(
                format!("there is no way to {place} ({why})"),
                "the network between here and there is down, or the address is wrong",
                "check the address and the route to it",
            ),
            Unreached::TimedOut(allowed) => Explanation::new(
                format!("no answer from {place} within {allowed:.1?}"),
                "a firewall drops the packets, or the machine is down",
                format!("check that port {port} of {host} is open from here"),
            ),
            Unreached::Dropped => Explanation::new(
                format!("{place} hung up without an answer"),
                format!("{service} does not let this machine in, or another program has this port"),
                format!("check the port, and the log of {service}"),
            ),
            Unreached::NotTls => Explanation::new(
                format!("{place} does not speak TLS"),
                "the port is a plain one",
                "use the TLS port, or address it without TLS",
            ),
            Unreached::Handshake(why) => Explanation::new(
                format!("no TLS connection to {place} came about ({why})"),
                "the two sides have no TLS version or cipher in common, or the host name is not served there",
                "TLS 1.2 or later is needed; check the host name and the server's TLS settings",
            ),
            Unreached::Authorities(why) => Explanation::new(
                format!("the trusted certificates of this machine cannot be used ({why})"),
                "the package ca-certificates is missing, or a certificate given beside it is none",
                "install ca-certificates, or name a bundle in SSL_CERT_FILE",
            ),
            Unreached::Garbled(why) => Explanation::new(
                format!("{place} gave an answer that cannot be understood ({why})"),
                "another kind of program has this port, or it expects TLS",
                format!("check that {service} is at this port, and whether it wants TLS"),
            ),
            Unreached::Certificate(flaw) => flaw.explanation(place),
        }
    }
}

impl Flaw {
    /// What it means for an operator.
    pub(crate) fn explanation(&self, place: &Place) -> Explanation {
        let host = place.host.escape_debug();
        let is = |flaw: &str| format!("the certificate of {place} {flaw}");
        match self {
            Flaw::Expired => Explanation::new(
                is("has expired"),
                "it was not renewed in time",
                "renew it; if it is new, check this machine's clock",
            ),
            Flaw::NotYetValid => Explanation::new(
                is("is not valid yet"),
                "one of the two clocks is wrong",
                "set this machine's clock; then the one it was made with",
            ),
            Flaw::OtherName(names) => Explanation::new(
                is(&format!("is not made out to {host}")),
                match &names[..] {
                    [] => "it holds other names".to_owned(),
                    names => format!("it holds {}", names.join(", ").escape_debug()),
                },
                format!("use a name that it holds, or have one made out to {host}"),
            ),
            Flaw::SelfSigned => Explanation::new(
                is("is self-signed"),
                "nobody but itself vouches for it",
                "get one from an authority, such as Let's Encrypt, or add this one to the system's trusted certificates here and on every client",
            ),
            Flaw::Alone => Explanation::new(
                is("comes without the one that signed it"),
                "the server sends only its own certificate and not the intermediate one, or the authority is a private one; browsers often hide this, mobile apps do not",
                "let the server send the full chain (fullchain.pem instead of cert.pem); a private authority is added to the system's trusted certificates",
            ),
            Flaw::UnknownAuthority => Explanation::new(
                is("is signed by nobody we know"),
                "the authority is a private one, or the chain is not complete",
                "send the full chain (fullchain.pem), or add the private authority to the system's trusted certificates",
            ),
            Flaw::Other(why) => Explanation::new(
                is(&format!("was not accepted ({why})")),
                "it does not keep the rules for server certificates",
                "have it made anew",
            ),
        }
    }
}
