//! All emoji with their names, as the document that the web client loads when it first needs one beyond the usual few.
//!
//! The characters, groups and GitHub's names come from the crate `emojis`; `emoji_names.txt` adds the names that Mattermost has beside
//! them. The first name is the one that a reaction is saved under; the official server knows it too.

use std::collections::HashMap;

use serde::Serialize;

const OTHER_NAMES: &str = include_str!("emoji_names.txt");

/// An emoji: the character, and its names.
#[derive(Serialize)]
struct Entry(&'static str, Vec<String>);

/// Emoji that belong together, under the title that the picker shows.
#[derive(Serialize)]
struct Group {
    title: &'static str,
    emoji: Vec<Entry>,
}

/// The document: a list of groups.
pub(super) fn document() -> Vec<u8> {
    let others: HashMap<&str, Vec<&str>> = OTHER_NAMES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, others)| (name, others.split(' ').collect()))
        .collect();
    let groups: Vec<Group> = emojis::Group::iter()
        .map(|group| Group {
            title: title(group),
            emoji: group.emojis().map(|one| entry(one, &others)).collect(),
        })
        .collect();
    serde_json::to_vec(&groups).unwrap_or_default()
}

fn entry(emoji: &'static emojis::Emoji, others: &HashMap<&str, Vec<&str>>) -> Entry {
    let mut names: Vec<String> =
        emoji.shortcodes().filter(|name| !name.is_empty()).map(str::to_owned).collect();
    names.extend(
        names
            .first()
            .and_then(|name| others.get(&**name))
            .into_iter()
            .flatten()
            .map(|name| (*name).to_owned()),
    );
    names.extend(flag(emoji.as_str()));
    if names.is_empty() {
        // One that GitHub has no name for: its Unicode name.
        names.push(emoji.name().to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    }
    Entry(emoji.as_str(), names)
}

/// A country's flag is two letters of a special alphabet; Mattermost names it `flag-` and the letters.
fn flag(emoji: &str) -> Option<String> {
    const FIRST: u32 = 0x1F1E6;
    let letters: Option<String> = emoji
        .chars()
        .map(|c| u32::from(c).checked_sub(FIRST).filter(|letter| *letter < 26))
        .map(|letter| char::from_u32(u32::from('a') + letter?))
        .collect();
    letters.filter(|letters| letters.len() == 2).map(|letters| format!("flag-{letters}"))
}

fn title(group: emojis::Group) -> &'static str {
    use emojis::Group as G;
    match group {
        G::SmileysAndEmotion => "Smileys",
        G::PeopleAndBody => "People",
        G::AnimalsAndNature => "Animals and nature",
        G::FoodAndDrink => "Food and drink",
        G::TravelAndPlaces => "Travel and places",
        G::Activities => "Activities",
        G::Objects => "Objects",
        G::Symbols => "Symbols",
        G::Flags => "Flags",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_github_of_mattermost_and_of_flags() {
        let text = String::from_utf8(document()).expect("text");
        for emoji in [
            r#"["🤣",["rofl","rolling_on_the_floor_laughing"]]"#,
            r#""flag-ch""#,
            r#""slightly_smiling_face""#,
        ] {
            assert!(text.contains(emoji), "{emoji}");
        }
        let named =
            emojis::iter().filter_map(emojis::Emoji::shortcode).collect::<std::collections::HashSet<_>>();
        let unknown = OTHER_NAMES.lines().filter(|line| !line.starts_with('#'));
        let unknown: Vec<_> =
            unknown.filter(|line| !named.contains(line.split(' ').next().expect("a name"))).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
