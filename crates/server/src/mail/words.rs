//! The words of the mails, in six languages: those that docker-mattermost documents, and German.

mod english;
mod french;
mod german;
mod japanese;
mod portuguese;
mod spanish;

/// The words in one language. `{...}` stands for a value, see [`fill`].
#[derive(Debug)]
pub(crate) struct Words {
    /// For HTML.
    pub(crate) language: &'static str,
    /// At the end of every mail: `{site}`, `{url}`
    pub(crate) footer: &'static str,
    /// `{address}`
    pub(crate) help: &'static str,
    /// `{name}`
    pub(crate) hello: &'static str,
    pub(crate) verify_subject: &'static str,
    /// `{address}`
    pub(crate) verify_text: &'static str,
    pub(crate) verify_button: &'static str,
    pub(crate) welcome_subject: &'static str,
    /// `{site}`, `{name}`
    pub(crate) welcome_text: &'static str,
    pub(crate) open_button: &'static str,
    pub(crate) reset_subject: &'static str,
    /// `{name}`
    pub(crate) reset_text: &'static str,
    pub(crate) reset_button: &'static str,
    pub(crate) password_subject: &'static str,
    /// `{name}`
    pub(crate) password_text: &'static str,
    pub(crate) address_subject: &'static str,
    /// `{name}`, `{address}`
    pub(crate) address_text: &'static str,
    pub(crate) deactivated_subject: &'static str,
    /// `{name}`
    pub(crate) deactivated_text: &'static str,
    /// `{site}`, `{sender}`, `{team}`
    pub(crate) invite_subject: &'static str,
    /// `{site}`, `{sender}`, `{team}`
    pub(crate) invite_text: &'static str,
    pub(crate) invite_button: &'static str,
    /// `{site}`, `{sender}`
    pub(crate) direct_subject: &'static str,
    /// `{site}`, `{sender}`, `{place}`
    pub(crate) mention_subject: &'static str,
    /// `{site}`, `{sender}`, `{place}`
    pub(crate) reply_subject: &'static str,
    pub(crate) generic_subject: &'static str,
    /// `{site}`, `{count}`
    pub(crate) several_subject: &'static str,
    pub(crate) direct_line: &'static str,
    pub(crate) mention_line: &'static str,
    pub(crate) reply_line: &'static str,
    /// `{names}`
    pub(crate) files: &'static str,
    pub(crate) read_button: &'static str,
    /// Why one gets notifications
    pub(crate) why: &'static str,
    pub(crate) test_subject: &'static str,
    pub(crate) test_text: &'static str,
}

const ALL: [&Words; 6] =
    [&Words::ENGLISH, &Words::GERMAN, &Words::SPANISH, &Words::FRENCH, &Words::JAPANESE, &Words::PORTUGUESE];

impl Words {
    /// The words for a locale such as `de` or `pt-BR`; `None` if there are none in its language.
    pub(crate) fn of(locale: &str) -> Option<&'static Words> {
        let language = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let wanted = language(locale);
        ALL.into_iter().find(|words| language(words.language) == wanted)
    }
}

/// `template` with each `{name}` replaced by its value. A value is put in as it is, also if it has braces.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else { return filled + "{" + after };
        filled.push_str(values.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_uses_the_same_values() {
        // Each field, with the values in it in the order of their names.
        let values = |words: &Words| -> Vec<String> {
            let text = format!("{words:#?}");
            let of_line = |line: &str| {
                let mut inside: Vec<&str> =
                    line.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect();
                inside.sort_unstable();
                inside.dedup();
                format!("{} {}", line.split(':').next().unwrap_or_default(), inside.join(" "))
            };
            text.lines().skip(1).map(of_line).collect()
        };
        for words in ALL {
            assert_eq!(values(words), values(&Words::ENGLISH), "{}", words.language);
        }
    }

    #[test]
    fn locales_find_their_language() {
        for (locale, language) in
            [("de", "de"), ("pt-br", "pt-BR"), ("pt", "pt-BR"), ("en-AU", "en"), ("ja", "ja")]
        {
            assert_eq!(Words::of(locale).map(|words| words.language), Some(language), "{locale}");
        }
        assert!(Words::of("tlh").is_none() && Words::of("").is_none());
    }

    #[test]
    fn a_value_with_braces_is_not_filled_in_again() {
        assert_eq!(fill("{a} and {b}!", &[("a", "{b}"), ("b", "x")]), "{b} and x!");
        assert_eq!(fill("x {a", &[("a", "y")]), "x {a");
    }
}
