//! A connection to a service, plain or over TLS, or the exact reason why there is none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use finding::{Finding, Peer, Unreached};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::trust::{Presented, Recorder, Trust};

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

    /// Why there is no connection to this place; `service` is what should listen there, such as `the mail server`.
    pub(crate) fn finding(&self, unreached: &Unreached, service: &str) -> Finding {
        unreached.finding(&Peer { host: &self.host, place: &self.to_string(), service })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        let host = host.escape_debug();
        if self.host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A moment, and the time allowed until it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    /// `None`: later than the clock can count.
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
            Some(at) => timeout_at(at, work).await.map_err(|_| self.passed()),
            None => Ok(work.await),
        }
    }

    /// That it is over.
    fn passed(&self) -> Unreached {
        Unreached::TimedOut(Some(self.allowed))
    }

    /// What an error means that came before the deadline.
    pub(crate) fn explains(&self, error: &(dyn std::error::Error + 'static)) -> Unreached {
        Unreached::of(error, Some(self.allowed))
    }

    /// An equal part of the time left, for one of so many attempts.
    fn share(&self, attempts: usize) -> Duration {
        let left = self.at.map_or(self.allowed, |at| at.saturating_duration_since(Instant::now()));
        left / u32::try_from(attempts.max(1)).unwrap_or(u32::MAX)
    }
}

/// Opens a TCP connection.
pub(crate) async fn connect(place: &Place, deadline: Deadline) -> Result<TcpStream, Unreached> {
    let found = deadline.within(tokio::net::lookup_host((place.host.as_str(), place.port))).await?;
    let addresses: Vec<_> = found.map_err(|_| Unreached::UnknownHost)?.collect();
    // An unreachable IPv6 address must not use up the time of the IPv4 address that works.
    let mut failure = Unreached::UnknownHost;
    for (tried, address) in addresses.iter().enumerate() {
        let share = deadline.share(addresses.len() - tried);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // The messages are small, and each waits for an answer.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failure = deadline.explains(&error),
            Err(_) => failure = deadline.passed(),
        }
    }
    Err(failure)
}

/// Starts TLS on a connection. The certificate is returned whether it is valid or not: the caller decides what may be sent.
pub(crate) async fn begin_tls(
    stream: TcpStream,
    place: &Place,
    trust: &Trust,
    deadline: Deadline,
) -> Result<(TlsStream<TcpStream>, Presented), Unreached> {
    let unable = |why: String| Unreached::Handshake(why);
    let (recorder, config) =
        Recorder::new(trust).map_err(|error| Unreached::NoAuthorities(error.to_string()))?;
    let name = ServerName::try_from(place.host.clone()).map_err(|error| unable(error.to_string()))?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = deadline.within(handshake).await?.map_err(|error| deadline.explains(&error))?;
    let presented =
        recorder.presented().ok_or_else(|| unable("the server sent no certificate".to_owned()))?;
    Ok((stream, presented))
}
