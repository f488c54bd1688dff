//! The mentions and hashtags in a message.

use std::collections::BTreeSet;

/// The longest list of hashtags of a post, in characters.
const LONGEST: usize = 1000;

/// The user names that a message mentions, and whether it mentions everyone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mentions {
    /// Possible user names. A trailing `.`, `-` or `_` may be punctuation, so the name is here with and without it.
    pub(crate) names: BTreeSet<String>,
    /// `@all`, `@channel` or `@here`.
    pub(crate) everyone: bool,
}

/// Finds each `@name` at the beginning of a word.
pub(crate) fn mentions(message: &str) -> Mentions {
    let mut found = Mentions::default();
    for (at, _) in message.match_indices('@') {
        let inside_word = message[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        let rest = &message[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !".-_".contains(c)).unwrap_or(rest.len());
        if inside_word || end == 0 {
            continue;
        }
        let name = rest[..end].to_ascii_lowercase();
        match name.trim_end_matches(['.', '-', '_']) {
            "all" | "channel" | "here" => found.everyone = true,
            "" => {}
            trimmed => {
                found.names.insert(trimmed.to_owned());
                found.names.insert(name);
            }
        }
    }
    found
}

/// The hashtags of a message, separated by spaces. A hashtag has at least two characters after the `#`, a letter first.
pub(crate) fn hashtags(message: &str) -> String {
    let mut tags = String::new();
    for word in message.split(|c: char| c.is_whitespace() || ",;!?()[]\"".contains(c)) {
        let Some(name) = word.strip_prefix('#') else { continue };
        let name = name.trim_end_matches(['.', ':', '-', '_', '\'']);
        let is_tag = name.chars().next().is_some_and(char::is_alphabetic)
            && name.chars().count() >= 2
            && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
        if !is_tag || tags.chars().count() + name.chars().count() + 2 > LONGEST {
            continue;
        }
        if !tags.is_empty() {
            tags.push(' ');
        }
        tags.push('#');
        tags.push_str(name);
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_at_the_beginning_of_words() {
        let found = mentions("hi @Bob, (@al.b) mail a@b.c and @eve.");
        let names: Vec<&str> = found.names.iter().map(String::as_str).collect();
        assert_eq!(names, ["al.b", "bob", "eve", "eve."]);
        assert!(!found.everyone && mentions("@here!").everyone && mentions("@all").everyone);
        assert_eq!(mentions("@ @@ @é"), Mentions::default());
    }

    #[test]
    fn hashtags_begin_with_a_letter() {
        assert_eq!(hashtags("#one, #2 ## #a #two-three. x#no (#Größe)"), "#one #two-three #Größe");
    }
}
