//! Reading a setting from the environment or the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::refusal::ConfigError;

/// A parsed `config.json`. Its text is kept to find the lines of settings.
pub(super) struct Document {
    path: PathBuf,
    text: String,
    root: Value,
}

/// The name of a setting, and its smallest value.
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
        if text.starts_with('\u{feff}') {
            return Err(malformed(
                1,
                1,
                "it begins with a byte order mark; save it as UTF-8 without one".to_owned(),
            ));
        }
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

    /// The line of `key`: the first one with its name after the name of its section.
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

/// The member of `object` with the name `name`, in any case. The exact name is preferred.
fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let object = object.as_object()?;
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// The variable that overrides a setting.
pub(super) fn variable(section: &str, key: &str) -> String {
    format!("MM_{section}_{key}").to_ascii_uppercase()
}

/// Sets `target` to the value of `key` in the environment, or else in the file, if either has one.
pub(super) fn read<T: Setting>(
    target: &mut T,
    key: &Key,
    document: &Document,
    environment: &BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    let variable = variable(key.section, key.name);
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
