//! A download by HTTP: bounded in bytes, time and redirects.
//!
//! Whoever types a URL says which machine is asked, be it one of this network. A redirect is said by that machine: it may not lead
//! from the internet to this machine or into this network, where other services trust whoever reaches them.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use finding::{Exit, Peer, Unreached};
use futures_util::StreamExt as _;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Response, StatusCode};
use url::{Host, Url};

use super::{Wanted, shown_url};
use crate::Error;

/// How many times a server may say that it is elsewhere.
const REDIRECTS: usize = 5;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the other side may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a download may take in all.
const IN_ALL: Duration = Duration::from_secs(15 * 60);

/// Downloads a URL that somebody typed.
pub(super) async fn url(url: &Url, wanted: &Wanted, into: &Path) -> Result<(), Error> {
    if url.scheme() == "http" && wanted.sha256.is_none() && !is_loopback(url) {
        return Err(Error::new(
            Exit::Refused,
            format!("{} is not encrypted: somebody on the way could change the bundle", shown_url(url)),
        )
        .hint("use https://, or say which file it must be with `--sha256`"));
    }
    let response = get(url, HeaderMap::new()).await?;
    into_file(response, url, wanted.most, into).await
}

/// Asks for a URL, and goes where the server says. `headers` go to the first server alone.
pub(super) async fn get(url: &Url, headers: HeaderMap) -> Result<Response, Error> {
    let work = followed(url, headers);
    tokio::time::timeout(IN_ALL, work).await.unwrap_or_else(|_| Err(too_slow(url)))
}

async fn followed(typed: &Url, headers: HeaderMap) -> Result<Response, Error> {
    let mut url = typed.clone();
    // Whether the machine before was of this network.
    let mut inside = lies_inside(&url).await;
    for hop in 0..=REDIRECTS {
        let response = client(hop > 0 && !inside)?;
        let request = response.get(url.clone());
        let request = if hop == 0 { request.headers(headers.clone()) } else { request };
        let response = request.send().await.map_err(|error| unreached(&url, &error))?;
        if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let next = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let Some(next) = next.and_then(|to| url.join(to).ok()) else {
            return Err(Error::new(
                Exit::NotReady,
                format!("{} says that it is elsewhere, but not where", shown_url(&url)),
            ));
        };
        check_redirect(&url, &next, inside)?;
        inside = inside && lies_inside(&next).await;
        url = next;
    }
    Err(Error::new(
        Exit::NotReady,
        format!("{} leads from one address to the next, more than {REDIRECTS} times", shown_url(typed)),
    ))
}

/// Whether a server may send us on to `next`. `inside`: that server is of this network itself.
fn check_redirect(from: &Url, next: &Url, inside: bool) -> Result<(), Error> {
    let refused = |why: &str| {
        let what = format!("{} leads to {}, {why}", shown_url(from), shown_url(next));
        Err(Error::new(Exit::Refused, what).hint("if that is where the bundle is, name that address itself"))
    };
    match (from.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => {}
        (_, "http") => return refused("which is not encrypted"),
        _ => return refused("which is neither http nor https"),
    }
    let address = match next.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        _ => None,
    };
    match address {
        Some(address) if !inside && !is_public(address) => refused("an address of a private network"),
        _ => Ok(()),
    }
}

fn client(public_only: bool) -> Result<Client, Error> {
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(Resolver { public_only }));
    client.build().map_err(|error| Error::new(Exit::NotReady, format!("no HTTP client can be made: {error}")))
}

