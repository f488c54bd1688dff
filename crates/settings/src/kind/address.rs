//! The kinds whose values lead somewhere: hosts, URLs, mail addresses, networks, buckets and paths.
//!
//! A parser of URLs repairs what it can, in silence: it drops line breaks and encodes spaces, quotes and placeholders. So each host is
//! read by [`hostname`], and the text by [`plain`] before that.

use std::net::IpAddr;

use url::Url;

use crate::finding::masked;
use crate::placeholder;

/// The text, if nothing is in it that belongs to no address, path or word.
pub(super) fn plain(text: &str) -> Result<&str, String> {
    if let Some(found) = placeholder::likely(text) {
        return Err(placeholder::problem(found));
    }
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        return Err(match control {
            '\n' | '\r' => "has a line break".to_owned(),
            other => format!("has the control character `{}`", other.escape_unicode()),
        });
    }
    match text.chars().find(|c| hostname::is_mark(*c)) {
        Some(mark) => Err(format!(
            "has the character `{mark}` ({}), which word processors write; write a plain quote, hyphen or space, or none",
            mark.escape_unicode()
        )),
        None => Ok(text),
    }
}

/// The same without spaces.
fn unbroken(text: &str) -> Result<&str, String> {
    match plain(text)?.contains(char::is_whitespace) {
        true => Err(format!("is `{}`, which has a space in it", masked(text))),
        false => Ok(text),
    }
}

/// A host name or an IP address, an IPv6 one with or without brackets, in the form that browsers use.
pub(super) fn host(text: &str) -> Result<String, String> {
    if let Some(found) = placeholder::in_host(text) {
        return Err(placeholder::problem(found));
    }
    let bare = text.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(plain(text)?);
    hostname::read(bare).map_err(|why| format!("is `{text}`, which is not a host name: {why}"))
}

/// `HOST`, `HOST:PORT` or a URL.
pub(super) fn endpoint(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return web_url(text).map(|(_, text)| text);
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    if let Some(port) = port.filter(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
        plain(text)?;
        return Err(format!("is `{text}`, and `{port}` is not a port"));
    }
    // Only the form: the server takes the text as it is.
    host(name)?;
    Ok(text.to_owned())
}

/// The host in the text of a URL, which a parser would have repaired.
fn host_of(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    match place.rfind(']') {
        Some(end) => &place[..=end],
        None => place.split_once(':').map_or(place, |(host, _)| host),
    }
}

