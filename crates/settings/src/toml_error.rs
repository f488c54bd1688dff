//! What is wrong with a text that is not TOML: the library's error with the line, the key and the way out.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::finding::{Finding, Findings, line_at};

/// The library's word for a key or a table that is there already.
const DUPLICATE: &str = "duplicate key";

/// The finding for a text that is not TOML at all. It repeats no value: the file may hold secrets.
pub(crate) fn unreadable(file: &Path, text: &str, error: &toml::de::Error) -> Findings {
    let message = error.message().replace('\n', " ");
    let span = error.span().unwrap_or(0..0);
    let line = line_at(text, span.start);
    let finding = match message.as_str() {
        DUPLICATE => given_twice(file, text, span),
        _ => {
            let (key, is_value) = key_on_line(text, span.start);
            let (problem, allowed) = match is_value {
                true if message.contains("must be quoted") => (
                    "has a value without quotes".to_owned(),
                    "write a text as \"...\", with plain quotes".to_owned(),
                ),
                true => (
                    format!("has a value that cannot be read: {message}"),
                    "allowed: a text in quotes, a number, true or false, a list or a table; a backslash in quotes is written \\\\"
                        .to_owned(),
                ),
                false => (
                    format!("is not a line of TOML: {message}"),
                    "allowed: KEY = \"value\", [SECTION], or a comment after `#`".to_owned(),
                ),
            };
            Finding::in_file(file, line, key, problem).allowed(allowed)
        }
    };
    Findings(vec![finding])
}

/// A key or a table that is there already: its whole name, and both lines.
fn given_twice(file: &Path, text: &str, span: Range<usize>) -> Finding {
    let start = line_start(text, span.start);
    let line = line_at(text, span.start);
    let is_table = text[start..].trim_start().starts_with('[');
    // In a table between braces, which stands on one line.
    if text.get(start..span.start).is_some_and(|before| before.contains('=')) {
        let key = text.get(span).unwrap_or_default();
        return Finding::in_file(file, line, key, "is given twice").allowed("leave one of the two out");
    }
    let mut path = if is_table { Vec::new() } else { table_above(text, start) };
    // What stands on the line up to the end of the key that is there already.
    let own = text[start..].find(|c: char| !matches!(c, '[' | ' ' | '\t')).map_or(start, |skip| start + skip);
    path.extend(names(text.get(own..span.end).unwrap_or_default()));
    let first = DeTable::parse(&text[..start]).ok().and_then(|table| line_of(table.get_ref(), &path, text));
    let problem = match first {
        Some(first) => format!("is given twice: first in line {first}"),
        None => "is given twice".to_owned(),
    };
    let allowed = match is_table {
        true => "write its keys under one of the two, and remove the other",
        false => "leave one of the two out",
    };
    let name = if path.is_empty() { text.get(span).unwrap_or_default().to_owned() } else { path.join(".") };
    Finding::in_file(file, line, name, problem).allowed(allowed)
}

/// The key on the line of an error, with the table above it, and whether the error is in its value.
fn key_on_line(text: &str, at: usize) -> (String, bool) {
    let start = line_start(text, at);
    let before = text.get(start..at).unwrap_or_default();
    let line = text[start..].lines().next().unwrap_or_default();
    let (key, is_value) = match before.split_once('=') {
        Some((key, _)) => (key, true),
        None => (line.split(['=', ' ', '\t']).next().unwrap_or_default(), false),
    };
    let names = names(key);
    // Without a name, or with one that is none, there is nothing to say.
    let is_name = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if names.is_empty() || !names.iter().all(is_name) || !(is_value || line.contains('=')) {
        return (String::new(), is_value);
    }
    let path: Vec<String> = table_above(text, start).into_iter().chain(names).collect();
    (path.join("."), is_value)
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1)
}

