//! What a text of the environment means: the same rule for every variable, whatever its value is for.
//!
//! `docker run --env-file` keeps quotes and carriage returns and expands nothing; editors write byte order marks. What certainly does
//! not belong to the value is taken off and said; what nobody can know is refused. A file that `NAME_FILE` names is taken as
//! it is, without the line breaks at its end: that is the way for a value that really begins and ends with a quote.

use crate::kind::Kind;
use crate::placeholder;

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The variable itself.
    Variable,
    /// The file that it names.
    File,
}

/// How freely a value may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freedom {
    /// Passwords, keys and names: every character may be meant.
    Any,
    /// Everything else: no value begins or ends with a space or half a pair of quotes.
    Plain,
}

impl Freedom {
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Anything | Kind::Salt | Kind::Name(_) | Kind::Line => Self::Any,
            _ => Self::Plain,
        }
    }
}

/// What was taken off a text.
pub(crate) const BYTE_ORDER_MARK: &str = "began with a byte order mark, which was left out";
pub(crate) const LINE_BREAK: &str =
    "ended with a carriage return or a line break, as in a file edited on Windows; it was left out";
pub(crate) const QUOTES: &str = "stood in quotes, which were left out: `docker run --env-file` keeps them. Where they belong to the value, \
     put it into a file and name that with `NAME_FILE`";

/// A text that is no value: what is wrong with it, and what to do.
pub(crate) type Problem = (String, &'static str);

/// The value of a text, and what was taken off.
///
/// # Errors
/// The text is not what anybody can have meant. The problem does not repeat it.
pub(crate) fn value(
    text: &str,
    source: Source,
    freedom: Freedom,
) -> Result<(String, Vec<&'static str>), Problem> {
    let mut taken_off = Vec::new();
    let mut rest = text;
    if let Some(without) = rest.strip_prefix('\u{feff}') {
        rest = without;
        taken_off.push(BYTE_ORDER_MARK);
    }
    let without = rest.trim_end_matches(['\r', '\n']);
    if without.len() < rest.len() {
        rest = without;
        taken_off.push(LINE_BREAK);
    }
    if rest.contains('\0') {
        return Err(("has a NUL character".to_owned(), "allowed: text without one"));
    }
    if rest.contains('\u{fffd}') {
        return Err(("is not text in UTF-8".to_owned(), "write the value in UTF-8"));
    }
    if source == Source::File {
        // Most programs that write such a file end it with a line break.
        taken_off.clear();
        return Ok((rest.to_owned(), taken_off));
    }
    if let Some(found) = placeholder::certain(rest) {
        return Err((
            placeholder::problem(found),
            "write the value itself: `docker run --env-file` and Kubernetes replace nothing. A value that really has this in it \
             goes into a file that `NAME_FILE` names",
        ));
    }
    if let Some(inner) = in_quotes(rest) {
        rest = inner;
        taken_off.push(QUOTES);
    }
    if freedom == Freedom::Plain {
        rest = rest.trim_matches([' ', '\t']);
        let half = |quote: char| {
            rest.matches(quote).count() % 2 == 1 && (rest.starts_with(quote) || rest.ends_with(quote))
        };
        if half('"') || half('\'') {
            return Err((
                "begins or ends with half a pair of quotes".to_owned(),
                "write the value without quotes",
            ));
        }
    }
    Ok((rest.to_owned(), taken_off))
}

/// The text between two quotes of one kind that enclose it.
fn in_quotes(text: &str) -> Option<&str> {
    ['"', '\''].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Result<String, String> {
        value(text, Source::Variable, Freedom::Plain).map(|(text, _)| text).map_err(|(problem, _)| problem)
    }

    #[test]
    fn what_certainly_does_not_belong_to_a_value_is_taken_off_and_said() {
        let taken = |text| value(text, Source::Variable, Freedom::Any).expect("a value");
        assert_eq!(taken("secret\r"), ("secret".to_owned(), vec![LINE_BREAK]));
        assert_eq!(taken("\u{feff}a\r\n\n"), ("a".to_owned(), vec![BYTE_ORDER_MARK, LINE_BREAK]));
        assert_eq!(taken("\"chat\"\r"), ("chat".to_owned(), vec![LINE_BREAK, QUOTES]));
        assert_eq!(taken("''"), (String::new(), vec![QUOTES]));
        for kept in [" a ", "it's", "\"a\" and \"b\"", "6\"", "$HOME", "{{SMTP_PASS}}", "${", "${}", "$5{a}"]
        {
            assert_eq!(taken(kept), (kept.to_owned(), Vec::new()));
        }
    }

    #[test]
    fn what_nobody_can_have_meant_is_refused() {
        for (text, problem) in [
            ("a\0b", "NUL"),
            ("a\u{fffd}", "UTF-8"),
            ("https://${DOMAIN}/x", "`${DOMAIN}`"),
            ("${DB_PASS:-x}", "`${DB_PASS:-x}`"),
            ("$(DB_PASS)", "`$(DB_PASS)`"),
            ("x?writeTimeout=30s\"", "half a pair"),
            ("'a", "half a pair"),
        ] {
            let error = plain(text).expect_err(text);
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert_eq!(plain(" true ").as_deref(), Ok("true"));
    }

    #[test]
    fn a_file_is_taken_as_it_is_without_the_line_breaks_at_its_end() {
        let file = |text| value(text, Source::File, Freedom::Any);
        assert_eq!(file("pw\n\n").expect("a value").0, "pw");
        assert_eq!(file("\u{feff}pw\r\n").expect("a value").0, "pw");
        assert_eq!(file("\"${pw}\"\n").expect("a value"), ("\"${pw}\"".to_owned(), Vec::new()));
        assert!(file("pw\0\n").is_err());
    }
}
