//! Lines that every Compose reads alike. There are two readers: python-dotenv in Compose 1, and Compose 2's own. They differ in escapes
//! and in what they replace, so that only what means the same to both is written.

use super::carried::Variable;
use crate::error::{Error, Kind};

/// The lines of these variables.
///
/// # Errors
/// A value cannot be written so that both read it; its variable is named, never the value.
pub(super) fn lines(variables: &[Variable]) -> Result<String, Error> {
    let mut text = String::new();
    for Variable { name, text: value, .. } in variables {
        let Some(value) = written(value) else {
            return Err(Error::new(
                Kind::Settings,
                format!("the value of {name} cannot stand in an env-file: it has a line break, a backslash, both kinds of quotes, or a quote and a $"),
            )
            .hint(format!("leave {name} out, mount it as a file, and name that with {name}_FILE in the compose file")));
        };
        text.push_str(&format!("{name}={value}\n"));
    }
    Ok(text)
}

fn written(value: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if value.chars().all(plain) {
        return Some(value.to_owned());
    }
    if value.contains(['\n', '\r', '\0', '\\']) {
        return None;
    }
    // python-dotenv replaces ${NAME} even here.
    if !value.contains('\'') && !value.contains("${") {
        return Some(format!("'{value}'"));
    }
    (!value.contains(['"', '$', '`'])).then(|| format!("\"{value}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_read_alike_is_written() {
        for (value, line) in [
            ("", Some("")),
            ("p4ss:w/o", Some("p4ss:w/o")),
            ("two words # not a comment", Some("'two words # not a comment'")),
            ("$HOME", Some("'$HOME'")),
            ("it's", Some("\"it's\"")),
            ("say \"hi\"", Some("'say \"hi\"'")),
            ("${HOME}", None),
            ("it's \"both\"", None),
            ("it's $5", None),
            ("back\\slash", None),
            ("two\nlines", None),
        ] {
            assert_eq!(written(value).as_deref(), line, "{value:?}");
        }
    }

    #[test]
    fn a_refusal_does_not_show_the_value() {
        let error = lines(&[Variable::secret("SMTP_PASS", "s3c\\ret")]).expect_err("a backslash");
        let shown = format!("{error:?}");
        assert!(shown.contains("SMTP_PASS_FILE") && !shown.contains("s3c"), "{shown}");
    }
}
