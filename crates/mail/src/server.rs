//! A mail server, and how to use it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use rustls::pki_types::CertificateDer;
use secrecy::{ExposeSecret as _, SecretString};

use crate::failure::{MailError, Place};

/// How the connection is encrypted (`SMTP_SECURITY`, `EmailSettings.ConnectionSecurity`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Security {
    /// Not at all; usual on port 25 inside a private network.
    #[default]
    None,
    /// From the first byte; usual on port 465.
    Tls,
    /// After a plain greeting; usual on port 587.
    StartTls,
}

impl Security {
    /// The kind that `EmailSettings.ConnectionSecurity` names: empty, `TLS` or `STARTTLS`. Any other word is none.
    pub fn named(word: &str) -> Self {
        match word {
            "TLS" => Self::Tls,
            "STARTTLS" => Self::StartTls,
            _ => Self::None,
        }
    }
}

/// Which certificates are trusted.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Those of this machine's authorities, as for Mattermost.
    #[default]
    System,
    /// Those of this machine's authorities and of these.
    SystemAnd(Vec<CertificateDer<'static>>),
    /// All: as for Mattermost where verification is switched off. Anybody on the way can read along.
    Anything,
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
    /// The sender's name (`EmailSettings.FeedbackName`); empty: none.
    pub from_name: String,
    /// The sender's address, in the envelope and in the message.
    pub from: String,
    /// The address for answers; empty: the sender's.
    pub reply_to: String,
    /// The time limit of the whole dialogue.
    pub timeout: Duration,
}

impl MailServer {
    pub(crate) fn place(&self) -> Place {
        Place::new(&self.host, self.port)
    }

    /// What lettre says, without the password in any form in which a mail server may repeat it.
    pub(crate) fn failure(&self, error: &smtp::Error) -> MailError {
        let secret = self.password.expose_secret();
        let mut forms = Vec::new();
        if !secret.is_empty() {
            let plain = BASE64.encode(format!("\0{}\0{secret}", self.username));
            forms.extend([plain, BASE64.encode(secret), secret.to_owned()]);
        }
        MailError::of(error, self.place(), &forms)
    }

    /// The name that the server is greeted with.
    fn client_id(&self) -> ClientId {
        let valid = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        match self.greeting.as_str() {
            name if !name.is_empty() && name.chars().all(valid) => ClientId::Domain(name.to_owned()),
            _ => ClientId::Domain("localhost".to_owned()),
        }
    }

    fn tls(&self) -> Result<Tls, MailError> {
        if self.security == Security::None {
            return Ok(Tls::None);
        }
        let mut parameters = TlsParameters::builder(self.host.clone())
            .dangerous_accept_invalid_certs(matches!(self.trust, Trust::Anything))
            .dangerous_accept_invalid_hostnames(matches!(self.trust, Trust::Anything));
        if let Trust::SystemAnd(extra) = &self.trust {
            for certificate in extra {
                let certificate = Certificate::from_der(certificate.to_vec());
                parameters =
                    parameters.add_root_certificate(certificate.map_err(|error| self.failure(&error))?);
            }
        }
        let parameters = parameters.build().map_err(|error| self.failure(&error))?;
        Ok(match self.security {
            Security::Tls => Tls::Wrapper(parameters),
            _ => Tls::Required(parameters),
        })
    }

    pub(crate) fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host)
            .port(self.port)
            .tls(self.tls()?)
            .hello_name(self.client_id())
            .timeout(Some(self.timeout));
        if !self.username.is_empty() {
            if self.security == Security::None {
                return Err(MailError::PasswordNeedsTls { place: self.place() });
            }
            let password = self.password.expose_secret().to_owned();
            builder = builder
                .credentials(Credentials::new(self.username.clone(), password))
                .authentication(vec![Mechanism::Plain, Mechanism::Login]);
        }
        Ok(builder.build())
    }
}
