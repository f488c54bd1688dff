//! A mail server, and how to use it.

use std::time::Duration;

use secrecy::SecretString;

use crate::trust::Trust;

/// How the connection is encrypted (`SMTP_SECURITY`, `EmailSettings.ConnectionSecurity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all; usual on port 25 inside a private network.
    None,
    /// From the first byte; usual on port 465.
    Tls,
    /// After a plain greeting; usual on port 587.
    StartTls,
}

/// A mail server, and how to use it.
#[derive(Debug, Clone)]
pub struct MailServer {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Encryption.
    pub security: Security,
    /// Empty: no login.
    pub username: String,
    /// Sent only with a user name.
    pub password: SecretString,
    /// Which certificates are trusted.
    pub trust: Trust,
    /// The name in EHLO: the site URL's host, as Mattermost sends it. Empty: `localhost`.
    pub greeting: String,
    /// The sender's address, in the envelope and in the message.
    pub from: String,
    /// The address for answers; empty: the sender's.
    pub reply_to: String,
    /// The time limit of the whole dialogue.
    pub timeout: Duration,
}
