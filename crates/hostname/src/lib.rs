//! What a host name is: one rule for host names, and for the hosts of URLs, mail addresses, origins and database addresses.
//!
//! Promise: what [`read`] accepts, a browser and a resolver can look up. A name with letters beyond ASCII becomes the form that
//! browsers send (`chät.example` is `xn--cht-rla.example`). An underscore is allowed, because container engines resolve such names.
//!
//! Refused: what a URL parser would repair in silence: spaces, `$DOMAIN`, `<your-domain>`, typographic quotes, numbers that are half an
//! IPv4 address. No error repeats more of the text than one character: in a database address it may be a mistyped password.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr};

/// The longest name, and the longest part of one, in bytes (RFC 1035).
const LONGEST: usize = 253;
const LONGEST_PART: usize = 63;

/// Why a text is not a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAHost {
    /// There is no text.
    #[error("it is empty")]
    Empty,
    /// A character that no name has.
    #[error("a host name has no {}", named(*.0))]
    Character(char),
    /// Two dots in a row, or one at the beginning.
    #[error("between two dots there is a part with at least one letter")]
    EmptyPart,
    /// A hyphen where none may be.
    #[error("no part of a host name begins or ends with a hyphen")]
    Hyphen,
    /// Too many bytes.
    #[error("a host name has at most {LONGEST} bytes, and each part of it at most {LONGEST_PART}")]
    TooLong,
    /// A name that ends in a number.
    #[error("it ends in a number and is not an IPv4 address of four")]
    Number,
    /// `xn--` before what encodes no letters, or letters that must not stand together.
    #[error("it cannot be encoded for the name service")]
    Encoding,
}

/// The character as a message may show it.
fn named(character: char) -> String {
    match character {
        ' ' => "space".to_owned(),
        c if c.is_control() || c.is_whitespace() || is_mark(c) => format!("`{}`", c.escape_unicode()),
        c => format!("`{c}`"),
    }
}

/// Whether this is punctuation of typography, as word processors and chat programs put it into a text: quotes, dashes, spaces, marks of
/// no width. The encoding of host names drops some of them, and keeps others.
pub fn is_mark(character: char) -> bool {
    // The two joiners belong to the spelling of some languages.
    matches!(character, '\u{a0}' | '\u{ab}' | '\u{bb}' | '\u{2000}'..='\u{206f}' | '\u{feff}' | '\u{fffd}')
        && !matches!(character, '\u{200c}' | '\u{200d}')
}

/// The host name or IP address (IPv6 without brackets) in the form that browsers and resolvers use.
///
/// # Errors
/// The text is neither.
///
/// ```
/// assert_eq!(hostname::read("chat.example.com").as_deref(), Ok("chat.example.com"));
/// assert_eq!(hostname::read("chät.example").as_deref(), Ok("xn--cht-rla.example"));
/// assert!(hostname::read("$DOMAIN").is_err());
/// ```
pub fn read(text: &str) -> Result<String, NotAHost> {
    if text.is_empty() {
        return Err(NotAHost::Empty);
    }
    if text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    let is_foreign = |c: &char| match c {
        c if c.is_ascii() => !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')),
        c => is_mark(*c) || c.is_whitespace() || c.is_control(),
    };
    if let Some(character) = text.chars().find(is_foreign) {
        return Err(NotAHost::Character(character));
    }
    let is_encoded = |part: &str| part.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    let name = if !text.is_ascii() {
        idna::domain_to_ascii_strict(text).map_err(|_| NotAHost::Encoding)?
    } else if text.split('.').any(is_encoded) {
        idna::domain_to_ascii(text).map(|_| text.to_owned()).map_err(|_| NotAHost::Encoding)?
    } else {
        text.to_owned()
    };
    if name.parse::<Ipv4Addr>().is_ok() {
        return Ok(name);
    }
    // A dot at the end says that nothing is to be added.
    let whole = name.strip_suffix('.').unwrap_or(&name);
    let parts = || whole.split('.');
    if parts().any(str::is_empty) {
        return Err(NotAHost::EmptyPart);
    }
    if whole.len() > LONGEST || parts().any(|part| part.len() > LONGEST_PART) {
        return Err(NotAHost::TooLong);
    }
    if parts().any(|part| part.starts_with('-') || part.ends_with('-')) {
        return Err(NotAHost::Hyphen);
    }
    // Browsers and resolvers read it as an address.
    let is_number = |part: &str| {
        let hexadecimal = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
        match hexadecimal {
            Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => part.bytes().all(|byte| byte.is_ascii_digit()),
        }
    };
    if parts().next_back().is_some_and(is_number) {
        return Err(NotAHost::Number);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read() {
        for (text, name) in [
            ("localhost", "localhost"),
            ("my_db", "my_db"),
            ("Chat.Example.com", "Chat.Example.com"),
            ("chat.example.com.", "chat.example.com."),
            ("3com.example", "3com.example"),
            ("192.0.2.7", "192.0.2.7"),
            ("::1", "::1"),
            ("chät.example", "xn--cht-rla.example"),
            ("xn--cht-rla.example", "xn--cht-rla.example"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("１９２.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_a_url_parser_would_repair_is_refused() {
        let long = "a".repeat(64);
        let longer = "abc.".repeat(64) + "example";
        for (text, why) in [
            ("", NotAHost::Empty),
            ("$DOMAIN", NotAHost::Character('$')),
            ("${DOMAIN}", NotAHost::Character('$')),
            ("{{ domain }}", NotAHost::Character('{')),
            ("<your-domain>", NotAHost::Character('<')),
            ("%DOMAIN%", NotAHost::Character('%')),
            ("chat example", NotAHost::Character(' ')),
            ("chat,example", NotAHost::Character(',')),
            ("chat\nexample", NotAHost::Character('\n')),
            ("\u{201c}chat.example\u{201d}", NotAHost::Character('\u{201c}')),
            ("chat\u{2013}a.example", NotAHost::Character('\u{2013}')),
            ("chat\u{200b}.example", NotAHost::Character('\u{200b}')),
            ("chat\u{a0}", NotAHost::Character('\u{a0}')),
            ("chat_é", NotAHost::Encoding),
            ("xn--a.example", NotAHost::Encoding),
            ("-x", NotAHost::Hyphen),
            ("chat-.example", NotAHost::Hyphen),
            ("chat..example", NotAHost::EmptyPart),
            (".example", NotAHost::EmptyPart),
            (".", NotAHost::EmptyPart),
            ("5432", NotAHost::Number),
            ("192.0.2", NotAHost::Number),
            ("256.0.2.7", NotAHost::Number),
            ("0x7f.1", NotAHost::Number),
            (&long, NotAHost::TooLong),
            (&longer, NotAHost::TooLong),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_character_that_is_not_seen_is_shown_by_its_number() {
        assert_eq!(NotAHost::Character('\u{200b}').to_string(), "a host name has no `\\u{200b}`");
        assert_eq!(NotAHost::Character(' ').to_string(), "a host name has no space");
        assert_eq!(NotAHost::Character('$').to_string(), "a host name has no `$`");
    }
}
