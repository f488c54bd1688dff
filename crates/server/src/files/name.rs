//! The names of a file: the one that users see, the one on disk, and the one in a header. A path given by a client is
//! never used on disk.

use jiff::Zoned;

use crate::bounds::FILE_NAME;
use crate::id::Id;

/// The longest name on disk, in bytes: with its directories, the path must fit into its column (512).
const LONGEST_STORED: usize = 100;

/// The displayed name: the last part of the client's path, without invisible characters and those that change the
/// direction of text. Shortening keeps the extension.
pub(crate) fn shown(client_name: &str) -> String {
    let last = client_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let clean: String = last.chars().filter(visible).collect();
    match clean.trim() {
        "" | "." | ".." => "file".to_owned(),
        name => shortened(name, FILE_NAME),
    }
}

/// The name on disk for a displayed name: ASCII letters, digits, `.`, `-` and `_`, without a leading dot.
pub(crate) fn stored(shown: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = shown.chars().map(plain).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "file".to_owned() } else { shortened(name, LONGEST_STORED) }
}

fn shortened(name: &str, longest: usize) -> String {
    let length = name.chars().count();
    if length <= longest {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.chars().count() < longest / 2 => (stem, Some(extension)),
        _ => (name, None),
    };
    let room = longest - extension.map_or(0, |extension| extension.chars().count() + 1);
    let mut short: String = stem.chars().take(room).collect();
    if let Some(extension) = extension {
        short.push('.');
        short.push_str(extension);
    }
    short
}

/// The directory of one file, relative to `FileSettings.Directory`, in Mattermost's layout.
pub(crate) fn directory(day: &Zoned, channel: Id, user: Id, file: Id) -> String {
    format!("{}/teams/noteam/channels/{channel}/users/{user}/{file}", day.strftime("%Y%m%d"))
}

/// A `Content-Disposition` header with an ASCII name for old clients, and the real one (RFC 8187).
pub(crate) fn disposition(inline: bool, shown: &str) -> String {
    let kind = if inline { "inline" } else { "attachment" };
    let quotable =
        |c: char| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' };
    let ascii: String = shown.chars().map(quotable).collect();
    let mut encoded = String::new();
    for byte in shown.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_last_part_of_a_path_is_kept() {
        for (client, expected) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\a b.png", "a b.png"),
            ("..", "file"),
            ("a/", "file"),
            ("", "file"),
            ("nul\0byte\n.txt", "nulbyte.txt"),
            ("gpj\u{202e}exe.x", "gpjexe.x"),
            ("ünïcode 日本.png", "ünïcode 日本.png"),
        ] {
            assert_eq!(shown(client), expected, "{client:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let name = shown(&format!("{}.tar.gz", "a".repeat(400)));
        assert_eq!(name.len(), FILE_NAME);
        assert!(name.ends_with(".gz"));
        assert_eq!(shown(&format!("a.{}", "b".repeat(400))).len(), FILE_NAME);
    }

    #[test]
    fn special_characters_are_escaped_in_headers() {
        assert_eq!(
            disposition(true, "a\"b é.png"),
            "inline; filename=\"a_b _.png\"; filename*=UTF-8''a%22b%20%C3%A9.png"
        );
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_directory(client in "\\PC{0,40}|(\\.|/|\\\\|a){0,12}") {
            let name = stored(&shown(&client));
            prop_assert!(!name.is_empty() && !name.starts_with('.') && name.len() <= LONGEST_STORED);
            prop_assert!(!name.contains(['/', '\\', '\0']));
            prop_assert!(http::HeaderValue::from_str(&disposition(false, &shown(&client))).is_ok());
        }
    }
}
