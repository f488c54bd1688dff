//! Encryption between a client and a database server.

use std::path::PathBuf;

/// Whether TLS is used and what is verified, in libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS if the server offers it; no certificate is verified.
    Prefer,
    /// Always TLS; no certificate is verified.
    Require,
    /// Always TLS; a known authority must have signed the certificate.
    VerifyCa,
    /// As `VerifyCa`, and the certificate must name this host.
    VerifyFull,
}

impl TlsMode {
    /// Every mode, the least strict first.
    pub const ALL: [Self; 5] = [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// The mode of that `sslmode`.
    pub fn of_sslmode(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.sslmode() == word)
    }

    /// PostgreSQL's `sslmode`.
    pub fn sslmode(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// TLS of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tls {
    /// Whether it is used and what is verified.
    pub mode: TlsMode,
    /// A PEM file of authorities to trust besides the system's. With a file, `Require` verifies as `VerifyCa` does, as in
    /// libpq.
    pub ca: Option<PathBuf>,
    /// Whether the address says the mode; otherwise it is the default.
    pub said: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self { mode: TlsMode::Prefer, ca: None, said: false }
    }
}
