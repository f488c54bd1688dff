//! What a setting's value may be.

mod address;
mod backup;

use listen::Listen;
use serde_json::Value;

pub use backup::rate;

/// What a value may be. Every kind describes what it allows, and what is wrong with a text that it does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of a few words, in any case; the empty word is the default where it is among them.
    Word(&'static [&'static str]),
    /// An address to listen on, where the port is not 0, because people must know it.
    Address,
    /// An `http` or `https` URL without query and fragment.
    SiteUrl,
    /// A word or words on one line.
    Text,
    /// Any text of one line, such as a user's name at another service.
    Line,
    /// Any text at all.
    Anything,
    /// A text of at most so many bytes.
    Name(usize),
    /// `true` or `false`, in every spelling the server itself reads.
    Bool,
    /// A whole number from the first to the second.
    Int(i64, i64),
    /// A TCP port, 1 to 65535, which config.json keeps as a text.
    Port,
    /// An `http` or `https` URL.
    Url,
    /// `http` or `https` URLs without a login, separated by commas.
    Sites,
    /// The fingerprint of a key of OpenPGP.
    Fingerprint,
    /// An address of a page: an `http` or `https` URL, a path, `mailto:`.
    Link,
    /// A host name or an IP address, alone.
    Host,
    /// A host with or without a port, or a URL.
    Endpoint,
    /// A mail address.
    Email,
    /// Mail domains, separated by commas.
    Domains,
    /// A path of a file or directory.
    Path,
    /// The name of a bucket.
    Bucket,
    /// Networks, separated by commas, each an address or `ADDRESS/PREFIX`; or `none`.
    Networks,
    /// Origins of pages, separated by spaces: `SCHEME://HOST`, a host alone, or `*` for any.
    Origins,
    /// Where backups are kept: a path, or a bucket with a prefix.
    Repository,
    /// Bytes a second.
    Rate,
    /// Times of the week, separated by commas.
    Windows,
    /// Days and spans of days, separated by commas.
    Days,
    /// A number of days, as in `2d`.
    Delay,
    /// An `http` or `https` URL without a login, or the absolute path of a file.
    Source,
    /// A key or salt: nothing, or 32 characters and more (the server does not start on fewer).
    Salt,
}

impl Kind {
    /// What is allowed, for a message.
    pub fn allowed(self) -> String {
        let text = match self {
            Self::Word(words) => {
                let words: Vec<_> = words.iter().filter(|word| !word.is_empty()).copied().collect();
                return format!("allowed: {}", words.join(", "));
            }
            Self::Address => listen::FORMS,
            Self::SiteUrl => {
                "http:// or https://, a host, and perhaps a port and a path, as in https://chat.example.com"
            }
            Self::Text | Self::Line => "text of one line",
            Self::Anything => "any text",
            Self::Name(most) => {
                return format!("allowed: text of at most {most} bytes, as the server counts them");
            }
            Self::Bool => "true or false",
            Self::Int(least, i64::MAX) => return format!("allowed: a whole number, {least} or more"),
            Self::Int(least, most) => return format!("allowed: a whole number from {least} to {most}"),
            Self::Port => "a port, 1 to 65535",
            Self::Url => "an http:// or https:// address, as in https://git.example.com/oauth/authorize",
            Self::Sites => {
                "http:// or https:// addresses without user and password, separated by commas, as in https://mirror.example.com/mattermost"
            }
            Self::Fingerprint => "40 hexadecimal digits, as `gpg --fingerprint` prints them",
            Self::Link => "an http:// or https:// address, a path, or mailto:ADDRESS",
            Self::Endpoint => "HOST, HOST:PORT or a URL, as in s3.example.com or minio:9000",
            Self::Domains => "mail domains, separated by commas, as in example.com, corp.example",
            Self::Path => "the path of a file or directory",
            Self::Bucket => "3 to 255 letters, digits, hyphens, dots and underscores",
            Self::Host => "a host name or an IP address without scheme and port, as in chat.example.com",
            Self::Email => "a mail address, as in chat@example.com",
            Self::Networks => "none, or networks separated by commas, as in 10.0.0.0/8, 192.0.2.7",
            Self::Origins => {
                "*, or origins separated by spaces, as in https://a.example.com http://b.example.com:8080"
            }
            Self::Repository => backup::REPOSITORIES,
            Self::Rate => backup::RATES,
            Self::Windows => ::updates::Windows::ALLOWED,
            Self::Days => ::updates::Freeze::ALLOWED,
            Self::Delay => "a number of days from 0d to 60d, as in 2d",
            Self::Source => {
                "an http:// or https:// address without user and password, or the absolute path of a file"
            }
            Self::Salt => "32 characters or more; leave it out, and one is generated and kept",
        };
        format!("allowed: {text}")
    }

