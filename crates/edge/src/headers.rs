//! Which headers the edge does not pass on, and which requests it refuses (RFC 9110 section 7.6, RFC 9112 sections 3 and 6).

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Why the edge does not pass a request on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
}

const fn refusal(status: StatusCode, reason: &'static str) -> Refusal {
    Refusal { status, reason }
}

/// Bytes of a method's name. The longest registered one has 17.
pub(crate) const LONGEST_METHOD: usize = 32;

/// Refuses what two servers might read differently, and rewrites the target to the origin form that the upstream gets.
pub(crate) fn admit<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "CONNECT and TRACE are not served here."));
    }
    if request.method().as_str().len() > LONGEST_METHOD {
        return Err(refusal(StatusCode::NOT_IMPLEMENTED, "No method has such a long name."));
    }
    check_host(request)?;
    to_origin_form(request)?;

    let headers = request.headers();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let only_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !only_chunked || codings.next().is_some() {
            return Err(refusal(
                StatusCode::NOT_IMPLEMENTED,
                "The only transfer coding served here is chunked.",
            ));
        }
    }
    let expectation = headers.get(EXPECT).map(HeaderValue::as_bytes);
    if expectation.is_some_and(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
        return Err(refusal(
            StatusCode::EXPECTATION_FAILED,
            "The only expectation met here is 100-continue.",
        ));
    }
    Ok(())
}

fn check_host<B>(request: &Request<B>) -> Result<(), Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_authority(host.as_bytes()) => Ok(()),
        (None, None) if request.version() < Version::HTTP_11 => Ok(()),
        (Some(_), None) => Err(refusal(StatusCode::BAD_REQUEST, "The Host header is not a host name.")),
        (None, _) => Err(refusal(StatusCode::BAD_REQUEST, "The Host header is missing.")),
        (Some(_), Some(_)) => Err(refusal(StatusCode::BAD_REQUEST, "There is more than one Host header.")),
    }
}

/// A name has at most 253 bytes; the rest is for a port. The edge repeats the host in a header of its own.
const LONGEST_HOST: usize = 260;

/// Which bytes a host and a port may have. A table, because every request has a host.
const IN_AUTHORITY: [bool; 256] = {
    let mut table = [false; 256];
    let mut c: u8 = 0;
    while c < 128 {
        table[c as usize] = c.is_ascii_alphanumeric()
            || matches!(c, b'-' | b'.' | b'_' | b'~' | b'%' | b'[' | b']' | b':' | b'!' | b'$')
            || matches!(c, b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=');
        c += 1;
    }
    table
};

/// Checks only the length, and the characters of host and port, which is enough to refuse paths, user names and lists.
fn is_authority(host: &[u8]) -> bool {
    !host.is_empty() && host.len() <= LONGEST_HOST && host.iter().all(|&c| IN_AUTHORITY[usize::from(c)])
}

fn to_origin_form<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    let Some(authority) = request.uri().authority() else {
        return Ok(());
    };
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
    if host.is_some_and(|host| !host.eq_ignore_ascii_case(authority.as_str().as_bytes())) {
        return Err(refusal(
            StatusCode::BAD_REQUEST,
            "The request's target and its Host header name different hosts.",
        ));
    }
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    Ok(())
}

/// Removes the headers that concern one connection only: the fixed names, and those that `Connection` lists. The host and
/// the length stay, even if `Connection` lists them.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Checking each header that is there is cheaper than searching for each that might be.
    let mut removed: Vec<HeaderName> = Vec::new();
    let mut has_coding = false;
    for name in headers.keys().filter(|name| is_hop_by_hop(name)) {
        removed.push(name.clone());
        has_coding |= *name == TRANSFER_ENCODING;
        if *name == CONNECTION {
            let named = tokens(headers, &CONNECTION)
                .filter(|token| !is_known_option(token))
                .filter_map(|token| HeaderName::from_bytes(token).ok())
                .filter(|name| *name != HOST && *name != CONTENT_LENGTH);
            removed.extend(named);
        }
    }
    if has_coding {
        // A message with a transfer coding has no other length (RFC 9112 section 6.3).
        removed.push(CONTENT_LENGTH);
    }
    for name in removed {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    [CONNECTION, TRANSFER_ENCODING, TE, TRAILER, UPGRADE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION]
        .contains(name)
        || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
}

/// Whether this option of `Connection` is not a header name, or one that is removed anyway.
fn is_known_option(token: &[u8]) -> bool {
    [&b"keep-alive"[..], b"close", b"upgrade"].iter().any(|known| token.eq_ignore_ascii_case(known))
}

/// Whether the list in header `name` holds `token`, in any case.
pub(crate) fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&c| c == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    #[test]
    fn admission() {
        let host = ("host", "chat.example:8065");
        for (method, target, headers, expected) in [
            ("GET", "/", vec![host], None),
            ("GET", "/", vec![("host", "[::1]:8065")], None),
            ("GET", "/", vec![], Some(400)),
            ("GET", "/", vec![("host", "")], Some(400)),
            ("GET", "/", vec![("host", &"a".repeat(LONGEST_HOST))], None),
            ("GET", "/", vec![("host", &"a".repeat(LONGEST_HOST + 1))], Some(400)),
            ("GET", "/", vec![("host", "a/b")], Some(400)),
            ("GET", "/", vec![("host", "user@a")], Some(400)),
            ("GET", "/", vec![("host", "a, b")], Some(400)),
            ("GET", "/", vec![host, host], Some(400)),
            ("GET", "http://CHAT.example:8065/x?y", vec![host], None),
            ("GET", "http://other.example/x", vec![host], Some(400)),
            ("CONNECT", "a:443", vec![host], Some(405)),
            ("TRACE", "/", vec![host], Some(405)),
            ("OPTIONS", "*", vec![host], None),
            ("POST", "/", vec![host, ("transfer-encoding", "Chunked")], None),
            ("POST", "/", vec![host, ("transfer-encoding", "gzip, chunked")], Some(501)),
            (
                "POST",
                "/",
                vec![host, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
                Some(501),
            ),
            ("POST", "/", vec![host, ("expect", "100-Continue")], None),
            ("POST", "/", vec![host, ("expect", "200-ok")], Some(417)),
        ] {
            let mut request = request(method, target, &headers);
            let status = admit(&mut request).err().map(|refusal| refusal.status.as_u16());
            assert_eq!(status, expected, "{method} {target} {headers:?}");
            if expected.is_none() {
                assert!(request.uri().authority().is_none(), "{target} is in origin form");
            }
        }
    }

    #[test]
    fn what_stays_and_what_goes() {
        let mut headers = request(
            "GET",
            "/",
            &[
                ("host", "a"),
                ("connection", "keep-alive, X-Secret"),
                ("connection", "host, content-length, Upgrade,, "),
                ("keep-alive", "timeout=5"),
                ("x-secret", "1"),
                ("x-secret", "2"),
                ("upgrade", "h2c"),
                ("te", "trailers"),
                ("content-length", "3"),
                ("cookie", "MMAUTHTOKEN=t"),
            ],
        )
        .into_parts()
        .0
        .headers;
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "cookie", "host"]);
    }

    #[test]
    fn a_transfer_coding_overrules_a_length() {
        let mut headers = HeaderMap::new();
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("3"));
        strip_hop_by_hop(&mut headers);
        assert!(headers.is_empty());
    }
}
