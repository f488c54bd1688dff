//! Why a mail was not sent.

use std::error::Error as _;
use std::fmt;

use lettre::transport::smtp;

/// Characters of a mail server's answer that are kept at most.
const LONGEST: usize = 300;

/// Host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    host: String,
    port: u16,
}

impl Place {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A mail was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// This is not a mail address.
    #[error("{whose} address `{address}` is not a mail address")]
    Address {
        /// `the recipient's`, `the sender's`, `the reply`.
        whose: &'static str,
        /// What was given.
        address: String,
    },
    /// The message cannot be written.
    #[error("the mail cannot be composed: {0}")]
    Message(String),
    /// A user is given, and the connection would not be encrypted.
    #[error(
        "mail server {place}: no password is sent over an unencrypted connection; set SMTP_SECURITY \
         (EmailSettings.ConnectionSecurity) to STARTTLS or TLS, or remove SMTP_USER if the server asks for no login"
    )]
    PasswordNeedsTls {
        /// Which server.
        place: Place,
    },
    /// There is no connection, or it failed.
    #[error("mail server {place} is not reached: {cause}")]
    Unreached {
        /// Which server.
        place: Place,
        /// What happened.
        cause: String,
    },
    /// The server said no.
    #[error("mail server {place} answered {code} {answer}")]
    Refused {
        /// Which server.
        place: Place,
        /// The answer's number: 400 to 499 may change, 500 to 599 will not.
        code: u16,
        /// What it said.
        answer: String,
    },
}

impl MailError {
    /// What lettre says, without these texts.
    pub(crate) fn of(error: &smtp::Error, place: Place, hidden: &[String]) -> Self {
        let cause = error.source().map_or_else(|| error.to_string(), chain);
        let text = shown(&cause, hidden);
        match error.status() {
            Some(code) => Self::Refused { place, code: u16::from(code), answer: text },
            None if error.is_client() || error.is_response() => {
                Self::Unreached { place, cause: format!("the dialogue failed: {text}") }
            }
            None if error.is_tls() => Self::Unreached { place, cause: format!("TLS failed: {text}") },
            None => Self::Unreached { place, cause: text },
        }
    }

    /// Whether the same mail may be taken later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreached { .. } => true,
            Self::Refused { code, .. } => *code < 500,
            Self::Address { .. } | Self::Message(_) | Self::PasswordNeedsTls { .. } => false,
        }
    }
}

/// An error and its causes, without repetition.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

/// One line of it, without these texts.
fn shown(text: &str, hidden: &[String]) -> String {
    let text = hidden.iter().fold(text.to_owned(), |text, form| text.replace(form, "********"));
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(LONGEST).collect()
}