/// A URL, and its text with the host as browsers send it.
pub(super) fn web_url(text: &str) -> Result<(Url, String), String> {
    unbroken(text)?;
    let value = masked(text);
    if !text.contains("://") {
        return Err(format!("is `{value}`, which has no scheme; did you mean `https://{value}`?"));
    }
    if let Some(found) = placeholder::in_host(host_of(text)) {
        return Err(placeholder::problem(found));
    }
    let url = Url::parse(text).map_err(|error| format!("is `{value}`, which is not a URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("has the scheme `{}`", url.scheme()));
    }
    let of_text = host_of(text);
    if of_text.is_empty() || url.host_str().is_none_or(str::is_empty) {
        return Err("has no host".to_owned());
    }
    if url.port() == Some(0) {
        return Err(format!("is `{value}`, and nothing answers at port 0"));
    }
    if !of_text.starts_with('[') {
        let name = hostname::read(of_text)
            .map_err(|why| format!("is `{value}`, and `{of_text}` is not a host name: {why}"))?;
        if name != of_text {
            return Ok((url, text.replacen(of_text, &name, 1)));
        }
    }
    Ok((url, text.to_owned()))
}

pub(super) fn site_url(value: &str) -> Result<String, String> {
    let (url, _) = web_url(value)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user name or a password in it".to_owned());
    }
    if let Some(why) = unreachable(&url) {
        return Err(format!("is `{value}`, and {why}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Why people cannot type an address, where it is no machine's.
fn unreachable(url: &Url) -> Option<&'static str> {
    let address: IpAddr = match url.host()? {
        url::Host::Ipv4(address) => address.into(),
        url::Host::Ipv6(address) => IpAddr::from(address).to_canonical(),
        url::Host::Domain(_) => return None,
    };
    if address.is_unspecified() {
        return Some("that address stands for every address of a machine: write the one that people type");
    }
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    (address.is_multicast() || is_broadcast).then_some("that address is many machines' and not one's")
}

/// A link of a page: a URL, or anything else that a browser follows (`mailto:`, a path).
pub(super) fn link(text: &str) -> Result<String, String> {
    match unbroken(text)?.split_once("://") {
        Some(("http" | "https", _)) => web_url(text).map(|(_, text)| text),
        _ => Ok(text.to_owned()),
    }
}

/// A mail address.
pub(super) fn email(text: &str) -> Result<String, String> {
    const NOT_IN_A_NAME: [char; 11] = ['(', ')', '<', '>', '[', ']', ',', ';', ':', '"', '\\'];
    let wrong = || format!("is `{text}`, which is not a mail address");
    let (user, place) = unbroken(text)?.rsplit_once('@').ok_or_else(wrong)?;
    if user.is_empty() || user.contains(NOT_IN_A_NAME) || user.contains('@') {
        return Err(wrong());
    }
    let name = hostname::read(place).map_err(|why| format!("{}: {why}", wrong()))?;
    Ok(format!("{user}@{name}"))
}

/// Mail domains, which the server separates at commas, spaces and `@`.
pub(super) fn domains(text: &str) -> Result<String, String> {
    let names = plain(text)?.split([',', '@', ' ', '\t']).filter(|name| !name.is_empty());
    for name in names {
        hostname::read(name).map_err(|why| format!("names `{name}`, which is not a domain: {why}"))?;
    }
    Ok(text.to_owned())
}

/// Origins in one form: without a slash at the end.
pub(super) fn origins(text: &str) -> Result<String, String> {
    let origin = |part: &str| {
        let part = part.strip_suffix('/').filter(|part| !part.ends_with('/')).unwrap_or(part);
        if part == "*" {
            return Ok(part.to_owned());
        }
        let has_scheme = part.contains("://");
        let url = if has_scheme { part.to_owned() } else { format!("https://{part}") };
        let (parsed, url) = web_url(&url).map_err(|_| format!("names `{part}`, which is not an origin"))?;
        let is_origin = parsed.username().is_empty()
            && parsed.path() == "/"
            && parsed.query().is_none()
            && parsed.fragment().is_none();
        let shown = url.strip_prefix("https://").filter(|_| !has_scheme).unwrap_or(&url).to_owned();
        is_origin.then_some(shown).ok_or_else(|| format!("names `{part}`, which is not an origin"))
    };
    plain(text)?;
    let parts: Vec<String> = text.split_whitespace().map(origin).collect::<Result<_, _>>()?;
    Ok(parts.join(" "))
}

/// Networks in one form: separated by a comma and a space.
pub(super) fn networks(text: &str) -> Result<String, String> {
    if text.trim().eq_ignore_ascii_case("none") {
        return Ok("none".to_owned());
    }
    plain(text)?;
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_network = |part: &str| {
        let (address, prefix) = part.split_once('/').map_or((part, None), |(a, p)| (a, Some(p)));
        let most = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|prefix| prefix <= most))
    };
    match parts.iter().find(|part| !is_network(part)) {
        Some(part) => Err(format!("names `{part}`, which is not a network")),
        None => Ok(parts.join(", ")),
    }
}

/// Sites, separated by commas. A login in one would be written to the journal and to the history.
pub(super) fn sites(text: &str) -> Result<String, String> {
    let mut sites = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (url, site) = web_url(part)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user or a password in it".to_owned());
        }
        sites.push(site);
    }
    Ok(sites.join(", "))
}

/// A path of a file or directory.
pub(super) fn path(text: &str) -> Result<String, String> {
    match plain(text)? {
        home if home == "~" || home.starts_with("~/") => {
            Err(format!("is `{text}`, and nothing replaces the `~`; write the whole path"))
        }
        _ => Ok(text.to_owned()),
    }
}

/// The name of a bucket or container of a file store, as Amazon, MinIO and Azure take it; Amazon's oldest have underscores and capitals.
pub(super) fn bucket(text: &str) -> Result<String, String> {
    let is_one = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    match unbroken(text)? {
        name if (3..=255).contains(&name.len()) && name.chars().all(is_one) => Ok(text.to_owned()),
        _ => Err(format!("is `{text}`, which is not the name of a bucket")),
    }
}

#[cfg(test)]
mod tests {
    use crate::kind::Kind;

    /// Whatever leads somewhere: the kind, and a value of it with `HOST` in it.
    const ADDRESSES: [(Kind, &str); 11] = [
        (Kind::Host, "HOST"),
        (Kind::SiteUrl, "https://HOST"),
        (Kind::SiteUrl, "https://HOST:8443/company/chat"),
        (Kind::Url, "https://HOST/oauth/authorize?a=b"),
        (Kind::Url, "http://user@HOST"),
        (Kind::Link, "https://HOST/help"),
        (Kind::Endpoint, "HOST:9000"),
        (Kind::Endpoint, "https://HOST"),
        (Kind::Email, "chat@HOST"),
        (Kind::Domains, "example.com, HOST"),
        (Kind::Origins, "https://a.example.com http://HOST:8080"),
    ];

