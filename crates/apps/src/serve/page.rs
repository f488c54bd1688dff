//! Pages in a browser of this machine: without a token, they are not to call functions.

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};
use hyper::http::uri::Authority;
use std::net::IpAddr;

/// Why a call that needs no token is refused. A browser sends any page's call to this machine: it says of which page it is, and by which
/// name it found the machine. Any name can be made to lead here, an address cannot.
pub(super) fn refused(headers: &HeaderMap) -> Option<&'static str> {
    let host = headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
    if host.is_some_and(|host| !is_of_this_machine(host)) {
        return Some("the call is for another host: call it by its address, or as localhost");
    }
    let origin = headers.get(ORIGIN)?.to_str().unwrap_or_default();
    let is_own = host.is_some_and(|host| origin.strip_prefix("http://") == Some(host));
    (!is_own).then_some("a page of another site may not call the app")
}

fn is_of_this_machine(host: &str) -> bool {
    let Ok(host) = host.parse::<Authority>() else { return false };
    let name = host.host().trim_matches(['[', ']']).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_and_the_app_s_own_pages_call_without_a_token() {
        let refused = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            headers.extend(origin.map(|origin| (ORIGIN, origin.parse().unwrap())));
            refused(&headers)
        };
        for host in
            ["127.0.0.1:8080", "localhost", "LOCALHOST:8080", "[::1]:8080", "10.0.0.7", "app.localhost"]
        {
            assert_eq!(refused(host, None), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "a b",
        ] {
            assert!(refused(host, None).is_some(), "{host}");
        }
        assert_eq!(refused("127.0.0.1:8080", Some("http://127.0.0.1:8080")), None);
        for origin in ["http://evil.example", "http://127.0.0.1:9090", "https://127.0.0.1:8080", "null"] {
            assert!(refused("127.0.0.1:8080", Some(origin)).is_some(), "{origin}");
        }
        assert_eq!(super::refused(&HeaderMap::new()), None);
    }
}