/// Asks the system for addresses, and refuses those of private networks where they are not meant.
struct Resolver {
    public_only: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let public_only = self.public_only;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if public_only && found.iter().any(|address| !is_public(address.ip())) {
                return Err(Private(name.as_str().to_owned()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A redirect leads to a name whose address is of a private network.
#[derive(Debug, thiserror::Error)]
#[error("a redirect leads to {0}, whose address is of a private network")]
struct Private(String);

/// Whether a URL is on this machine or in this network.
async fn lies_inside(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => !is_public(address.into()),
        Some(Host::Ipv6(address)) => !is_public(address.into()),
        Some(Host::Domain(name)) => match tokio::net::lookup_host((name, 0)).await {
            Ok(mut found) => found.any(|address| !is_public(address.ip())),
            Err(_) => false,
        },
        None => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether anybody on the internet may have this address.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            // 100.64.0.0/10 is shared by a provider's customers, 0.0.0.0/8 is this machine.
            let shared = first == 100 && (64..128).contains(&second);
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || first == 0
                || shared)
        }
        IpAddr::V6(address) => {
            !(address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_multicast())
        }
    }
}

/// Writes an answer's body into a new file.
pub(super) async fn into_file(response: Response, url: &Url, most: u64, into: &Path) -> Result<(), Error> {
    let response = accepted(response, url)?;
    if response.content_length().is_some_and(|length| length > most) {
        return Err(too_large(&shown_url(url), most));
    }
    let html = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if html.is_some_and(|kind| kind.starts_with("text/html")) {
        return Err(Error::new(Exit::NotReady, format!("{} is a web page, not a bundle", shown_url(url)))
            .hint("it may be a page to sign in on; name the address of the file itself"));
    }
    let work = write(response, url, most, into);
    tokio::time::timeout(IN_ALL, work).await.unwrap_or_else(|_| Err(too_slow(url)))
}

async fn write(response: Response, url: &Url, most: u64, into: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| {
        Error::new(Exit::NotReady, format!("cannot write {}: {error}", into.display()))
    };
    let mut file = std::fs::File::create_new(into).map_err(failed)?;
    let (mut stream, mut count) = (response.bytes_stream(), 0);
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| unreached(url, &error))?;
        count += part.len() as u64;
        if count > most {
            return Err(too_large(&shown_url(url), most));
        }
        file.write_all(&part).map_err(failed)?;
    }
    file.flush().map_err(failed)
}

/// The answer, if it is one that was asked for.
fn accepted(response: Response, url: &Url) -> Result<Response, Error> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    let hint = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => "check the address: there is nothing at it",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "it needs a permission that this command does not have; download the file yourself, and name it"
        }
        StatusCode::TOO_MANY_REQUESTS => "the server was asked too often; try again later",
        status if status.is_server_error() => "the server has a problem; try again later",
        _ => "check the address",
    };
    Err(Error::new(Exit::NotReady, format!("{} answered {status}", shown_url(url))).hint(hint))
}

/// That a bundle is too large.
pub(crate) fn too_large(from: &str, most: u64) -> Error {
    let most = if most >= 1 << 20 { format!("{} MiB", most >> 20) } else { format!("{most} bytes") };
    Error::new(Exit::Refused, format!("{from} is larger than {most}, the most that a bundle may have"))
        .hint("check that it is the bundle of an app")
}

fn too_slow(url: &Url) -> Error {
    Error::new(
        Exit::NotReady,
        format!("{} did not come within {} minutes", shown_url(url), IN_ALL.as_secs() / 60),
    )
    .hint("download the file yourself, and name it")
}

/// Why there is no answer. The library's own words have the URL, whose query may be secret.
pub(super) fn unreached(url: &Url, error: &reqwest::Error) -> Error {
    let host = url.host_str().unwrap_or_default();
    let place = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
    let private = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
        .find_map(|error| error.downcast_ref::<Private>());
    if let Some(private) = private {
        return Error::new(Exit::Refused, private.to_string())
            .hint("if that is where the bundle is, name that address itself");
    }
    let unreached = if error.is_timeout() {
        Unreached::TimedOut(Some(if error.is_connect() { CONNECT } else { SILENCE }))
    } else {
        Unreached::of(error, None)
    };
    let finding = unreached.finding(&Peer { host, place: &place, service: "the server of the bundle" });
    Error::new(Exit::NotReady, format!("cannot download {}: {}", shown_url(url), finding.what))
        .hint(format!("{}; {}", finding.cause, finding.fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    #[test]
    fn a_redirect_stays_encrypted_and_outside() {
        let from = parsed("https://example.org/a.zip");
        for (next, allowed) in [
            ("https://cdn.example.org/a.zip", true),
            ("https://93.184.216.34/a.zip", true),
            ("http://cdn.example.org/a.zip", false),
            ("file:///etc/passwd", false),
            ("https://127.0.0.1/a.zip", false),
            ("https://10.0.0.1/a.zip", false),
            ("https://169.254.169.254/latest/meta-data", false),
            ("https://100.64.0.1/", false),
            ("https://0.0.0.0/", false),
            ("https://[::1]/", false),
            ("https://[::ffff:127.0.0.1]/", false),
            ("https://[fd00::1]/", false),
        ] {
            assert_eq!(check_redirect(&from, &parsed(next), false).is_ok(), allowed, "{next}");
        }
        // A server of this network may name another one of it.
        assert!(check_redirect(&parsed("http://10.0.0.1/"), &parsed("http://10.0.0.2/"), true).is_ok());
        assert!(check_redirect(&parsed("http://10.0.0.1/"), &parsed("https://10.0.0.2/"), true).is_ok());
    }
}
