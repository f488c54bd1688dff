//! JSON whose values know where they stand in the text.
//!
//! serde_json reads; a raw value is a part of the text that was read, so its place follows from its address.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A value, the text that it stands in, and its path from the outermost value, such as `aws_lambda.functions[1].name`.
#[derive(Debug, Clone)]
pub(crate) struct Located<'a> {
    text: &'a str,
    raw: &'a str,
    path: String,
}

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotJson {
    pub line: usize,
    pub why: String,
}

/// A field of an object: its name as it is written, and its value.
pub(crate) type Field<'a> = (String, Located<'a>);

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Object,
}

impl Kind {
    /// With its article.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }
}

impl<'a> Located<'a> {
    /// The outermost value of a text, which holds nothing else.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, NotJson> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = line_at(bytes, error.valid_up_to());
            NotJson { line, why: "there are bytes that are not UTF-8".to_owned() }
        })?;
        if text.starts_with('\u{feff}') {
            return Err(NotJson { line: 1, why: "it begins with a byte order mark (EF BB BF)".to_owned() });
        }
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|error| NotJson { line: error.line().max(1), why: without_place(&error) })?;
        Ok(Self { text, raw: raw.get(), path: String::new() })
    }

    /// What it is.
    pub(crate) fn kind(&self) -> Kind {
        match self.raw.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The path from the outermost value; empty for that one.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The line it begins in, counted from 1.
    pub(crate) fn line(&self) -> usize {
        let offset = self.raw.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        line_at(self.text.as_bytes(), offset)
    }

    /// The fields of an object, in order, also those whose name occurs twice.
    pub(crate) fn fields(&self) -> Option<Vec<Field<'a>>> {
        let Fields(fields) = serde_json::from_str::<Fields<'a>>(self.raw).ok()?;
        let located = |(name, raw): (String, &'a RawValue)| {
            let dot = if self.path.is_empty() { "" } else { "." };
            let path = format!("{}{dot}{name}", self.path);
            (name, Self { text: self.text, raw: raw.get(), path })
        };
        Some(fields.into_iter().map(located).collect())
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        let items: Vec<&'a RawValue> = serde_json::from_str(self.raw).ok()?;
        let located = |(index, raw): (usize, &'a RawValue)| {
            let path = format!("{}[{index}]", self.path);
            Self { text: self.text, raw: raw.get(), path }
        };
        Some(items.into_iter().enumerate().map(located).collect())
    }

    /// The text.
    pub(crate) fn text(&self) -> Option<String> {
        serde_json::from_str(self.raw).ok()
    }

    /// Whether it is true.
    pub(crate) fn bool(&self) -> Option<bool> {
        serde_json::from_str(self.raw).ok()
    }

    /// As it is; `None`: it is nested too deep.
    pub(crate) fn value(&self) -> Option<Value> {
        serde_json::from_str(self.raw).ok()
    }
}

/// The line of an offset.
fn line_at(bytes: &[u8], offset: usize) -> usize {
    bytes.iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// An error's words without the place, which we say ourselves.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// The fields of an object in their order.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// The fields of an object by the names that they stand for: as decoders of Go do, an exact name first, then one that differs only in
/// upper and lower case; the last of several. Names that stand for none of `known` come back apart, and so do those given twice.
pub(crate) struct Matched<'a> {
    pub known: BTreeMap<&'static str, Field<'a>>,
    pub unknown: Vec<Field<'a>>,
    pub again: Vec<Field<'a>>,
}

impl<'a> Matched<'a> {
    pub(crate) fn of(fields: Vec<Field<'a>>, known: &[&'static str]) -> Self {
        let mut matched = Self { known: BTreeMap::new(), unknown: Vec::new(), again: Vec::new() };
        for (written, value) in fields {
            let exact = known.iter().find(|name| **name == written);
            let name = exact.or_else(|| known.iter().find(|name| name.eq_ignore_ascii_case(&written)));
            match name {
                None => matched.unknown.push((written, value)),
                Some(name) => {
                    if let Some(earlier) = matched.known.insert(name, (written, value)) {
                        matched.again.push(earlier);
                    }
                }
            }
        }
        matched
    }
}
