//! Names of images.
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::digest::Digest;
use crate::error::OciError;

/// A name of an image: `[host[:port]/]path[:tag][@digest]`.
///
/// Short names are completed as Docker does: `mattermost` becomes `docker.io/library/mattermost`. The first part is a
/// host if it contains a dot or a colon, or is `localhost`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

const DOCKER: &str = "docker.io";

impl Reference {
    /// Host and port, as given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository: `library/mattermost`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, `latest` when neither a tag nor a digest is given.
    pub fn tag(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (None, None) => Some("latest"),
            (tag, _) => tag.as_deref(),
        }
    }

    /// The digest, if the name has one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The host of the registry's API. Docker Hub's differs from its name.
    pub(crate) fn host(&self) -> &str {
        if self.registry == DOCKER { "registry-1.docker.io" } else { &self.registry }
    }

    /// Whether the registry is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(split_port(&self.registry).0)
    }
}

/// Whether a host name or address (IPv6 with or without brackets) is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)?;
        if let Some(tag) = self.tag() {
            write!(f, ":{tag}")?;
        }
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = OciError;

    fn from_str(given: &str) -> Result<Self, OciError> {
        parse(given).map_err(|why| OciError::Reference { given: given.to_owned(), why })
    }
}

fn parse(given: &str) -> Result<Reference, &'static str> {
    let (name, digest) = match given.split_once('@') {
        Some((name, digest)) => (name, Some(digest.parse()?)),
        None => (given, None),
    };
    let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let (registry, rest) = match name.split_once('/') {
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DOCKER, name),
    };
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    check_host(registry)?;
    check_path(path)?;
    tag.map_or(Ok(()), check_tag)?;
    let path =
        if registry == DOCKER && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
    if registry.len() + path.len() > 254 {
        return Err("a host and path have at most 255 characters");
    }
    Ok(Reference { registry: registry.to_owned(), path, tag: tag.map(str::to_owned), digest })
}

/// Host and port of `host[:port]`; an IPv6 address keeps its brackets.
fn split_port(registry: &str) -> (&str, Option<&str>) {
    match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (registry, None),
    }
}

fn check_host(registry: &str) -> Result<(), &'static str> {
    let (host, port) = split_port(registry);
    if port.is_some_and(|port| port.starts_with('+') || port.parse().unwrap_or(0_u16) == 0) {
        return Err("a port is a number from 1 to 65535");
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return if address.parse::<std::net::Ipv6Addr>().is_ok() {
            Ok(())
        } else {
            Err("the text in brackets is not an IPv6 address")
        };
    }
    let good = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.split('.').all(good) { Ok(()) } else { Err("a host is made of letters, digits, dots and dashes") }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    const RULE: &str = "a path consists of parts separated by /; a part consists of a-z and 0-9, with single . or _, \
                        __, or dashes between them";
    let good = |part: &str| {
        let words = part.split(['.', '_', '-']);
        let ends_well = part.starts_with(alphanumeric) && part.ends_with(alphanumeric);
        let separators = part.split(alphanumeric).filter(|gap| !gap.is_empty());
        ends_well
            && words.flat_map(str::chars).all(alphanumeric)
            && separators
                .into_iter()
                .all(|gap| matches!(gap, "." | "_" | "__") || gap.bytes().all(|c| c == b'-'))
    };
    if path.split('/').all(good) { Ok(()) } else { Err(RULE) }
}

fn alphanumeric(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
    if tag.is_empty() || tag.len() > 128 || !tag.bytes().all(good) || tag.starts_with(['.', '-']) {
        return Err("a tag has 1 to 128 letters, digits, _, . and -, and does not begin with . or -");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_completed() {
        let sixty_four = "a".repeat(64);
        for (given, full) in [
            ("mattermost", "docker.io/library/mattermost:latest"),
            ("team/mattermost:11.7", "docker.io/team/mattermost:11.7"),
            ("localhost/m", "localhost/m:latest"),
            ("127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t"),
            ("[::1]:5000/m", "[::1]:5000/m:latest"),
            ("ghcr.io/o/r__x-y.z", "ghcr.io/o/r__x-y.z:latest"),
            (&format!("h.io/m@sha256:{sixty_four}"), &format!("h.io/m@sha256:{sixty_four}")),
            (&format!("h.io/m:t@sha256:{sixty_four}"), &format!("h.io/m:t@sha256:{sixty_four}")),
        ] {
            let reference: Reference = given.parse().unwrap();
            assert_eq!(reference.to_string(), full);
            assert_eq!(full.parse::<Reference>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn malformed_names_are_refused() {
        for given in [
            "",
            "/",
            "A",
            "a/",
            "/a",
            "a//b",
            "a b",
            "a:",
            "a:-x",
            "a:b:c",
            "a@sha256:00",
            "a@md5:00",
            "h:0/a",
            "h:70000/a",
            "h:x/a",
            "h:+80/a",
            "-h.io/a",
            "a._b",
            "a___b",
            "_a",
            "a-",
            "[::g]:1/a",
            "http://h.io/a",
            "a\n",
            "h.io/../a",
            &"a/".repeat(200),
        ] {
            let refused = given.parse::<Reference>();
            assert!(matches!(refused, Err(OciError::Reference { .. })), "{given:?} {refused:?}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (given, loopback) in [
            ("localhost:5000/a", true),
            ("127.3.2.1/a", true),
            ("[::1]:80/a", true),
            ("10.0.0.1/a", false),
            ("localhost.example.com/a", false),
            ("127.0.0.1.example.com/a", false),
            ("a", false),
        ] {
            assert_eq!(given.parse::<Reference>().unwrap().is_loopback(), loopback, "{given}");
        }
    }
}
