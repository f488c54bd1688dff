//! Reading one setting: from the file, then from the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::refusal::ConfigError;

/// A parsed `config.json`, with its text to find lines in.
pub(super) struct Document {
    path: PathBuf,
    text: String,
    root: Value,
}

/// The place of a setting.
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    /// The smallest value that a number may have.
    pub(super) minimum: i64,
}

/// A type that a setting can have.
pub(super) trait Setting: Sized {
    fn from_json(value: &Value, key: &Key) -> Option<Self>;
    fn from_text(text: &str, key: &Key) -> Option<Self>;
    fn allowed(key: &Key) -> String;
}

impl Document {
    pub(super) fn parse(path: &Path, text: &str) -> Result<Document, ConfigError> {
        let malformed =
            |line, column, reason| ConfigError::Malformed { path: path.to_owned(), line, column, reason };
        let root: Value = serde_json::from_str(text)
            .map_err(|error| malformed(error.line(), error.column(), error.to_string()))?;
        if !root.is_object() {
            return Err(malformed(1, 1, "the file must hold one object of sections".to_owned()));
        }
        Ok(Document { path: path.to_owned(), text: text.to_owned(), root })
    }

    fn value(&self, key: &Key) -> Option<&Value> {
        field(field(&self.root, key.section)?, key.name).filter(|value| !value.is_null())
    }

    /// The line on which `key` stands: the first mention of its name after its section's.
    fn line(&self, key: &Key) -> usize {
        let text = self.text.to_ascii_lowercase();
        let find = |from: usize, name: &str| {
            let quoted = format!("\"{}\"", name.to_ascii_lowercase());
            text[from..].find(&quoted).map(|at| from + at)
        };
        let at = find(0, key.section).and_then(|section| find(section + 1, key.name));
        at.map_or(0, |at| 1 + text[..at].bytes().filter(|byte| *byte == b'\n').count())
    }
}

/// The member of `object` called `name` in any case; the exact name first.
fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let object = object.as_object()?;
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// Puts the value of `key` into `target`, if the environment or the file has one.
pub(super) fn read<T: Setting>(
    target: &mut T,
    key: &Key,
    document: &Document,
    environment: &BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    let variable = format!("MM_{}_{}", key.section, key.name).to_ascii_uppercase();
    if let Some(text) = environment.get(&variable) {
        *target = T::from_text(text, key).ok_or_else(|| ConfigError::Variable {
            variable,
            value: text.clone(),
            allowed: T::allowed(key),
        })?;
    } else if let Some(value) = document.value(key) {
        *target = T::from_json(value, key).ok_or_else(|| ConfigError::Value {
            path: document.path.clone(),
            line: document.line(key),
            key: format!("{}.{}", key.section, key.name),
            value: value.to_string(),
            allowed: T::allowed(key),
        })?;
    }
    Ok(())
}

impl Setting for String {
    fn from_json(value: &Value, _: &Key) -> Option<String> {
        value.as_str().map(str::to_owned)
    }
    fn from_text(text: &str, _: &Key) -> Option<String> {
        Some(text.to_owned())
    }
    fn allowed(_: &Key) -> String {
        "a text in quotes".to_owned()
    }
}

impl Setting for bool {
    fn from_json(value: &Value, _: &Key) -> Option<bool> {
        value.as_bool()
    }
    fn from_text(text: &str, _: &Key) -> Option<bool> {
        text.parse().ok()
    }
    fn allowed(_: &Key) -> String {
        "true or false".to_owned()
    }
}

impl Setting for i64 {
    fn from_json(value: &Value, key: &Key) -> Option<i64> {
        value.as_i64().filter(|number| *number >= key.minimum)
    }
    fn from_text(text: &str, key: &Key) -> Option<i64> {
        text.parse().ok().filter(|number| *number >= key.minimum)
    }
    fn allowed(key: &Key) -> String {
        format!("a whole number of at least {}", key.minimum)
    }
}