    #[test]
    fn no_kind_of_address_takes_a_host_that_is_none() {
        let hosts = [
            "$X",
            "${X}",
            "$(X)",
            "{{ x }}",
            "{{x}}",
            "<your-domain>",
            "%DOMAIN%",
            "{DOMAIN}",
            "-x",
            "chat_é",
            "chat\nx",
            "\u{201c}chat.example.com\u{201d}",
            "chat\u{2013}a.example.com",
            "chat\u{a0}",
            "chat\u{200b}a",
            "a..b",
            "\u{1b}[31m",
            "[host]",
            "__HOST__",
            "[[host]]",
            "#{host}",
            "\"chat\"",
            "256.1.1.1",
        ];
        for (kind, form) in ADDRESSES {
            for host in hosts {
                let value = form.replace("HOST", host);
                assert!(kind.problem(&value).is_some(), "{kind:?} takes {value:?}");
            }
            for host in ["chat.example.com", "my_db", "192.0.2.7"] {
                let value = form.replace("HOST", host);
                assert_eq!(kind.problem(&value), None, "{kind:?}");
            }
        }
        for (kind, value) in [
            (Kind::Networks, "$NET"),
            (Kind::Address, "$X:80"),
            (Kind::Path, "/srv/${X}"),
            (Kind::Path, "$HOME/ca.pem"),
            (Kind::Path, "~/ca.pem"),
            (Kind::Path, "<path to ca.pem>"),
            (Kind::Bucket, "$BUCKET"),
            (Kind::Bucket, "my bucket"),
            (Kind::Bucket, "<bucket>"),
            (Kind::Text, "{{ user }}"),
            (Kind::Text, "$POSTGRES_USER"),
            (Kind::Text, "a\u{1b}[31m"),
        ] {
            assert!(kind.problem(value).is_some(), "{kind:?} takes {value:?}");
        }
    }

    #[test]
    fn a_site_url_leads_to_one_machine_and_a_port() {
        for (url, says) in [
            ("http://chat.example.com:0", "port 0"),
            ("http://0.0.0.0", "every address"),
            ("http://0.0.0.0:8065/chat", "every address"),
            ("http://[::]:8065", "every address"),
            ("http://[::ffff:0.0.0.0]", "every address"),
            ("http://255.255.255.255", "many machines"),
            ("http://224.0.0.1", "many machines"),
            ("https://[host]", "`[host]` in it, which nothing has replaced"),
            ("https://[your-domain]:8443/x", "`[your-domain]` in it"),
            ("https://__HOST__", "`__HOST__` in it"),
        ] {
            let problem = Kind::SiteUrl.problem(url).unwrap_or_default();
            assert!(problem.contains(says), "{url}: {problem}");
        }
        for url in ["http://[::1]:8065", "http://127.0.0.1", "http://[2001:db8::1]", "https://my_chat"] {
            assert_eq!(Kind::SiteUrl.problem(url), None, "{url}");
        }
        assert!(Kind::Url.problem("http://git.example.com:0/x").is_some());
    }

    #[test]
    fn a_name_beyond_ascii_gets_the_form_that_browsers_send() {
        for (kind, form) in ADDRESSES {
            let read = kind.read(&form.replace("HOST", "chät.example")).expect(form);
            let taken_as_it_is = matches!(kind, Kind::Endpoint | Kind::Domains) && !form.contains("://");
            let host = if taken_as_it_is { "chät.example" } else { "xn--cht-rla.example" };
            assert_eq!(read, form.replace("HOST", host), "{kind:?}");
        }
    }

    #[test]
    fn what_people_really_have_is_taken() {
        for (kind, value) in [
            (Kind::Email, "o'brien+chat@example.com"),
            (Kind::Email, "chat@localhost"),
            (Kind::Url, "https://graph.example.com/v1.0/me?$select=mail"),
            (Kind::Link, "mailto:help@example.com"),
            (Kind::Link, "/help"),
            (Kind::Link, "wss://chat.example.com"),
            (Kind::Endpoint, "minio:9000"),
            (Kind::Endpoint, "[::1]:9000"),
            (Kind::Domains, "@corp.example"),
            (Kind::Path, "./data/"),
            (Kind::Path, "/srv/my files/ca.pem"),
            (Kind::Bucket, "chat.files-1"),
            (Kind::Host, "[::1]"),
        ] {
            assert_eq!(kind.problem(value), None, "{kind:?}: {value}");
        }
    }
}
