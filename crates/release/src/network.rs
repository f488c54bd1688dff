//! How servers are asked: limits of time, proxies, redirects.
use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, NoProxy, Proxy, Response, StatusCode};
use url::Url;

use crate::failure::{DownloadError, shown};
use crate::patience::Patience;

/// How many times a server may say that it is elsewhere.
const REDIRECTS: usize = 5;

/// The way to servers.
#[derive(Debug, Clone)]
pub struct Network {
    client: Client,
    pub(crate) patience: Patience,
    /// Which variable names the proxy for https, if any.
    proxy: Option<&'static str>,
}

/// A way to servers cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A variable names no proxy.
    #[error("environment: `{variable}` is not the address of a proxy; allowed: http://HOST:PORT")]
    Proxy {
        /// Which.
        variable: &'static str,
    },
    /// TLS cannot be used here.
    #[error("this machine cannot ask servers over https: {0}")]
    Client(String),
}

impl Network {
    /// With the proxies of the standard variables: `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`, in lower or upper
    /// case.
    ///
    /// # Errors
    /// One of them is no address; there are no certificates of authorities.
    pub fn new(environment: &BTreeMap<String, String>, patience: Patience) -> Result<Self, NetworkError> {
        let mut client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(patience.connect)
            .read_timeout(patience.silence)
            .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")));
        let except = variable(environment, ["no_proxy", "NO_PROXY"]);
        let except = except.and_then(|(_, hosts)| NoProxy::from_string(hosts));
        let of_https = variable(environment, ["https_proxy", "HTTPS_PROXY"]);
        let of_http = variable(environment, ["http_proxy", "HTTP_PROXY"]);
        let of_all = variable(environment, ["all_proxy", "ALL_PROXY"]);
        for (found, scheme) in
            [(of_https, Proxy::https as fn(String) -> _), (of_http, Proxy::http), (of_all, Proxy::all)]
        {
            let Some((name, address)) = found else { continue };
            // As curl has it: without a scheme it is http.
            let address =
                if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
            let proxy = scheme(address).map_err(|_| NetworkError::Proxy { variable: name })?;
            client = client.proxy(proxy.no_proxy(except.clone()));
        }
        let client = client.build().map_err(|error| NetworkError::Client(error.to_string()))?;
        Ok(Self { client, patience, proxy: of_https.or(of_all).map(|(name, _)| name) })
    }

    /// The variable that names a proxy for https.
    pub fn proxy(&self) -> Option<&'static str> {
        self.proxy
    }

    /// Asks for a URL, and goes where the server says, but never from https to http.
    pub(crate) async fn get(&self, asked: &Url, headers: &HeaderMap) -> Result<Response, DownloadError> {
        let mut url = asked.clone();
        for _ in 0..=REDIRECTS {
            let response = self.client.get(url.clone()).headers(headers.clone()).send().await;
            let response =
                response.map_err(|error| DownloadError::unreached(&url, &error, &self.patience))?;
            let status = response.status();
            if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                return Ok(response);
            }
            let next = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let Some(next) = next.and_then(|to| url.join(to).ok()) else {
                return Err(DownloadError::redirect(&url, "elsewhere, but does not say where"));
            };
            check_hop(&url, &next).map_err(|to| DownloadError::redirect(&url, &to))?;
            url = next;
        }
        Err(DownloadError::redirect(
            asked,
            &format!("one address after the other, more than {REDIRECTS} times"),
        ))
    }
}

/// Whether a server may send us on to `next`; otherwise where that is, and what is wrong there.
fn check_hop(from: &Url, next: &Url) -> Result<(), String> {
    match (from.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => Ok(()),
        (_, "http") => Err(format!("{}, which is not encrypted", shown(next))),
        _ => Err(format!("{}, which is neither http nor https", shown(next))),
    }
}

/// The first of these variables that is not empty.
fn variable<'e>(
    environment: &'e BTreeMap<String, String>,
    names: [&'static str; 2],
) -> Option<(&'static str, &'e str)> {
    names.into_iter().find_map(|name| {
        let value = environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())?;
        Some((name, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_by_the_standard_variables() {
        let with = |pairs: &[(&str, &str)]| {
            let map = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Network::new(&map, Patience::default())
        };
        assert_eq!(with(&[("HTTPS_PROXY", "proxy.example.com:3128")]).unwrap().proxy(), Some("HTTPS_PROXY"));
        assert_eq!(with(&[("ALL_PROXY", "http://proxy.example.com")]).unwrap().proxy(), Some("ALL_PROXY"));
        assert_eq!(with(&[("https_proxy", " ")]).unwrap().proxy(), None);
        let refused = with(&[("https_proxy", "http://")]).unwrap_err().to_string();
        assert!(refused.contains("`https_proxy`"), "{refused}");
    }

    #[test]
    fn a_redirect_stays_encrypted() {
        let hop = |from: &str, next: &str| check_hop(&from.parse().unwrap(), &next.parse().unwrap()).is_ok();
        assert!(hop("https://a.example/x", "https://b.example/y"));
        assert!(hop("http://a.example/x", "https://b.example/y"));
        assert!(hop("http://a.example/x", "http://b.example/y"));
        assert!(!hop("https://a.example/x", "http://a.example/x"));
        assert!(!hop("https://a.example/x", "file:///etc/passwd"));
        assert!(!hop("http://a.example/x", "ftp://a.example/x"));
    }
}
