//! What was seen when something was not as it should be, as data.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use crate::answer::{Answer, one_line};

/// A symptom and what was being done when it showed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{during}: {symptom}")]
pub struct Fault {
    /// The request or step, for example `POST /api/v4/users`. Holds no secret.
    pub during: String,
    /// What was seen.
    pub symptom: Symptom,
}

/// What was seen. [`diagnosis`](crate::diagnosis) turns it into a cause and a fix.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Symptom {
    /// The host name has no address.
    #[error("the host name does not resolve to an address")]
    UnknownHost,
    /// Nothing listens there.
    #[error("the connection was refused")]
    Refused,
    /// There is no way to that address.
    #[error("the address cannot be reached")]
    Unreachable,
    /// The other side hung up before it had answered.
    #[error("the connection was closed before the answer was complete")]
    Cut,
    /// No answer in time.
    #[error("no answer within {}", seconds(.after))]
    Timeout {
        /// The limit that passed.
        after: Duration,
    },
    /// The TLS handshake failed.
    #[error("TLS failed: {0}")]
    Tls(Tls),
    /// What came back is not HTTP.
    #[error("the answer is not HTTP")]
    NotHttp,
    /// A failure of the connection that fits none of the above.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// An answer that says no.
    #[error("{0}")]
    Answer(Box<Answer>),
    /// The answer's body is not what the API sends.
    #[error("the answer is not Mattermost's JSON: {found}")]
    NotApi {
        /// What it is instead.
        found: String,
    },
    /// JSON under a content type that the official clients do not take for JSON.
    #[error("the answer's Content-Type is `{found}`, not exactly `application/json`")]
    ContentType {
        /// What was sent.
        found: String,
    },
    /// The body is larger than anything this test asks for.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// Bytes read at most.
        limit: usize,
    },
    /// The answer is well-formed, and wrong.
    #[error("{what}")]
    Wrong {
        /// What is wrong about it.
        what: String,
    },
    /// A part of the server says that it is not well.
    #[error("{part} is {status}")]
    Unhealthy {
        /// Which part.
        part: Part,
        /// What it said.
        status: String,
    },
    /// The server believes to be somewhere else.
    #[error("the server's SiteURL is `{configured}`, but it was reached as `{reached}`")]
    SiteUrl {
        /// What the server says; empty if it is not set.
        configured: String,
        /// The URL under test.
        reached: String,
    },
    /// No account exists: the next one to be made becomes system administrator.
    #[error("the deployment has no account yet")]
    NoAccounts,
    /// Sign-up is closed by the deployment's own settings.
    #[error("the deployment is closed to sign-up")]
    Closed,
    /// The token or account that was given is not a system administrator's.
    #[error("the account given as administrator has the roles `{roles}`")]
    NotAdministrator {
        /// Its roles.
        roles: String,
    },
    /// The websocket did not open, with and without an Origin header.
    #[error("the websocket did not open: {0}")]
    NotUpgraded(Box<Answer>),
    /// The websocket opens without an Origin header, but not with the site's own.
    #[error("the websocket refuses the Origin `{origin}`: {answer}")]
    OriginRefused {
        /// The Origin sent.
        origin: String,
        /// The refusal.
        answer: Box<Answer>,
    },
    /// The websocket opens for pages of foreign sites.
    #[error("the websocket opened for the foreign Origin `{origin}`")]
    OriginAccepted {
        /// The Origin sent.
        origin: String,
    },
    /// The websocket was closed.
    #[error("the websocket was closed{}", reason(.code))]
    Closure {
        /// The close code, if a close frame came.
        code: Option<u16>,
    },
    /// The websocket is open and silent.
    #[error("the websocket stayed without {awaited} for {}", seconds(.after))]
    Silent {
        /// What should have come.
        awaited: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// An event is missing between two others.
    #[error("the websocket's event {found} came where {expected} was due")]
    Gap {
        /// The sequence number that was due.
        expected: i64,
        /// The number that came.
        found: i64,
    },
    /// The file that came back is not the one that was sent.
    #[error("{received} bytes came back for {sent} sent, first different at byte {at}")]
    Bytes {
        /// Bytes uploaded.
        sent: usize,
        /// Bytes downloaded.
        received: usize,
        /// First byte that differs.
        at: usize,
    },
    /// A thumbnail or preview is not a picture.
    #[error("the {which} is not a picture: {why}")]
    NotPicture {
        /// `thumbnail` or `preview`.
        which: &'static str,
        /// What the decoder says.
        why: String,
    },
    /// There is no Chromium to run.
    #[error("no Chromium was found")]
    NoChromium,
    /// Chromium ran, and did not do what it should.
    #[error("{0}")]
    Browser(String),
    /// The page reported errors.
    #[error("the page reported: {}", .0.join(" | "))]
    Page(Vec<String>),
    /// The web client shows that it has lost the server.
    #[error("the red bar shows: {0}")]
    RedBar(String),
    /// A fault of the machine that runs the test.
    #[error("this machine: {0}")]
    Machine(String),
}

