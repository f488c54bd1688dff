//! The keys of `mainstay.toml`: one row a key.

use std::net::SocketAddr;

use url::Url;

/// What a key's value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of a few words.
    Word(&'static [&'static str]),
    /// `ADDRESS:PORT`.
    Address,
    /// An `http` or `https` URL without query and fragment.
    SiteUrl,
    /// Any text of one line.
    Text,
}

impl Kind {
    /// What is allowed, for a message.
    pub fn allowed(self) -> String {
        match self {
            Self::Word(words) => format!("allowed: {}", words.join(", ")),
            Self::Address => "allowed: ADDRESS:PORT, as in 127.0.0.1:8065 or [::]:443".to_owned(),
            Self::SiteUrl => {
                "allowed: http:// or https://, a host, and perhaps a port and a path, as in https://chat.example.com"
                    .to_owned()
            }
            Self::Text => "allowed: text of one line".to_owned(),
        }
    }

    /// What is wrong with `value`, if anything.
    pub fn problem(self, value: &str) -> Option<String> {
        match self {
            Self::Word(words) => {
                (!words.contains(&value)).then(|| format!("is `{value}`, which is not one of its words"))
            }
            Self::Address => value
                .parse::<SocketAddr>()
                .is_err()
                .then(|| format!("is `{value}`, which is no address with a port")),
            Self::SiteUrl => site_url_problem(value),
            Self::Text => value.contains(['\n', '\r', '\0']).then(|| "has a line break".to_owned()),
        }
    }
}

fn site_url_problem(value: &str) -> Option<String> {
    if !value.contains("://") {
        return Some(format!("is `{value}`, which has no scheme; did you mean `https://{value}`?"));
    }
    let url = match Url::parse(value) {
        Ok(url) => url,
        Err(error) => return Some(format!("is `{value}`, which is no URL ({error})")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Some(format!("has the scheme `{}`", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Some("has no host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("has a user name or a password in it".to_owned());
    }
    (url.query().is_some() || url.fragment().is_some()).then(|| "has a query or a fragment".to_owned())
}

/// A row: one key of `mainstay.toml`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// What holds when the key is absent, in words.
    pub default: &'static str,
    /// What it means, for the operator.
    pub meaning: &'static str,
}

/// Every key at the top of `mainstay.toml`, in the order a new file has them.
///
/// Beside them stand tables `[mattermost.SECTION]`, whose keys go to config.json as they are.
pub const KEYS: &[Key] = &[
    Key {
        name: "edition",
        kind: Kind::Word(&["builtin", "team", "entry", "enterprise"]),
        default: "builtin",
        meaning: "Which server: `builtin` needs no download and no database server",
    },
    Key {
        name: "version",
        kind: Kind::Text,
        default: "the one this Mainstay was made for",
        meaning: "Which version of that server",
    },
    Key {
        name: "listen",
        kind: Kind::Address,
        default: "127.0.0.1:8065",
        meaning: "Where the edge answers; a loopback address is seen by this machine alone",
    },
    Key {
        name: "site_url",
        kind: Kind::SiteUrl,
        default: "http://localhost and the port of `listen`",
        meaning: "The address people type; links, sign-in and the websocket's Origin check depend on it",
    },
    Key {
        name: "user",
        kind: Kind::Text,
        default: "mainstay when started as root, otherwise whoever started it",
        meaning: "The system user that the server runs as",
    },
];

/// The row named `name`.
pub(crate) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
