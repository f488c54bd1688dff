//! The server's config.json as data: reading, writing and removing a key; hiding secrets.
//!
//! Letters match without case everywhere, as the server matches them.

use serde_json::{Map, Value};

use crate::finding::HIDDEN;
use crate::known;

/// The value of a key. `null` counts as absent: the server then uses its default.
pub(crate) fn get<'a>(config: &'a Value, section: &str, key: &str) -> Option<&'a Value> {
    let mut value = config;
    for name in names(section, key) {
        let map = value.as_object()?;
        value = map.get(name).or_else(|| {
            map.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        })?;
    }
    Some(value).filter(|value| !value.is_null())
}

/// Writes a key, and makes the tables above it.
pub(crate) fn set(config: &mut Value, section: &str, key: &str, value: Value) {
    let mut place = config;
    for name in names(section, key) {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(map) = place else { return };
        let existing = map.keys().find(|have| have.eq_ignore_ascii_case(name)).cloned();
        place = map.entry(existing.unwrap_or_else(|| name.to_owned())).or_insert(Value::Null);
    }
    *place = value;
}

/// Removes a key, and every table above it that is empty then.
pub(crate) fn remove(config: &mut Value, section: &str, key: &str) {
    let names: Vec<_> = names(section, key).collect();
    remove_below(config, &names);
}

fn remove_below(place: &mut Value, names: &[&str]) {
    let (Value::Object(map), Some((name, below))) = (place, names.split_first()) else { return };
    let Some(name) = map.keys().find(|have| have.eq_ignore_ascii_case(name)).cloned() else { return };
    if !below.is_empty() {
        let Some(table) = map.get_mut(&name) else { return };
        remove_below(table, below);
        if table.as_object().is_none_or(|table| !table.is_empty()) {
            return;
        }
    }
    map.remove(&name);
}

fn names<'a>(section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    std::iter::once(section).chain(key.split('.'))
}

/// Every key with its value, as `Section.Key`. Lists and maps are values; the tables that [`known`] names are not.
pub(crate) fn leaves(config: &Value) -> Vec<(String, Value)> {
    fn walk(section: &str, key: &str, value: &Value, out: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(keys) if key.is_empty() || known::is_table(section, key) => {
                for (below, value) in keys {
                    let key = if key.is_empty() { below.clone() } else { format!("{key}.{below}") };
                    walk(section, &key, value, out);
                }
            }
            _ => out.push((format!("{section}.{key}"), value.clone())),
        }
    }
    let mut out = Vec::new();
    for (section, value) in config.as_object().into_iter().flatten() {
        walk(section, "", value, &mut out);
    }
    out
}

/// Hides every secret of a config.json, so that it can be shown; empty ones stay empty.
pub fn mask(config: &mut Value) {
    let Some(sections) = config.as_object_mut() else { return };
    for (section, keys) in sections {
        for (key, value) in keys.as_object_mut().into_iter().flatten() {
            if known::is_secret(section, key) && value.as_str().is_none_or(|text| !text.is_empty()) {
                *value = Value::from(HIDDEN);
            }
        }
    }
}

/// A value as a message may show it.
pub(crate) fn shown(section: &str, key: &str, value: &Value) -> String {
    visible(value, known::is_secret(section, key))
}

/// A value as a message may show it; an empty one is no secret.
pub(crate) fn visible(value: &Value, secret: bool) -> String {
    match value {
        Value::String(text) if text.is_empty() => String::new(),
        _ if secret => HIDDEN.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The same in a line of text, where an empty value would not be seen.
pub fn in_text(value: &str) -> &str {
    if value.is_empty() { "(empty)" } else { value }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_found_and_written_without_regard_to_case() {
        let mut config = json!({"ServiceSettings": {"SiteUrl": "http://old", "GoroutineHealthThreshold": 7}});
        assert_eq!(get(&config, "servicesettings", "SiteURL"), Some(&json!("http://old")));
        set(&mut config, "ServiceSettings", "SiteURL", "quote \" backslash \\ {{x}} $HOME ü".into());
        set(&mut config, "MessageExportSettings", "GlobalRelaySettings.SMTPPort", "25".into());
        let expected = json!({
            "ServiceSettings": {"SiteUrl": "quote \" backslash \\ {{x}} $HOME ü", "GoroutineHealthThreshold": 7},
            "MessageExportSettings": {"GlobalRelaySettings": {"SMTPPort": "25"}},
        });
        assert_eq!(config, expected);
    }

    #[test]
    fn a_removed_key_leaves_no_empty_table_behind() {
        let before = json!({"TeamSettings": {"SiteName": "x"}});
        let mut config = before.clone();
        set(&mut config, "MessageExportSettings", "GlobalRelaySettings.SMTPPort", "25".into());
        remove(&mut config, "messageexportsettings", "globalrelaysettings.smtpport");
        assert_eq!(config, before);
        remove(&mut config, "TeamSettings", "NoSuchKey");
        assert_eq!(config, before);
    }
}