/// The name of the table that the line at `start` stands in.
fn table_above(text: &str, start: usize) -> Vec<String> {
    let mut headers =
        text[..start].lines().filter_map(|line| line.trim().strip_prefix('[')?.split(']').next());
    headers.next_back().map(names).unwrap_or_default()
}

/// The names in a dotted key. Dots in quotes are rare enough: a name that they split is only shown.
fn names(key: &str) -> Vec<String> {
    let plain = |name: &str| name.trim().trim_matches(['"', '\'']).to_owned();
    key.split('.').map(plain).filter(|name| !name.is_empty()).collect()
}

/// The line where a table says that name.
fn line_of(table: &DeTable<'_>, path: &[String], text: &str) -> Option<usize> {
    let (name, below) = path.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == name.as_str())?;
    match (value.get_ref(), below) {
        (_, []) => Some(line_at(text, key.span().start)),
        (DeValue::Table(table), below) => line_of(table, below, text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::wanted::parse;

    fn said(text: &str) -> String {
        parse(std::path::Path::new("m.toml"), text).map(|_| ()).expect_err("must be refused").to_string()
    }

    #[test]
    fn what_is_given_twice_is_named_with_both_lines() {
        for (text, is) in [
            (
                "listen = \"a\"\n\nlisten = \"b\"\n",
                "m.toml:3: `listen` is given twice: first in line 1; leave one of the two out",
            ),
            (
                "[mattermost.TeamSettings]\nSiteName = \"a\"\nSiteName = \"b\"\n",
                "m.toml:3: `mattermost.TeamSettings.SiteName` is given twice: first in line 2; leave one of the two out",
            ),
            (
                "[mattermost.TeamSettings]\nSiteName = \"a\"\n[mattermost.TeamSettings]\nX = \"b\"\n",
                "m.toml:3: `mattermost.TeamSettings` is given twice: first in line 1; write its keys under one of the two, and \
                 remove the other",
            ),
            (
                "mattermost.TeamSettings.SiteName = \"a\"\nmattermost.TeamSettings.SiteName = \"b\"\n",
                "m.toml:2: `mattermost.TeamSettings.SiteName` is given twice: first in line 1; leave one of the two out",
            ),
            (
                "schedule = { verify = \"a\", verify = \"b\" }\n",
                "m.toml:1: `verify` is given twice; leave one of the two out",
            ),
        ] {
            assert_eq!(said(text), is);
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_key() {
        for (text, is) in [
            (
                "site_url = https://x\n",
                "m.toml:1: `site_url` has a value without quotes; write a text as \"...\", with plain quotes",
            ),
            ("\nlisten = \n", "m.toml:2: `listen` has a value without quotes;"),
            ("listen = “x”\n", "m.toml:1: `listen` has a value without quotes;"),
            ("listen = 127.0.0.1:80\n", "m.toml:1: `listen` has a value that cannot be read: invalid float"),
            ("listen = \"abc\n", "m.toml:1: `listen` has a value that cannot be read: invalid basic string"),
            (
                "[mattermost.FileSettings]\nDirectory = \"C:\\q\"\n",
                "m.toml:2: `mattermost.FileSettings.Directory` has a value that cannot be read: missing escaped value",
            ),
            ("hello world\n", "m.toml:1: is not a line of TOML: key with no value"),
            ("[mattermost\n", "m.toml:1: is not a line of TOML: unclosed table"),
            ("= 5\n", "m.toml:1: is not a line of TOML: unquoted keys cannot be empty"),
        ] {
            let said = said(text);
            assert!(said.starts_with(is), "{said}");
            assert!(said.contains(';'), "{said} says no way out");
        }
    }

    #[test]
    fn no_text_panics() {
        for text in [
            "[",
            "[[",
            "a.",
            "a = {",
            "é = 1\né = 2",
            "[a]\n[a]",
            "[[a]]\n[a]",
            "\"",
            "\u{feff}",
            "a = 1\n\"a\" = 2",
        ] {
            let _ = parse(std::path::Path::new("m.toml"), text);
        }
    }
}