    /// Whether its text has entries that are separated by commas: `mainstay.toml` may have a list of texts instead.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Sites | Self::Domains | Self::Networks | Self::Windows | Self::Days)
    }

    /// What is wrong with `value`, if anything.
    pub fn problem(self, value: &str) -> Option<String> {
        self.read(value).err()
    }

    /// The value of `text`, as config.json has it.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence fragment. A [`Kind::Salt`]'s never repeats the text.
    pub fn read(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Word(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
                Some(word) => Ok(Value::from(*word)),
                None => Err(format!("is `{text}`, which is not one of its words")),
            },
            Self::Address => match text.parse::<Listen>() {
                Ok(listen) if listen.port == 0 => {
                    Err(format!("is `{text}`, and port 0 is another port at every start"))
                }
                Ok(_) => Ok(text.into()),
                Err(error) => Err(format!("is `{text}`: {}", error.why)),
            },
            Self::SiteUrl => address::site_url(text).map(Value::from),
            Self::Url => address::web_url(text).map(|(_, url)| url.into()),
            Self::Sites => address::sites(text).map(Value::from),
            Self::Fingerprint => {
                let digits: String = text.chars().filter(|digit| *digit != ' ').collect();
                match digits.len() == 40 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    true => Ok(digits.to_ascii_uppercase().into()),
                    false => Err(format!("is `{text}`, which is not a fingerprint")),
                }
            }
            Self::Link => address::link(text).map(Value::from),
            Self::Text => address::plain(text).map(Value::from),
            Self::Line | Self::Name(_) if text.contains(['\n', '\r', '\0']) => {
                Err("has a line break".to_owned())
            }
            Self::Name(most) if text.len() > most => Err(format!("has {} bytes", text.len())),
            Self::Line | Self::Name(_) | Self::Anything => Ok(text.into()),
            Self::Bool => {
                boolean(text).map(Value::from).ok_or_else(|| format!("is `{text}`, which is neither"))
            }
            Self::Int(least, most) => match text.parse::<i64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(number.into()),
                Ok(number) => Err(format!("is {number}, which is out of its range")),
                Err(_) => Err(format!("is `{text}`, which is not a whole number")),
            },
            Self::Port => match text.parse::<u16>() {
                Ok(1..) => Ok(text.into()),
                _ => Err(format!("is `{text}`, which is not a port")),
            },
            Self::Host => address::host(text).map(Value::from),
            Self::Endpoint => address::endpoint(text).map(Value::from),
            Self::Networks => address::networks(text).map(Value::from),
            Self::Origins => address::origins(text).map(Value::from),
            Self::Email => address::email(text).map(Value::from),
            Self::Domains => address::domains(text).map(Value::from),
            Self::Path => address::path(text).map(Value::from),
            Self::Bucket => address::bucket(text).map(Value::from),
            Self::Repository => backup::repository(text).map(Value::from),
            Self::Rate => match backup::rate(text) {
                Some(_) => Ok(text.into()),
                None => Err(format!("is `{text}`, which is not a rate")),
            },
            Self::Windows => ::updates::Windows::read(text).map(|_| text.into()),
            Self::Days => ::updates::Freeze::read(text).map(|_| text.into()),
            Self::Delay => match ::updates::days(text) {
                Some(_) => Ok(text.into()),
                None => Err(format!("is `{text}`, which is not such a number of days")),
            },
            Self::Source if text.contains("://") => match address::sites(text) {
                Ok(_) if text.contains(',') => Err(format!("is `{text}`, which is more than one address")),
                Ok(_) => Ok(text.into()),
                Err(problem) => Err(problem),
            },
            Self::Source => match address::path(text) {
                Ok(path) if path.starts_with('/') => Ok(path.into()),
                _ => Err(format!("is `{text}`, which is neither an address nor an absolute path")),
            },
            Self::Salt => match text.chars().count() {
                0 | 32.. => Ok(text.into()),
                count => {
                    Err(format!("has {count} characters, and the server refuses to start on a short one"))
                }
            },
        }
    }

    /// What is wrong with a value that is in config.json's form already.
    pub fn problem_of(self, value: &Value) -> Option<String> {
        match (self, value) {
            (Self::Bool, Value::Bool(_)) => None,
            (Self::Int(..), Value::Number(number)) => self.problem(&number.to_string()),
            // An empty text unsets every setting.
            (Self::Bool | Self::Int(..), _) => Some(format!("is {}", a_kind(value))),
            (_, Value::String(text)) if text.is_empty() => None,
            (_, Value::String(text)) => self.problem(text),
            (_, other) => Some(format!("is {}", a_kind(other))),
        }
    }
}

