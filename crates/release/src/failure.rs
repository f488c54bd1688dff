//! Why a file did not come from a server.
use finding::{Peer, Unreached};
use reqwest::StatusCode;
use url::Url;

use crate::error::ReleaseError;
use crate::patience::Patience;

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server was not reached, or stopped in the middle.
    #[error("{url} did not come: {what}")]
    Broken {
        /// The file, to show.
        url: String,
        /// What was seen.
        what: String,
        /// What to do.
        fix: String,
        /// There was not even a connection.
        away: bool,
    },
    /// The server has no such file.
    #[error("there is no {}", shown(.0))]
    NotThere(Url),
    /// The server answers something else.
    #[error("{} is answered with {status}", shown(url))]
    Status {
        /// The file.
        url: Url,
        /// The answer.
        status: StatusCode,
    },
    /// It is larger than such a file may be.
    #[error("{} is larger than {most} bytes, the most that such a file may have", shown(url))]
    TooLarge {
        /// The file.
        url: Url,
        /// The limit.
        most: u64,
    },
    /// It leads somewhere where nobody should go.
    #[error("{} leads to {to}", shown(from))]
    Redirect {
        /// The file.
        from: Url,
        /// Where to, and what is wrong there.
        to: String,
    },
    /// It is a page for people.
    #[error("{} is a web page, not a release: a portal of this network may want somebody to sign in", shown(.0))]
    WebPage(Url),
    /// The disk refuses.
    #[error(transparent)]
    Disk(#[from] ReleaseError),
}

impl DownloadError {
    pub(crate) fn unreached(url: &Url, error: &reqwest::Error, patience: &Patience) -> Self {
        let host = url.host_str().unwrap_or_default();
        let place = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        let unreached = if error.is_timeout() {
            Unreached::TimedOut(Some(if error.is_connect() { patience.connect } else { patience.silence }))
        } else {
            Unreached::of(error, None)
        };
        let finding = unreached.finding(&Peer { host, place: &place, service: "the server of the releases" });
        Self::Broken { url: shown(url), what: finding.what, fix: finding.fix, away: error.is_connect() }
    }

    pub(crate) fn redirect(from: &Url, to: &str) -> Self {
        Self::Redirect { from: from.clone(), to: to.to_owned() }
    }

    pub(crate) fn broken(url: &Url, what: impl Into<String>) -> Self {
        let fix = "try again: what has come so far is kept".to_owned();
        Self::Broken { url: shown(url), what: what.into(), fix, away: false }
    }

    /// Whether asking the same server again may help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Broken { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error()
                    || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            }
            _ => false,
        }
    }
}

/// A URL to show: a query or a login may be secret.
pub(crate) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = (shown.set_username(""), shown.set_password(None));
    let query = if shown.query().is_some() { "?..." } else { "" };
    shown.set_query(None);
    shown.set_fragment(None);
    format!("{shown}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        let url = "https://me:pass@example.com/a.tar.gz?token=secret#x".parse().unwrap();
        assert_eq!(shown(&url), "https://example.com/a.tar.gz?...");
    }
}
