//! The names, email addresses and lengths that Mattermost accepts. The tables do not enforce these rules.

use crate::bounds::{POST_FILES, POST_MESSAGE, POST_PROPS};
use crate::error::{AppError, Result};
use crate::model::Props;

const RESERVED_USERNAMES: [&str; 4] = ["all", "channel", "matterbot", "system"];

/// The beginnings of the server's own paths. A team's name must not begin with one of them.
const RESERVED_TEAMS: [&str; 18] = [
    "admin",
    "api",
    "channel",
    "claim",
    "error",
    "files",
    "help",
    "landing",
    "login",
    "mfa",
    "oauth",
    "plug",
    "plugins",
    "post",
    "signup",
    "boards",
    "playbooks",
    "mainstay",
];

/// Whether `name` is a user name: 1 to 64 lower-case letters, digits, dots, dashes and underscores.
pub(crate) fn is_username(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b))
        && !RESERVED_USERNAMES.contains(&name)
}

/// Whether `address` is a bare email address: a host after the `@`, no spaces, at most 128 bytes.
pub(crate) fn is_email(address: &str) -> bool {
    let Some((local, host)) = address.rsplit_once('@') else { return false };
    let local_is_fine = !local.is_empty()
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c));
    let host_is_fine = !host.is_empty()
        && host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        });
    address.len() <= 128 && !address.chars().any(char::is_uppercase) && local_is_fine && host_is_fine
}

/// Whether `name` is a team name: 2 to 64 lower-case letters and digits, with dashes or one `__` between them.
pub(crate) fn is_team_name(name: &str) -> bool {
    (2..=64).contains(&name.len()) && is_path_name(name, false)
}

/// Whether `name` begins like one of the server's own paths.
pub(crate) fn is_reserved_team_name(name: &str) -> bool {
    RESERVED_TEAMS.iter().any(|reserved| name.starts_with(reserved))
}

/// Whether `name` is a channel name: 1 to 64 lower-case letters, digits, dashes and underscores, the first a letter or
/// digit.
pub(crate) fn is_channel_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && is_path_name(name, true)
}

fn is_path_name(name: &str, is_channel: bool) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if is_channel {
        return letter(*first) && bytes.iter().all(|b| letter(*b) || b"-_".contains(b));
    }
    let inner_is_fine = match name.split_once("__") {
        // One double underscore may separate two words of letters and digits.
        Some((left, right)) => !left.is_empty() && left.bytes().chain(right.bytes()).all(letter),
        None => bytes.iter().all(|b| letter(*b) || *b == b'-'),
    };
    letter(*first) && letter(*last) && inner_is_fine
}

/// Whether `address` is in one of the domains in `list`, which are separated by spaces, commas or `@`. An empty list
/// allows every domain.
pub(crate) fn is_domain_allowed(list: &str, address: &str) -> bool {
    let mut domains =
        list.split([' ', ',', '@']).map(str::trim).filter(|domain| !domain.is_empty()).peekable();
    let address = address.to_lowercase();
    domains.peek().is_none()
        || domains.any(|domain| address.ends_with(&format!("@{}", domain.to_lowercase())))
}

/// Refuses a message that is too long for a post.
pub(crate) fn check_message(message: &str) -> Result<()> {
    at_most(POST_MESSAGE, message, "message").map_err(|_| {
        AppError::bad_request(
            "model.post.is_valid.message_length.app_error",
            format!("Post message is longer than the maximum of {POST_MESSAGE} characters."),
        )
    })
}

/// `value` as JSON, to count its characters.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Refuses props that are too large for a post.
pub(crate) fn check_props(props: &Props) -> Result<()> {
    at_most(POST_PROPS, &json(props), "props")
        .map_err(|_| AppError::bad_request("model.post.is_valid.props.app_error", "Invalid props."))
}

/// Refuses more files than a post can have.
pub(crate) fn check_files(files: usize) -> Result<()> {
    if files <= POST_FILES {
        return Ok(());
    }
    Err(AppError::bad_request(
        "model.post.is_valid.file_ids.app_error",
        format!("A post has at most {POST_FILES} files."),
    ))
}

/// Refuses `text` if it has more than `most` characters.
pub(crate) fn at_most(most: usize, text: &str, name: &str) -> Result<()> {
    if text.chars().nth(most).is_none() { Ok(()) } else { Err(AppError::body(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usernames() {
        assert!(["a", "a.b-c_9", &"x".repeat(64)].into_iter().all(is_username));
        assert!(!["", "A", "a b", "all", "système", &"x".repeat(65)].into_iter().any(is_username));
    }

    #[test]
    fn addresses() {
        assert!(["a@b", "a.b+c@mail.example", "x_y@sub-1.example.org"].into_iter().all(is_email));
        for wrong in
            ["", "a", "@b", "a@", "a b@c", "A@b", "a@b@c", "<a@b>", "a@b..c", "a@-b", ".a@b", "a@b\n"]
        {
            assert!(!is_email(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn team_names() {
        assert!(["ab", "a-b", "a__b", "a1", "x9-y8-z7"].into_iter().all(is_team_name));
        for wrong in ["", "a", "-ab", "ab-", "a_b", "a__b__c", "__ab", "Ab", "a b", "ä-b"] {
            assert!(!is_team_name(wrong), "{wrong:?}");
        }
        assert!(
            is_reserved_team_name("postal")
                && is_reserved_team_name("api")
                && !is_reserved_team_name("sales")
        );
    }

    #[test]
    fn domain_lists() {
        assert!(is_domain_allowed("", "a@b.c") && is_domain_allowed(" , ", "a@b.c"));
        assert!(is_domain_allowed("x.y, @B.c", "A@b.C") && !is_domain_allowed("b.c", "a@sub.b.c"));
    }

    proptest! {
        #[test]
        fn what_the_rules_accept_is_safe_in_paths(text in ".{0,70}") {
            let safe = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
            prop_assert!(safe || !(is_username(&text) || is_team_name(&text) || is_channel_name(&text)));
        }
    }
}
