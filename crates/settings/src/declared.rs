//! A value that is declared, at its place in config.json.

use serde_json::Value;

/// A value that Mainstay writes into config.json. Without `Debug`: it may be a secret.
#[derive(Clone, PartialEq)]
pub struct Declared {
    /// The section, as `ServiceSettings`.
    pub section: String,
    /// The key in it, as `SiteURL`; dots separate the tables below.
    pub key: String,
    /// The value.
    pub value: Value,
}

impl Declared {
    /// A declared value.
    pub fn new(section: impl Into<String>, key: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { section: section.into(), key: key.into(), value: value.into() }
    }
}
