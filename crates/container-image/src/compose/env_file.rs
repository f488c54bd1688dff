//! Lines of an env-file that every Compose reads in the same way. There are two readers: python-dotenv in Compose 1, and Compose 2's own.
//! They differ in escapes and in how they replace variables, so only what means the same to both is written.

use finding::Exit;

use super::carried::Variable;
use crate::error::Error;

/// The lines of these variables.
///
/// # Errors
/// A value means different things to the two readers. The error names the variable and never shows the value.
pub(super) fn lines(variables: &[Variable]) -> Result<String, Error> {
    let mut text = String::new();
    for Variable { name, text: value, .. } in variables {
        let Some(value) = written(value) else {
            return Err(Error::new(
                Exit::Settings,
                format!("the value of {name} cannot be written to an env-file: it has a line break, a backslash, both kinds of quotes, or a quote and a $"),
            )
            .hint(format!("leave {name} out, mount a file with the value, and name the file with {name}_FILE in the compose file")));
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
    fn writes_only_what_both_readers_understand() {
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
    fn an_error_does_not_show_the_value() {
        let error = lines(&[Variable::secret("SMTP_PASS", "s3c\\ret")]).expect_err("a backslash");
        let shown = format!("{error:?}");
        assert!(shown.contains("SMTP_PASS_FILE") && !shown.contains("s3c"), "{shown}");
    }
}
