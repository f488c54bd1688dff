//! The makers' list of advisories: a JSON array whose fields have had several shapes over the years.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use version::Version;

use crate::severity::Severity;
use crate::text::{LONGEST, day, one_line, versions};

/// More rows are no such list.
const MOST_ROWS: usize = 20_000;
/// The most entries of one row's list.
const MOST_ENTRIES: usize = 100;

/// What an advisory is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// Mattermost's server.
    Server,
    /// A plugin, which a release may bring with it.
    Plugin,
}

/// One advisory about the server or a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisory {
    /// The makers' number, such as `MMSA-2026-00513`; may be several.
    pub id: String,
    /// The CVE's, where it has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cve: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub product: Product,
    /// Which versions have the flaw, in the makers' words: `11.3.x <= 11.3.0`.
    pub affected: Vec<String>,
    /// Which releases do not have it any more.
    pub fixed_in: Vec<Version>,
    /// When these were published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Date>,
    /// The makers' words on it, one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
}

/// What was read: the rows, and how many could not be read.
pub type Read<T> = (Vec<T>, usize);

/// Reads the list. Rows about the apps for desktop and mobile are left out.
///
/// # Errors
/// It is not such a list, in words that complete "the list of advisories ...".
pub fn read(text: &[u8]) -> Result<Read<Advisory>, String> {
    let rows = rows(text)?;
    let (mut advisories, mut unread, mut others) = (Vec::new(), 0, 0);
    for row in &rows {
        match advisory(row) {
            Some(Some(advisory)) => advisories.push(advisory),
            Some(None) => others += 1,
            None => unread += 1,
        }
    }
    if advisories.is_empty() && others == 0 {
        return Err("has no advisory in it that this version of Mainstay can read".to_owned());
    }
    Ok((advisories, unread))
}

/// The rows of a JSON array.
pub(crate) fn rows(text: &[u8]) -> Result<Vec<Value>, String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| {
        let cut = if error.is_eof() { " (it is cut off)" } else { "" };
        format!("is not JSON{cut}: line {}, column {}", error.line(), error.column())
    })?;
    match value {
        Value::Array(rows) if rows.len() > MOST_ROWS => {
            Err(format!("has {} rows, and {MOST_ROWS} are the most that are read", rows.len()))
        }
        Value::Array(rows) => Ok(rows),
        _ => Err("is JSON, but not an array".to_owned()),
    }
}

/// One row: `None` cannot be read, `Some(None)` is about another product.
fn advisory(row: &Value) -> Option<Option<Advisory>> {
    let text = |key: &str| one_line(row[key].as_str().unwrap_or_default(), LONGEST);
    let id = text("issue_id");
    // The first row may be the heads of the columns.
    if id.is_empty() || !id.bytes().any(|byte| byte.is_ascii_digit()) {
        return if id.eq_ignore_ascii_case("issue identifier") { Some(None) } else { None };
    }
    let platform = text("platform").to_ascii_lowercase();
    let product = match () {
        () if platform.contains("server") || platform.is_empty() => Product::Server,
        () if platform.contains("plugin") || platform.contains("boards") => Product::Plugin,
        () => return Some(None),
    };
    let affected: Vec<String> = entries(&row["affected_versions"], 0);
    let fixed_in: Vec<Version> = entries(&row["fix_versions"], 0)
        .iter()
        .flat_map(|entry| versions(entry))
        .take(MOST_ENTRIES)
        .collect();
    // It would bear on nothing.
    if affected.is_empty() && fixed_in.is_empty() {
        return None;
    }
    Some(Some(Advisory {
        id,
        cve: text("cve_id"),
        severity: Severity::of_word(&text("severity")).unwrap_or_default(),
        product,
        affected,
        fixed_in,
        published: day(&text("fix_release_date")),
        summary: text("details"),
    }))
}

/// The entries of a field that is a list, a text with commas, or a text that is a list in JSON.
fn entries(value: &Value, depth: usize) -> Vec<String> {
    match value {
        Value::Array(items) if depth < 2 => items
            .iter()
            .take(MOST_ENTRIES)
            .flat_map(|item| entries(item, depth + 1))
            .take(MOST_ENTRIES)
            .collect(),
        Value::String(text) if depth < 2 && text.trim_start().starts_with('[') => {
            match serde_json::from_str::<Value>(text) {
                Ok(list) => entries(&list, depth + 1),
                Err(_) => Vec::new(),
            }
        }
        Value::String(text) => {
            let pieces = text.split(',').flat_map(|piece| piece.split(" and "));
            let pieces = pieces.map(|piece| one_line(piece.trim().trim_start_matches("and "), LONGEST));
            pieces.filter(|piece| !piece.is_empty()).take(MOST_ENTRIES).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Read<Advisory>, String> {
        read(text.as_bytes())
    }

    #[test]
    fn every_shape_of_a_row_is_read() {
        let text = r#"[
            {"issue_id": "Issue Identifier", "severity": "Severity"},
            {"issue_id": "MMSA-2026-00513", "cve_id": "CVE-2026-1", "severity": "High", "platform": "Mattermost Server",
             "affected_versions": ["11.3.x <= 11.3.0", "11.2.x <= 11.2.2"], "fix_versions": ["v11.3.1", "11.2.3"],
             "fix_release_date": "2026-01-15", "details": "a\u001b[2J\nb"},
            {"issue_id": "MMSA-2026-00514", "severity": "odd", "platform": "Mattermost Server",
             "affected_versions": "[\"11.3.x <= 11.3.0\"]", "fix_versions": "11.3.1, 11.2.3 and 10.11.10", "fix_release_date": "January 15, 2026"},
            {"issue_id": "MMSA-2026-00515", "platform": "Plugins", "fix_versions": "1.2.3"},
            {"issue_id": "MMSA-2026-00516", "platform": "Desktop App", "fix_versions": "5.2.3"},
            {"issue_id": "MMSA-2026-00517", "platform": "Mattermost Server"},
            {"issue_id": 5}, "x", null
        ]"#;
        let (rows, unread) = read_text(text).expect("a list");
        assert_eq!((rows.len(), unread), (3, 4));
        let [first, second, plugin] = &rows[..] else { panic!("three") };
        assert_eq!((first.severity, second.severity), (Severity::High, Severity::Unknown));
        assert_eq!(first.summary, "a [2J b");
        assert_eq!((first.fixed_in.len(), second.fixed_in.len(), second.affected.len()), (2, 3, 1));
        assert_eq!(first.published, second.published);
        assert!(first.published.is_some());
        assert_eq!(plugin.product, Product::Plugin);
    }

    #[test]
    fn what_is_not_the_list_is_refused_in_words() {
        for (text, why) in [
            ("", "is cut off"),
            (r#"[{"issue_id": "MMSA-1", "fix_ver"#, "is cut off"),
            ("<html>", "is not JSON: line 1"),
            (r#"{"message": "Not Found"}"#, "not an array"),
            ("[]", "has no advisory in it"),
            (r#"[{"a": 1}, 5]"#, "has no advisory in it"),
        ] {
            let refused = read_text(text).expect_err("refused");
            assert!(refused.contains(why), "{text}: {refused}");
        }
        let deep = "[".repeat(5000);
        assert!(read_text(&deep).is_err());
        let many = format!("[{}]", vec!["1"; MOST_ROWS + 1].join(","));
        assert!(read_text(&many).expect_err("refused").contains("20001 rows"));
    }
}