/// What a JSON value is, in words.
pub(crate) fn a_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// The spellings that the server reads from an environment variable.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_read_by_their_word_and_not_by_being_there() {
        assert_eq!(Kind::Bool.read("false"), Ok(Value::from(false)));
        assert_eq!(Kind::Bool.read("1"), Ok(Value::from(true)));
        assert_eq!(Kind::Bool.read("yes"), Err("is `yes`, which is neither".to_owned()));
    }

    #[test]
    fn every_kind_refuses_what_it_does_not_allow() {
        let refused = [
            (Kind::Word(&["", "TLS"]), "SSL"),
            (Kind::Address, ":http"),
            (Kind::Address, "127.0.0.1:0"),
            (Kind::SiteUrl, "https://x/?a"),
            (Kind::Url, "ftp://x"),
            (Kind::Sites, "https://a.example.com, b.example.com"),
            (Kind::Sites, "https://me:secret@a.example.com"),
            (Kind::Sites, ","),
            (Kind::Fingerprint, "F8F2C31744774B28"),
            (Kind::Text, "a\nb"),
            (Kind::Name(3), "four"),
            (Kind::Int(1, 9), "10"),
            (Kind::Int(1, 9), "ten"),
            (Kind::Port, "0"),
            (Kind::Port, "65536"),
            (Kind::Host, "http://x"),
            (Kind::Email, "@x"),
            (Kind::Origins, "https://"),
            (Kind::Origins, "https://a.example.com/path"),
            (Kind::Origins, "https://a.example.com,https://b.example.com"),
            (Kind::Origins, "https://*.example.com"),
            (Kind::Salt, "short"),
            (Kind::Repository, ""),
            (Kind::Repository, "../backups"),
            (Kind::Repository, "/srv/../etc"),
            (Kind::Repository, "~/backups"),
            (Kind::Repository, "s3://"),
            (Kind::Repository, "s3://ab"),
            (Kind::Repository, "s3://bucket/a/../b"),
            (Kind::Repository, "s3:https://s3.example.com/bucket"),
            (Kind::Repository, "https://s3.example.com/bucket"),
            (Kind::Rate, "0"),
            (Kind::Rate, "20"),
            (Kind::Rate, "fast"),
            (Kind::Rate, "20 MB/h"),
            (Kind::Windows, "Sat"),
            (Kind::Days, "2026-13-01"),
            (Kind::Delay, "2"),
            (Kind::Source, "feed.json"),
            (Kind::Source, "ftp://x/feed.json"),
            (Kind::Source, "https://me:secret@x/feed.json"),
            (Kind::Source, "https://a.example/x,https://b.example/x"),
        ];
        for (kind, text) in refused {
            assert!(kind.problem(text).is_some(), "{kind:?} allows {text}");
        }
        assert!(!Kind::Salt.problem("hunter2").unwrap_or_default().contains("hunter2"));
    }

    #[test]
    fn a_port_stays_a_text_and_a_word_gets_its_own_case() {
        assert_eq!(
            Kind::Origins.read(" https://a.example/  b.example *"),
            Ok(Value::from("https://a.example b.example *"))
        );
        assert_eq!(Kind::Host.read("[::1]"), Ok(Value::from("::1")));
        assert_eq!(Kind::Host.read("my_db"), Ok(Value::from("my_db")));
        assert_eq!(Kind::Port.read("587"), Ok(Value::from("587")));
        assert_eq!(Kind::Word(&["", "STARTTLS"]).read("starttls"), Ok(Value::from("STARTTLS")));
    }
}
