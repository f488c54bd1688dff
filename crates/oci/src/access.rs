//! How to reach a registry, and as whom.
use reqwest::Client;
use secrecy::SecretString;

/// A user's name and password. Registries take a token in place of the password.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Name.
    pub user: String,
    /// Password or token.
    pub password: SecretString,
}

/// The protocol to use with a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// HTTP to this machine, HTTPS to every other.
    #[default]
    ByAddress,
    /// HTTPS.
    Https,
    /// HTTP: passwords and images cross the network unencrypted.
    Http,
}

/// The client, user and protocol of every request to one registry.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) client: Client,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) transport: Transport,
}
