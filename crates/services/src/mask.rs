//! Text from other programs, with secrets removed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret as _, SecretString};

/// Characters of such a text that are shown at most.
const LONGEST: usize = 300;

/// Secrets, in each form in which the other side may repeat them.
pub(crate) struct Mask(Vec<String>);

impl Mask {
    /// Hides nothing.
    pub(crate) fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Hides `secret` as it is, in base64 and form-encoded. An empty secret hides nothing.
    pub(crate) fn of(secret: &SecretString) -> Self {
        let secret = secret.expose_secret();
        if secret.is_empty() {
            return Self::nothing();
        }
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        Self(vec![secret.to_owned(), BASE64.encode(secret), encoded])
    }

    /// Hides this form of the secret too.
    pub(crate) fn and(mut self, form: String) -> Self {
        self.0.push(form);
        self
    }

    /// One line of at most 300 characters, without control characters and secrets.
    pub(crate) fn shown(&self, text: &str) -> String {
        let masked = self.0.iter().fold(text.to_owned(), |text, form| text.replace(form, "********"));
        finding::one_line(&masked, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_secret_is_hidden_in_every_form() {
        let mask = Mask::of(&SecretString::from("p&ss wörd"));
        let repeated = format!("a p&ss wörd b {} c p%26ss+w%C3%B6rd d", BASE64.encode("p&ss wörd"));
        assert_eq!(mask.shown(&repeated), "a ******** b ******** c ******** d");
    }

    #[test]
    fn text_from_other_programs_is_one_short_line() {
        let mask = Mask::nothing();
        assert_eq!(mask.shown("a\r\n\tb\u{1b}[2J c"), "a b [2J c");
        assert_eq!(mask.shown(&"x".repeat(400)).chars().count(), LONGEST + 1);
    }
}
