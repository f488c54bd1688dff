//! Why another machine or program cannot be talked to: one classification for every protocol.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use crate::certificate::CertificateFlaw;
use crate::finding::Finding;
use crate::location::Location;
use crate::peer::Peer;
use crate::text::one_line;

/// Characters of a library's words that are shown at most.
const WORDS: usize = 200;

/// Why there is no connection, or no answer over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// The host name has no address.
    UnknownHost,
    /// Nothing listens there.
    Refused,
    /// The network does not lead there; the system's words.
    NoRoute(String),
    /// No answer within this time; `None` where the system gave up by itself.
    TimedOut(Option<Duration>),
    /// The other side closed the connection before it had answered.
    Dropped,
    /// TLS was begun, and the answer was something else.
    NotTls,
    /// The certificate is not accepted.
    Certificate(CertificateFlaw),
    /// This machine has no usable certificates of authorities.
    NoAuthorities(String),
    /// The two sides found no common TLS.
    Handshake(String),
    /// The answer is not in the protocol.
    Garbled(String),
    /// Something else; the library's words.
    Other(String),
}

impl Unreached {
    /// What an error of a connection means. Its causes are searched, and the deepest that is recognized counts, because the
    /// outer ones say little more than that sending failed. `allowed` is the time limit that was set.
    pub fn of(error: &(dyn Error + 'static), allowed: Option<Duration>) -> Self {
        let mut found = None;
        let mut deepest = error;
        for cause in std::iter::successors(Some(error), |error| inner(*error)) {
            found = recognized(cause, allowed).or(found);
            deepest = cause;
        }
        found.unwrap_or_else(|| Self::Other(one_line(&deepest.to_string(), WORDS)))
    }

    /// Whether waiting may help. An unknown host may become known: a container's name is, once the container runs.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::UnknownHost | Self::Refused | Self::NoRoute(_) | Self::TimedOut(_) | Self::Dropped
        )
    }

    /// The finding, in words that fit every service. A caller that knows more about its own replaces cause or fix.
    pub fn finding(&self, peer: &Peer<'_>) -> Finding {
        let Peer { host, place, service } = peer;
        let host = host.escape_debug();
        let finding = match self {
            Self::UnknownHost => Finding::error(
                format!("the host name {host} is unknown"),
                format!("DNS has no address for `{host}` that this machine can see"),
                "correct the name, or add its DNS record (A or AAAA); between containers it is the service's name or the link's \
                 alias, and both must be on one network",
            ),
            Self::Refused => Finding::error(
                format!("nothing listens on {place}"),
                format!("{service} is not running, or listens on another address or port"),
                "start it, or correct the host and port; inside a container, `localhost` is the container itself",
            ),
            Self::NoRoute(why) => Finding::error(
                format!("{place} cannot be reached ({why})"),
                "the network between this machine and that one is down, a firewall rejects the connection, or the address is wrong",
                "check the address, the route to it, and the firewall's rules for this port",
            ),
            Self::TimedOut(allowed) => Finding::error(
                match allowed {
                    Some(allowed) => format!("no answer from {place} within {allowed:.1?}"),
                    None => format!("no answer from {place}"),
                },
                "a firewall drops the packets, or the machine is down",
                format!("check that {place} can be reached from this machine"),
            ),
            Self::Dropped => Finding::error(
                format!("{place} closed the connection without an answer"),
                format!(
                    "{service} does not accept connections from this machine or is restarting, or another program has this port"
                ),
                format!("check the port, and the log of {service}"),
            ),
            Self::NotTls => Finding::error(
                format!("{place} does not speak TLS"),
                "the port is for unencrypted connections",
                "use the port for TLS, or connect without TLS",
            ),
            Self::Certificate(flaw) => flaw.finding(peer),
            Self::NoAuthorities(why) => Finding::error(
                format!("the trusted certificates of this machine cannot be used ({why})"),
                "the package ca-certificates is missing, or a certificate that was added to them is damaged",
                "install ca-certificates, or name a bundle in SSL_CERT_FILE",
            ),
            Self::Handshake(why) => Finding::error(
                format!("TLS with {place} failed ({why})"),
                "the two sides have no TLS version or cipher in common, or the host name is not served there",
                "allow TLS 1.2 and 1.3 there, and check the host name",
            ),
            Self::Garbled(why) => Finding::error(
                format!("{place} gave an answer that makes no sense ({why})"),
                "another kind of program has this port, or it expects TLS",
                format!("check that {service} is at this port, and whether it expects TLS"),
            ),
            Self::Other(why) => Finding::error(
                format!("the connection to {place} failed ({why})"),
                "this is none of the known causes",
                format!("try again; if it fails again, read the log of {service}"),
            ),
        };
        finding.at(Location::Address((*place).to_owned()))
    }
}

