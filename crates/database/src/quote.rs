//! Quotes names and texts for SQL, for each engine.

/// Why a name or a password cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("the {0} is not given; name it")]
    Empty(&'static str),
    /// It would end a line of the client's script, or be invisible.
    #[error("the {0} contains a control character; choose one without")]
    Control(&'static str),
    /// Not every driver would send it in the same way.
    #[error(
        "the password contains a control character, an emoji, or a character with several encodings; choose one without"
    )]
    Unprepared(&'static str),
    /// MySQL has at most three bytes for a character of a name.
    #[error(
        "the {0} contains a character beyond U+FFFF, such as an emoji, which MySQL does not allow in names; choose one without"
    )]
    Supplementary(&'static str),
    /// PostgreSQL silently cuts longer names.
    #[error("the {part} is {length} long; at most {most} are allowed")]
    Long {
        /// Which one.
        part: &'static str,
        /// Its length, with the unit.
        length: String,
        /// The greatest length that is allowed.
        most: usize,
    },
}

fn checked(text: &str, part: &'static str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty(part));
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control(part));
    }
    Ok(())
}

/// Refuses a user or password that some drivers send unchanged and others rewrite or refuse (RFC 4013).
pub(crate) fn prepared(text: &str, part: &'static str) -> Result<(), NameError> {
    match stringprep::saslprep(text) {
        Ok(prepared) if prepared == text => Ok(()),
        _ => Err(NameError::Unprepared(part)),
    }
}

/// `NAMEDATALEN` - 1 bytes.
const POSTGRES_NAME: usize = 63;
/// Characters of a database's name.
const MYSQL_NAME: usize = 64;

/// `"na""me"`.
pub(crate) fn postgres_name(text: &str, part: &'static str) -> Result<String, NameError> {
    checked(text, part)?;
    if text.len() > POSTGRES_NAME {
        return Err(NameError::Long { part, length: format!("{} bytes", text.len()), most: POSTGRES_NAME });
    }
    Ok(format!("\"{}\"", text.replace('"', "\"\"")))
}

/// `'te''xt'`; with a backslash in it `E'te\\xt'`, which means the same whatever `standard_conforming_strings` is.
pub(crate) fn postgres_text(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// psql's `\connect` for this database. A bare name that contains `=` would be read as connection parameters.
pub(crate) fn psql_connect(name: &str) -> String {
    let parameter = name.replace('\\', "\\\\").replace('\'', "\\'");
    format!("\\connect -reuse-previous=on \"dbname='{}'\"", parameter.replace('"', "\"\""))
}

/// What MySQL allows in the names of databases and users.
fn mysql_checked(text: &str, part: &'static str) -> Result<(), NameError> {
    checked(text, part)?;
    if text.chars().any(|c| c > '\u{ffff}') { Err(NameError::Supplementary(part)) } else { Ok(()) }
}

/// `` `na``me` ``.
pub(crate) fn mysql_name(text: &str, part: &'static str) -> Result<String, NameError> {
    mysql_checked(text, part)?;
    let length = text.chars().count();
    if length > MYSQL_NAME {
        return Err(NameError::Long { part, length: format!("{length} characters"), most: MYSQL_NAME });
    }
    Ok(format!("`{}`", text.replace('`', "``")))
}

/// The database of a GRANT, where `_` and `%` are wildcards: a grant on `chat_test` would cover `chatXtest` too.
pub(crate) fn mysql_pattern(text: &str, part: &'static str) -> Result<String, NameError> {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '_' | '%' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    mysql_name(text, part)?;
    Ok(format!("`{}`", pattern.replace('`', "``")))
}

/// `'te\'xt'`, where backslashes escape: without `NO_BACKSLASH_ESCAPES`.
pub(crate) fn mysql_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The user of an account, as a text.
pub(crate) fn mysql_user(text: &str) -> Result<String, NameError> {
    mysql_checked(text, "user")?;
    Ok(mysql_text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        assert_eq!(postgres_name(r#"a"; DROP"#, "name").unwrap(), r#""a""; DROP""#);
        assert_eq!(postgres_text("it's"), "'it''s'");
        assert_eq!(postgres_text(r"\'"), r"E'\\'''");
        assert_eq!(mysql_name("a`b", "name").unwrap(), "`a``b`");
        assert_eq!(mysql_pattern("chat_100%", "name").unwrap(), r"`chat\_100\%`");
        assert_eq!(mysql_text(r"\' OR 1"), r"'\\\' OR 1'");
        assert_eq!(psql_connect(r#"a"b'c"#), r#"\connect -reuse-previous=on "dbname='a""b\'c'""#);
    }

    #[test]
    fn passwords_that_every_driver_sends_alike() {
        for fine in ["", "it's \\ \"fine\" %20", "pässwörd", "пароль"] {
            assert_eq!(prepared(fine, "password"), Ok(()), "{fine:?}");
        }
        for bad in ["line\n", "😀", "ﬁ", "non\u{a0}breaking", "a\u{308}"] {
            assert_eq!(prepared(bad, "password"), Err(NameError::Unprepared("password")), "{bad:?}");
        }
    }

    #[test]
    fn what_no_quotes_can_hold_is_refused() {
        assert_eq!(postgres_name("", "user"), Err(NameError::Empty("user")));
        assert_eq!(postgres_name("a\nb", "name"), Err(NameError::Control("name")));
        assert!(matches!(postgres_name(&"ä".repeat(32), "name"), Err(NameError::Long { .. })));
        assert!(postgres_name(&"a".repeat(63), "name").is_ok());
        assert_eq!(mysql_user("😀"), Err(NameError::Supplementary("user")));
        assert!(matches!(mysql_name(&"a".repeat(65), "name"), Err(NameError::Long { .. })));
    }
}
