//! Who GitLab says that somebody is.

use serde::Deserialize;

use crate::rules;

/// A user of GitLab.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Profile {
    pub(super) id: i64,
    username: String,
    login: String,
    preferred_username: String,
    pub(super) email: String,
    name: String,
}

impl Profile {
    /// The profile, if it has what an account needs.
    pub(super) fn checked(self) -> Option<Profile> {
        let named = !self.spoken_name().is_empty();
        (self.id > 0 && named && rules::is_email(&self.email.to_lowercase())).then_some(self)
    }

    fn spoken_name(&self) -> &str {
        let names = [&self.username, &self.login, &self.preferred_username];
        names.into_iter().find(|name| !name.is_empty()).map_or("", String::as_str)
    }

    /// The user name as Mattermost allows it.
    pub(super) fn username(&self) -> String {
        let clean = |letter: char| {
            if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' }
        };
        let name: String = self.spoken_name().to_lowercase().chars().map(clean).take(60).collect();
        if rules::is_username(&name) {
            name
        } else {
            format!("{name}-{}", self.id).chars().take(60).collect()
        }
    }

    /// First and last name: the first word, and the rest.
    pub(super) fn names(&self) -> (String, String) {
        let (first, last) = self.name.trim().split_once(' ').unwrap_or((self.name.trim(), ""));
        let short = |text: &str| text.trim().chars().take(64).collect();
        (short(first), short(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str) -> Option<Profile> {
        crate::json::parse::<Profile>(text.as_bytes()).ok()?.checked()
    }

    #[test]
    fn names_become_what_mattermost_allows() {
        for (text, name) in [
            (r#"{"id":1,"username":"Ann","email":"a@b.c"}"#, "ann"),
            (r#"{"id":1,"login":"ann lee","email":"A@b.c"}"#, "ann-lee"),
            (r#"{"id":1,"preferred_username":"all","email":"a@b.c"}"#, "all-1"),
            (r#"{"id":1,"username":"日本","email":"a@b.c"}"#, "--"),
        ] {
            assert_eq!(profile(text).map(|profile| profile.username()).as_deref(), Some(name), "{text}");
        }
        let ann = profile(r#"{"id":1,"username":"a","email":"a@b.c","name":" Ann  van Lee "}"#);
        assert_eq!(ann.map(|ann| ann.names()), Some(("Ann".to_owned(), "van Lee".to_owned())));
    }

    #[test]
    fn a_profile_without_id_name_or_address_is_none() {
        for text in [
            r#"{"username":"a","email":"a@b.c"}"#,
            r#"{"id":"1","username":"a","email":"a@b.c"}"#,
            r#"{"id":-1,"username":"a","email":"a@b.c"}"#,
            r#"{"id":1,"email":"a@b.c"}"#,
            r#"{"id":1,"username":"a"}"#,
            r#"{"id":1,"username":"a","email":"not an address"}"#,
            "[]",
        ] {
            assert!(profile(text).is_none(), "{text}");
        }
    }
}
