//! Maps in objects.

use std::collections::BTreeMap;

/// A flat map of strings: notification settings, time zones, session properties.
pub(crate) type StringMap = BTreeMap<String, String>;

/// A client's own JSON: a post's props.
pub(crate) type Props = serde_json::Map<String, serde_json::Value>;

/// A map of these names and values.
pub(super) fn string_map(entries: &[(&str, &str)]) -> StringMap {
    entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
