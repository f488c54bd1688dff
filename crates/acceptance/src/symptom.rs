//! What was seen when a check failed, as data.

use std::time::Duration;

use finding::Unreached;

use crate::answer::Answer;

/// A symptom, and the request or step in which it was seen.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{during}: {symptom}")]
pub(crate) struct Fault {
    /// The request or step, for example `POST /api/v4/users`. Holds no secret.
    pub during: String,
    /// What was seen.
    pub symptom: Symptom,
}

/// What was seen. `diagnosis.rs` adds the likely cause and the fix.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Symptom {
    /// There is no connection, or no complete answer over it.
    #[error("{0}")]
    Unreached(Unreached),
    /// An answer that refuses the request.
    #[error("{0}")]
    Answer(Box<Answer>),
    /// The answer's body is not what the API sends.
    #[error("the answer is not Mattermost's JSON: {found}")]
    NotApi {
        /// What it is instead.
        found: String,
    },
    /// JSON with a content type that the official clients do not accept as JSON.
    #[error("the answer's Content-Type is `{found}`, not exactly `application/json`")]
    ContentType {
        /// The content type.
        found: String,
    },
    /// The body is larger than anything this test asks for.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// Bytes read at most.
        limit: usize,
    },
    /// The answer is well-formed, but wrong.
    #[error("{what}")]
    Wrong {
        /// What is wrong about it.
        what: String,
    },
    /// A part of the server reports that it does not work.
    #[error("{part} is {status}")]
    Unhealthy {
        /// Which part.
        part: Part,
        /// What it reported.
        status: String,
    },
    /// The server's SiteURL is another one.
    #[error("the server's SiteURL is `{configured}`, but it was reached as `{reached}`")]
    SiteUrl {
        /// The configured one; empty if it is not set.
        configured: String,
        /// The URL under test.
        reached: String,
    },
    /// No account exists: the first one that is created becomes system administrator.
    #[error("the deployment has no account yet")]
    NoAccounts,
    /// The deployment's settings close sign-up.
    #[error("the deployment is closed to sign-up")]
    Closed,
    /// The given token or account is not a system administrator's.
    #[error("the account given as administrator has the roles `{roles}`")]
    NotAdministrator {
        /// Its roles.
        roles: String,
    },
    /// The websocket opened neither with nor without an Origin header.
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
    /// The websocket opens for pages of other sites.
    #[error("the websocket opened for the Origin `{origin}`, which is another site's")]
    OriginAccepted {
        /// The Origin sent.
        origin: String,
    },
    /// Another Origin arrived at the server than the one that was sent.
    #[error("the websocket was asked for with the Origin `{sent}`, and `{arrived}` arrived at the server")]
    OriginRewritten {
        /// The Origin sent.
        sent: String,
        /// What the server says it received.
        arrived: String,
    },
    /// A websocket that was silent for a while was cut.
    #[error("the websocket was cut after {} without a message", seconds(.after))]
    IdleCut {
        /// How long nothing was sent.
        after: Duration,
    },
    /// Requests of this method do not get through, although others do.
    #[error("{answer}")]
    MethodRefused {
        /// PUT or DELETE.
        method: &'static str,
        /// The answer, which is not Mattermost's.
        answer: Box<Answer>,
    },
    /// What the test has made and could not remove.
    #[error("these stay: {}", joined(.0))]
    Stays(Vec<String>),
    /// The websocket was closed.
    #[error("the websocket was closed{}", reason(.code))]
    Closure {
        /// The close code, if a close frame came.
        code: Option<u16>,
    },
    /// The websocket is open, but the expected message does not come.
    #[error("the websocket did not bring {expected_message} within {}", seconds(.after))]
    Silent {
        /// What should have come.
        expected_message: &'static str,
        /// The time waited.
        after: Duration,
    },
    /// An event is missing between two others.
    #[error("the websocket sent event {found} instead of {expected}")]
    Gap {
        /// The expected sequence number.
        expected: i64,
        /// The number received.
        found: i64,
    },
    /// The file that came back is not the one that was sent.
    #[error("{sent} bytes were sent and {received} received; they differ from byte {at} on")]
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
    /// Chromium is not installed.
    #[error("no Chromium was found")]
    NoChromium,
    /// Chromium, or the page in it, did not do what was expected.
    #[error("{0}")]
    Browser(String),
    /// The page reported errors.
    #[error("the page reported: {}", .0.join(" | "))]
    Page(Vec<String>),
    /// The web client shows that it has lost the server.
    #[error("the red bar shows: {0}")]
    RedBar(String),
    /// A failure of the machine that runs the test.
    #[error("this machine: {0}")]
    Machine(String),
}

/// A part of the server with a health of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
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

/// The symptom behind an error of the HTTP client; `allowed` is the limit that was set.
pub(crate) fn of_request(error: &reqwest::Error, allowed: Duration) -> Symptom {
    Symptom::Unreached(if error.is_timeout() {
        Unreached::TimedOut(Some(allowed))
    } else {
        Unreached::of(error, Some(allowed))
    })
}

/// Several sentences as one: what a server says ends with a full stop of its own.
fn joined(texts: &[String]) -> String {
    let texts = texts.iter().map(|text| text.trim_end_matches(['.', ';', ' ']).replace(".)", ")"));
    texts.collect::<Vec<_>>().join("; ")
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
    fn what_a_server_says_is_joined_without_its_full_stops() {
        let stays =
            ["the account `a` (answered 400: Please sign up with a different email.)", "everything else."];
        let stays = Symptom::Stays(stays.map(str::to_owned).into());
        assert_eq!(
            stays.to_string(),
            "these stay: the account `a` (answered 400: Please sign up with a different email); everything else"
        );
    }
}
