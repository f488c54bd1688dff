//! The rules for the texts of a manifest, each alone: which id, version, address and path Mattermost accepts.

use percent_encoding::percent_decode_str;
use url::Url;

/// Whether this is the id of an app: everywhere the same rule, on this machine and on AWS. So an id is also the name of a file.
pub fn is_app_id(id: &str) -> bool {
    app_id(id).is_ok()
}

/// Why an app's id is refused. Mattermost accepts one without a letter or a digit, such as `...`: it is refused, because nothing can be named after it.
pub(crate) fn app_id(id: &str) -> Result<(), String> {
    match id.len() {
        3..=32 => allowed(id)?,
        length => return Err(format!("it has {length} bytes")),
    }
    match id.chars().any(|c| c.is_ascii_alphanumeric()) {
        true => Ok(()),
        false => Err("it has no letter and no digit".to_owned()),
    }
}

/// What an id may be.
pub(crate) const APP_ID: &str =
    "3 to 32 of the characters A-Z, a-z, 0-9, `-`, `_` and `.`, with a letter or a digit among them";

/// Why a version is refused.
pub(crate) fn version(version: &str) -> Result<(), String> {
    match version.len() {
        0..=10 => allowed(version),
        length => Err(format!("it has {length} bytes")),
    }
}

/// What a version may be.
pub(crate) const VERSION: &str = "at most 10 of the characters A-Z, a-z, 0-9, `-`, `_` and `.`";

fn allowed(text: &str) -> Result<(), String> {
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
        Some(other) => Err(format!("`{}` is not allowed in it", other.escape_debug())),
        None => Ok(()),
    }
}

/// Why an address of a homepage or an app is refused.
pub(crate) fn http_url(text: &str) -> Result<(), String> {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        return Err("it does not begin with http:// or https://".to_owned());
    };
    // The parser of browsers takes `https:///x` for `https://x`.
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.starts_with(':') {
        return Err("it names no host".to_owned());
    }
    Url::parse(text).map(drop).map_err(|error| error.to_string())
}

/// The path of a static file, as Mattermost reads it: decoded, without `.`, `..` and double slashes.
pub(crate) fn static_path(text: &str) -> Result<String, String> {
    if text.len() > crate::names::KEY_MAX {
        return Err(format!("it has more than {} bytes", crate::names::KEY_MAX));
    }
    let (start, path) = match text.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '%']) => {
            let end = rest.find('/').unwrap_or(rest.len());
            text.split_at(scheme.len() + 3 + end)
        }
        _ => ("", text),
    };
    let path = cleaned(&decoded(path)?);
    if path == "." || path == ".." || path.starts_with("../") {
        return Err("it leaves the directory of the static files".to_owned());
    }
    Ok(match start {
        "" if path.starts_with('/') => format!(".{path}"),
        _ => format!("{start}{path}"),
    })
}

/// Decoded until nothing is left to decode: what is encoded twice would be decoded further on.
fn decoded(path: &str) -> Result<String, String> {
    let mut path = path.to_owned();
    loop {
        let rest = path.split('%').skip(1);
        if rest
            .map(|rest| rest.as_bytes().get(..2))
            .any(|hex| hex.is_none_or(|hex| !hex.iter().all(u8::is_ascii_hexdigit)))
        {
            return Err("a `%` in it is not followed by two hexadecimal digits".to_owned());
        }
        let next = percent_decode_str(&path).decode_utf8().map_err(|_| "it is not UTF-8".to_owned())?;
        if next.contains(['\0', '\\']) || next.contains(char::is_control) {
            return Err("it has a backslash or a control character".to_owned());
        }
        if next == path {
            return Ok(path);
        }
        path = next.into_owned();
    }
}

/// The shortest path that means the same, without looking at a disk: `path.Clean` of Go.
fn cleaned(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&"..") | None if !is_absolute => parts.push(".."),
                _ => drop(parts.pop()),
            },
            part => parts.push(part),
        }
    }
    match (is_absolute, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_apps() {
        let long = "a".repeat(33);
        for bad in ["", "a", "ab", &long, "../path", "/etc/passwd", "ünicode", "a b c", "abc\n", "...", "-_."]
        {
            assert!(app_id(bad).is_err(), "{bad}");
        }
        let longest = "a".repeat(32);
        for good in [
            "abc",
            &longest,
            "com.mattermost.app-0.9",
            "CAPS-ARE-FINE",
            "....DOTS.ALSO.......",
            "----SLASHES-ALSO----",
            "___AND_UNDERSCORES____",
        ] {
            assert_eq!(app_id(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn versions() {
        for good in ["", "v1.0.0", "1.0.0", "v1.0.0-rc1", "CAPS-OK", ".DOTS.", "-SLASHES-", "_OK_"] {
            assert_eq!(version(good), Ok(()), "{good}");
        }
        for bad in ["v00_00_0000", "/", "1.0+x"] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses() {
        for bad in [
            "",
            "bad url",
            "/api/test",
            "htp://x",
            "http://",
            "https:///x",
            "mattermost.com/some/url/",
            ":invalid",
            "https://:80/",
            "https://a b/",
            "https://?x",
        ] {
            assert!(http_url(bad).is_err(), "{bad}");
        }
        for good in ["https://localhost:1111/test", "https://mattermost.com/some//url", "http://[::1]:80"] {
            assert_eq!(http_url(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn paths_of_static_files() {
        for (text, path) in [
            ("X/Y/../Z", "X/Z"),
            ("////X///Y////Z///", "./X/Y/Z"),
            ("https://test.t/X/../../Y", "https://test.t/Y"),
            ("/X/../../Y", "./Y"),
            ("%2FX%2F..%2F..%2FY", "./Y"),
            ("photo.png", "photo.png"),
            ("img/a b.png", "img/a b.png"),
        ] {
            assert_eq!(static_path(text).as_deref(), Ok(path), "{text}");
        }
        for text in [
            "X/../../Y/Z",
            "X/Y/../../../Z",
            "X%252F..%2F..%2525252FY",
            "X%252f..%252f..%252fmanifest",
            "../..",
            "..",
            ".",
            "",
            "a/..",
            "100%",
            "%zz",
            "a\\..\\..\\b",
            "a%00b",
        ] {
            assert!(static_path(text).is_err(), "{text}");
        }
    }
}