/// Why TLS failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Tls {
    /// No trusted authority stands behind the certificate.
    #[error("the certificate's issuer is not trusted here")]
    UnknownIssuer,
    /// The certificate is for other names.
    #[error("the certificate is for another name")]
    WrongName,
    /// The certificate's time is over.
    #[error("the certificate has expired")]
    Expired,
    /// The certificate's time has not come.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// The certificate vouches for itself.
    #[error("the certificate is self-signed")]
    SelfSigned,
    /// The certificate is wrong in another way.
    #[error("the certificate is not accepted: {0}")]
    Certificate(String),
    /// The other side does not speak TLS.
    #[error("the other side does not speak TLS")]
    NotTls,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A part of the server with a health of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole server.
    Server,
    /// The database.
    Database,
    /// Where files are kept.
    FileStore,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Server => "the server",
            Self::Database => "the database",
            Self::FileStore => "the file store",
        })
    }
}

/// The symptom behind an error of the HTTP client; `after` is the limit that was set.
pub(crate) fn of_request(error: &reqwest::Error, after: Duration) -> Symptom {
    if error.is_timeout() {
        return Symptom::Timeout { after };
    }
    let mut deepest = Symptom::Connection(one_line(&error.to_string()));
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        // The resolver's error type is private, its wording is not.
        if error.to_string().starts_with("dns error") {
            return Symptom::UnknownHost;
        }
        if let Some(symptom) = of_cause(error, after) {
            deepest = symptom;
        }
        cause = inner(error).or_else(|| error.source());
    }
    deepest
}

/// An `io::Error` made from another error hides it from `source`.
fn inner<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    Some(inner)
}

fn of_cause(error: &(dyn Error + 'static), after: Duration) -> Option<Symptom> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(Symptom::Tls(of_tls(error)));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return match error {
            error if error.is_incomplete_message() || error.is_closed() => Some(Symptom::Cut),
            error if error.is_parse() => Some(Symptom::NotHttp),
            error if error.is_timeout() => Some(Symptom::Timeout { after }),
            _ => None,
        };
    }
    let error = error.downcast_ref::<io::Error>()?;
    match error.kind() {
        ErrorKind::ConnectionRefused => Some(Symptom::Refused),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Some(Symptom::Cut),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => {
            Some(Symptom::Unreachable)
        }
        ErrorKind::TimedOut => Some(Symptom::Timeout { after }),
        _ => None,
    }
}

fn of_tls(error: &rustls::Error) -> Tls {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            Certificate::UnknownIssuer => Tls::UnknownIssuer,
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => Tls::WrongName,
            Certificate::Expired | Certificate::ExpiredContext { .. } => Tls::Expired,
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => Tls::NotYetValid,
            // The verifier's own error, which has no public type: an authority's certificate used as a server's.
            other if format!("{other:?}").contains("CaUsedAsEndEntity") => Tls::SelfSigned,
            other => Tls::Certificate(one_line(&other.to_string())),
        },
        rustls::Error::InvalidMessage(_) => Tls::NotTls,
        other => Tls::Other(one_line(&other.to_string())),
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn reason(code: &Option<u16>) -> String {
    code.map(|code| format!(" with code {code}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_faults_are_told_apart() {
        use rustls::{CertificateError as Certificate, Error, InvalidMessage};
        for (error, expected) in [
            (Error::InvalidCertificate(Certificate::UnknownIssuer), Tls::UnknownIssuer),
            (Error::InvalidCertificate(Certificate::NotValidForName), Tls::WrongName),
            (Error::InvalidCertificate(Certificate::Expired), Tls::Expired),
            (Error::InvalidCertificate(Certificate::NotValidYet), Tls::NotYetValid),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), Tls::NotTls),
        ] {
            // As it arrives: wrapped in an io::Error.
            let wrapped = io::Error::new(ErrorKind::InvalidData, error);
            let cause = inner(&wrapped).expect("io::Error keeps it");
            assert_eq!(of_cause(cause, Duration::ZERO), Some(Symptom::Tls(expected)));
        }
    }

    #[test]
    fn connection_faults_are_told_apart() {
        for (kind, expected) in [
            (ErrorKind::ConnectionRefused, Symptom::Refused),
            (ErrorKind::ConnectionReset, Symptom::Cut),
            (ErrorKind::HostUnreachable, Symptom::Unreachable),
            (ErrorKind::TimedOut, Symptom::Timeout { after: Duration::from_secs(3) }),
        ] {
            assert_eq!(of_cause(&io::Error::from(kind), Duration::from_secs(3)), Some(expected));
        }
    }
}
