//! config.json: what is declared, laid over what is there.

use serde_json::{Map, Value};

/// A value that Mainstay declares, at its place in config.json.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// The section, as `ServiceSettings`.
    pub section: String,
    /// The key in it, as `SiteURL`.
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

/// The config.json that holds every `declared` value, and everything else as `base` has it.
///
/// `base` is the deployment's own file where there is one, so that System Console edits survive, and otherwise the one the
/// release ships: an empty base would give a fresh server its *update* defaults (server source v11.6, config/store).
/// Keys are matched without case, as the server matches them.
pub fn render(base: &Value, declared: &[Declared]) -> Value {
    let mut config = base.as_object().cloned().unwrap_or_default();
    for Declared { section, key, value } in declared {
        let section = entry(&mut config, section);
        if !section.is_object() {
            *section = Value::Object(Map::new());
        }
        if let Value::Object(section) = section {
            *entry(section, key) = value.clone();
        }
    }
    Value::Object(config)
}

fn entry<'a>(map: &'a mut Map<String, Value>, name: &str) -> &'a mut Value {
    let existing = map.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
    map.entry(existing.unwrap_or_else(|| name.to_owned())).or_insert(Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn declared_values_win_and_console_edits_survive() {
        let base = json!({"ServiceSettings": {"SiteUrl": "http://old", "GoroutineHealthThreshold": 7}});
        let declared = [
            Declared::new("ServiceSettings", "SiteURL", "http://new"),
            Declared::new("TeamSettings", "SiteName", "quote \" backslash \\ {{x}} $HOME ü"),
        ];
        let expected = json!({
            "ServiceSettings": {"SiteUrl": "http://new", "GoroutineHealthThreshold": 7},
            "TeamSettings": {"SiteName": "quote \" backslash \\ {{x}} $HOME ü"},
        });
        assert_eq!(render(&base, &declared), expected);
    }
}
