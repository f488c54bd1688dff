//! How the test acts as a system administrator: with a session through the site, or over the server's local channel.

use std::path::Path;

use reqwest::{Client, Method};

use crate::secret::Secret;
use crate::site::{Call, Site};
use crate::symptom::Symptom;

/// A system administrator's way to the server.
#[derive(Debug, Clone)]
pub(crate) enum Authority {
    /// A session's token, or a personal access token, sent through the site.
    Session(Secret),
    /// The Unix socket on which the server answers an administrator's requests without a sign-in.
    Local(Client),
}

impl Authority {
    /// The local channel at `socket`.
    pub(crate) fn local(socket: &Path, site: &Site) -> Result<Self, Symptom> {
        // There is no TLS on a socket, and a machine without certificates of authorities is enough.
        let client = Client::builder().unix_socket(socket).no_proxy().tls_certs_only([]);
        let client = client.timeout(site.timeout).build();
        client.map(Self::Local).map_err(|error| Symptom::Machine(error.to_string()))
    }

    /// Whether it may remove for good what the test has made: over the local channel, servers do not ask for a setting that allows it.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    pub(crate) fn get<'s>(&self, site: &'s Site, path: &str) -> Call<'s> {
        self.call(site, Method::GET, path)
    }

    pub(crate) fn post<'s>(&self, site: &'s Site, path: &str) -> Call<'s> {
        self.call(site, Method::POST, path)
    }

    pub(crate) fn put<'s>(&self, site: &'s Site, path: &str) -> Call<'s> {
        self.call(site, Method::PUT, path)
    }

    pub(crate) fn delete<'s>(&self, site: &'s Site, path: &str) -> Call<'s> {
        self.call(site, Method::DELETE, path)
    }

    fn call<'s>(&self, site: &'s Site, method: Method, path: &str) -> Call<'s> {
        match self {
            Self::Session(token) => site.call(method, path).by(token),
            Self::Local(client) => site.call_locally(client, method, path),
        }
    }
}