impl fmt::Display for Unreached {
    /// What was seen, without the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownHost => f.write_str("the host name does not resolve to an address"),
            Self::Refused => f.write_str("the connection was refused"),
            Self::NoRoute(why) => write!(f, "the address cannot be reached ({why})"),
            Self::TimedOut(Some(allowed)) => write!(f, "no answer within {} s", allowed.as_secs_f64()),
            Self::TimedOut(None) => f.write_str("no answer"),
            Self::Dropped => f.write_str("the connection was closed before the answer was complete"),
            Self::NotTls => f.write_str("the other side does not speak TLS"),
            Self::Certificate(flaw) => write!(f, "the certificate {flaw}"),
            Self::NoAuthorities(why) => {
                write!(f, "the trusted certificates of this machine cannot be used ({why})")
            }
            Self::Handshake(why) => write!(f, "TLS failed ({why})"),
            Self::Garbled(why) => write!(f, "the answer makes no sense ({why})"),
            Self::Other(why) => write!(f, "the connection failed ({why})"),
        }
    }
}

/// The next cause. An `io::Error` made from another error hides it from `source`.
fn inner<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    let hidden = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    hidden.map(|error| error as &(dyn Error + 'static)).or_else(|| error.source())
}

/// What one cause means by itself, where that is known.
fn recognized(cause: &(dyn Error + 'static), allowed: Option<Duration>) -> Option<Unreached> {
    #[cfg(feature = "rustls")]
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(of_rustls(error));
    }
    #[cfg(feature = "hyper")]
    if let Some(error) = cause.downcast_ref::<hyper::Error>() {
        return of_hyper(error, allowed);
    }
    // The types of a failed look-up are private, in the standard library as in hyper. Their wording is not.
    let text = cause.to_string();
    if text.starts_with("dns error") || text.starts_with("failed to lookup address") {
        return Some(Unreached::UnknownHost);
    }
    let error = cause.downcast_ref::<io::Error>()?;
    match error.kind() {
        ErrorKind::ConnectionRefused => Some(Unreached::Refused),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Some(Unreached::Dropped),
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => Some(Unreached::NoRoute(one_line(&error.to_string(), WORDS))),
        // The kernel has a limit of its own.
        ErrorKind::TimedOut => Some(Unreached::TimedOut(allowed.filter(|_| error.raw_os_error().is_none()))),
        _ => None,
    }
}

#[cfg(feature = "rustls")]
fn of_rustls(error: &rustls::Error) -> Unreached {
    match error {
        rustls::Error::InvalidCertificate(error) => Unreached::Certificate(error.into()),
        rustls::Error::InvalidMessage(_) => Unreached::NotTls,
        other => Unreached::Handshake(one_line(&other.to_string(), WORDS)),
    }
}

#[cfg(feature = "hyper")]
fn of_hyper(error: &hyper::Error, allowed: Option<Duration>) -> Option<Unreached> {
    match error {
        error if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => {
            Some(Unreached::Dropped)
        }
        error if error.is_parse() => Some(Unreached::Garbled(one_line(&error.to_string(), WORDS))),
        error if error.is_timeout() => Some(Unreached::TimedOut(allowed)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Peer<'_> = Peer { host: "chat.example", place: "chat.example:443", service: "the proxy" };

    /// An error as a library hands it on: wrapped in one that says nothing.
    #[derive(Debug)]
    struct Sending(io::Error);

    impl fmt::Display for Sending {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("error sending request")
        }
    }

    impl Error for Sending {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn failures_of_a_connection_are_told_apart_however_deep_they_are() {
        let limit = Some(Duration::from_secs(3));
        for (kind, expected) in [
            (ErrorKind::ConnectionRefused, Unreached::Refused),
            (ErrorKind::ConnectionReset, Unreached::Dropped),
            (ErrorKind::UnexpectedEof, Unreached::Dropped),
            (ErrorKind::HostUnreachable, Unreached::NoRoute("host unreachable".to_owned())),
            (ErrorKind::TimedOut, Unreached::TimedOut(limit)),
        ] {
            assert_eq!(Unreached::of(&io::Error::from(kind), limit), expected);
            let twice = Sending(io::Error::other(Sending(kind.into())));
            assert_eq!(Unreached::of(&twice, limit), expected);
        }
        let kernel = io::Error::from(rustix::io::Errno::TIMEDOUT);
        assert_eq!(Unreached::of(&kernel, limit), Unreached::TimedOut(None));
        let odd = Sending(io::Error::other("bad\n\u{1b}[2Jday"));
        assert_eq!(Unreached::of(&odd, None), Unreached::Other("bad [2Jday".to_owned()));
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_from_a_machine_that_does_not_answer() {
        use std::net::ToSocketAddrs as _;
        let error = "name.invalid:80".to_socket_addrs().expect_err("RFC 6761 reserves it");
        assert_eq!(Unreached::of(&error, None), Unreached::UnknownHost);
        assert_eq!(Unreached::of(&io::Error::other("dns error"), None), Unreached::UnknownHost);
    }

    #[cfg(feature = "rustls")]
    #[test]
    fn failures_of_tls_are_told_apart() {
        use rustls::{CertificateError as E, Error, InvalidMessage};
        let flaw = |error| Error::InvalidCertificate(error);
        for (error, expected) in [
            (flaw(E::UnknownIssuer), Unreached::Certificate(CertificateFlaw::UnknownAuthority)),
            (flaw(E::NotValidForName), Unreached::Certificate(CertificateFlaw::OtherName(Vec::new()))),
            (
                flaw(E::NotValidForNameContext {
                    expected: rustls::pki_types::ServerName::try_from("chat.example").unwrap().to_owned(),
                    presented: vec!["DnsName(\"a.example\")".to_owned(), "IpAddress(::1)".to_owned()],
                }),
                Unreached::Certificate(CertificateFlaw::OtherName(vec!["a.example".into(), "::1".into()])),
            ),
            (flaw(E::Expired), Unreached::Certificate(CertificateFlaw::Expired)),
            (flaw(E::NotValidYet), Unreached::Certificate(CertificateFlaw::NotYetValid)),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), Unreached::NotTls),
            (Error::HandshakeNotComplete, Unreached::Handshake("handshake not complete".to_owned())),
        ] {
            // As it arrives: wrapped in an io::Error.
            let wrapped = Sending(io::Error::new(ErrorKind::InvalidData, error));
            assert_eq!(Unreached::of(&wrapped, None), expected);
        }
    }

    #[test]
    fn each_failure_has_its_own_words_and_the_place() {
        let flaws = [
            CertificateFlaw::Expired,
            CertificateFlaw::NotYetValid,
            CertificateFlaw::OtherName(vec!["a.example".to_owned(), "b\u{1b}.example".to_owned()]),
            CertificateFlaw::SelfSigned,
            CertificateFlaw::Alone,
            CertificateFlaw::UnknownAuthority,
            CertificateFlaw::Other("odd".to_owned()),
        ];
        let mut all = vec![
            Unreached::UnknownHost,
            Unreached::Refused,
            Unreached::NoRoute("down".to_owned()),
            Unreached::TimedOut(Some(Duration::from_millis(1500))),
            Unreached::Dropped,
            Unreached::NotTls,
            Unreached::NoAuthorities("none".to_owned()),
            Unreached::Handshake("no".to_owned()),
            Unreached::Garbled("x".to_owned()),
            Unreached::Other("y".to_owned()),
        ];
        all.extend(flaws.map(Unreached::Certificate));
        let findings: Vec<_> = all.iter().map(|one| one.finding(&PEER)).collect();
        for (at, finding) in findings.iter().enumerate() {
            assert_eq!(finding.location, Some(Location::Address("chat.example:443".to_owned())));
            assert!(!finding.to_string().contains(char::is_control), "{finding}");
            let twin = findings[..at]
                .iter()
                .find(|other| other.what == finding.what || other.cause == finding.cause);
            assert_eq!(twin, None, "{finding}");
        }
        let passing: Vec<_> = all.iter().map(Unreached::may_pass).collect();
        assert_eq!(passing.iter().rposition(|may| *may), Some(4), "no TLS failure goes away by waiting");
        assert!(passing[..5].iter().all(|may| *may));
        assert!(findings[3].what.contains("within 1.5s"), "{}", findings[3]);
        assert!(findings[12].cause.contains("a.example, b .example"), "{}", findings[12]);
    }
}
