//! config.json: what is declared, laid over what is there.

use serde_json::{Map, Value};
use version::Series;

use crate::known::{self, Absence};
use crate::resolved::{Owner, Resolved};
use crate::secrets::SALTS;
use crate::table;

/// A value that Mainstay declares, at its place in config.json. Without `Debug`: it may be a secret.
#[derive(Clone, PartialEq)]
pub struct Declared {
    /// The section, as `ServiceSettings`.
    pub section: String,
    /// The key in it, as `SiteURL`; dots part the tables below.
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
    let mut config = Value::Object(base.as_object().cloned().unwrap_or_default());
    for Declared { section, key, value } in declared {
        set(&mut config, section, key, value.clone());
    }
    config
}

/// What a config.json is made from.
#[derive(Debug, Clone, Copy)]
pub enum Base<'a> {
    /// The file that a release ships: defaults are laid over it too.
    Shipped(&'a Value),
    /// The deployment's own: everything that nobody declares stays as the System Console left it.
    Deployed(&'a Value),
}

/// The config.json of a server of `resolved`'s version.
///
/// Keys that a later release renamed are carried over from the base, and keys that this release has no more are left
/// out, as the server itself would do with a less certain outcome (some of them keep 12.0 from starting).
pub fn render_for(resolved: &Resolved, base: Base<'_>) -> Value {
    let (base, fresh) = match base {
        Base::Shipped(base) => (base, true),
        Base::Deployed(base) => (base, false),
    };
    let mut config = Value::Object(base.as_object().cloned().unwrap_or_default());
    carry_over(&mut config, resolved.version());
    strip(&mut config, resolved.version());
    for setting in resolved.settings() {
        let ours = fresh || setting.owner() != Owner::Console;
        if let Some(value) = setting.value().filter(|_| ours) {
            set(&mut config, setting.section, setting.key, value.clone());
        }
    }
    config
}

/// A key in which two config.json differ.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Drift {
    /// `Section.Key`.
    pub path: String,
    /// Who decides it: what is declared wins over the file, what is the console's stays.
    pub owner: Owner,
    /// What the file on disk says, as a message may show it; `None` = nothing.
    pub on_disk: Option<String>,
    /// What the rendered one says.
    pub rendered: Option<String>,
    /// What stops working when a secret changes.
    pub breaks: Option<&'static str>,
}

/// Every key in which the config.json on disk differs from a rendered one.
pub fn diff(resolved: &Resolved, on_disk: &Value, rendered: &Value) -> Vec<Drift> {
    let (old, new) = (leaves(on_disk), leaves(rendered));
    let mut paths: Vec<_> = old.iter().chain(&new).map(|(path, _)| path).collect();
    paths.sort();
    paths.dedup();
    let value = |leaves: &[(String, Value)], path: &str| {
        leaves.iter().find(|(leaf, _)| leaf.eq_ignore_ascii_case(path)).map(|(_, value)| value.clone())
    };
    let mut drifts: Vec<Drift> = Vec::new();
    for path in paths {
        let (before, after) = (value(&old, path), value(&new, path));
        if before == after || drifts.iter().any(|drift| drift.path.eq_ignore_ascii_case(path)) {
            continue;
        }
        let (section, key) = path.split_once('.').unwrap_or((path, ""));
        let setting = resolved.setting(section, key);
        let secret = known::is_secret(section, key);
        let shown = |value: Value| match value {
            _ if secret => crate::finding::HIDDEN.to_owned(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        let was_there =
            before.as_ref().is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()));
        let salt = SALTS
            .iter()
            .find(|salt| setting.and_then(|setting| setting.row).is_some_and(|row| row.name == salt.row));
        drifts.push(Drift {
            path: path.clone(),
            owner: setting.map_or(Owner::Console, crate::resolved::Setting::owner),
            on_disk: before.map(shown),
            rendered: after.map(shown),
            breaks: salt.filter(|_| was_there).map(|salt| salt.breaks),
        });
    }
    drifts
}

/// Hides every secret of a config.json, so that it can be shown; empty ones stay empty.
pub fn mask(config: &mut Value) {
    let Some(sections) = config.as_object_mut() else { return };
    for (section, keys) in sections {
        for (key, value) in keys.as_object_mut().into_iter().flatten() {
            if known::is_secret(section, key) && value.as_str().is_none_or(|text| !text.is_empty()) {
                *value = Value::from(crate::finding::HIDDEN);
            }
        }
    }
}

/// Every key with its value; known tables are gone into, lists and maps are values.
fn leaves(config: &Value) -> Vec<(String, Value)> {
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

/// Where a release keeps a setting under another name, its old value goes there, unless a new one is there already.
fn carry_over(config: &mut Value, version: Series) {
    for row in table::rows() {
        let Some(place) = row.place(version) else { continue };
        let renamed = row.places.iter().filter(|old| !old.key.eq_ignore_ascii_case(place.key));
        let old = renamed
            .filter_map(|old| at_path(config, old.section, old.key))
            .find(|value| !value.is_null())
            .cloned();
        if let Some(old) = old
            && at_path(config, place.section, place.key).is_none()
        {
            set(config, place.section, place.key, place.form.write(old));
        }
    }
}

/// Takes out every key that this release has no more.
fn strip(config: &mut Value, version: Series) {
    for (path, _) in leaves(config) {
        let Some((section, key)) = path.split_once('.') else { continue };
        if matches!(known::absence(section, key, version), Absence::Gone(_))
            && known::find(section, key, version).is_none()
        {
            remove(config, section, key);
        }
    }
}

/// The value at a key; letters match without case.
pub(crate) fn at_path<'a>(config: &'a Value, section: &str, key: &str) -> Option<&'a Value> {
    let mut value = config;
    for name in std::iter::once(section).chain(key.split('.')) {
        let map = value.as_object()?;
        value = map.get(name).or_else(|| {
            map.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        })?;
    }
    Some(value)
}

fn set(config: &mut Value, section: &str, key: &str, value: Value) {
    let mut place = config;
    for name in std::iter::once(section).chain(key.split('.')) {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(map) = place else { return };
        place = entry(map, name);
    }
    *place = value;
}

fn remove(config: &mut Value, section: &str, key: &str) {
    let mut names: Vec<_> = std::iter::once(section).chain(key.split('.')).collect();
    let Some(last) = names.pop() else { return };
    let mut place = config;
    for name in names {
        match place {
            Value::Object(map) => place = entry(map, name),
            _ => return,
        }
    }
    if let Value::Object(map) = place {
        map.retain(|name, _| !name.eq_ignore_ascii_case(last));
    }
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
            Declared::new("MessageExportSettings", "GlobalRelaySettings.SMTPPort", "25"),
        ];
        let expected = json!({
            "ServiceSettings": {"SiteUrl": "http://new", "GoroutineHealthThreshold": 7},
            "TeamSettings": {"SiteName": "quote \" backslash \\ {{x}} $HOME ü"},
            "MessageExportSettings": {"GlobalRelaySettings": {"SMTPPort": "25"}},
        });
        assert_eq!(render(&base, &declared), expected);
    }

    #[test]
    fn an_upgrade_carries_renamed_keys_over_and_leaves_removed_ones_out() {
        let mut config = json!({
            "ServiceSettings": {"SessionLengthWebInDays": 7, "EnableOnlyAdminIntegrations": true},
            "SqlSettings": {"AtRestEncryptKey": "x"},
            "Plugin.Of.Theirs": {"Key": 1},
        });
        carry_over(&mut config, Series::new(12, 0));
        strip(&mut config, Series::new(12, 0));
        let expected = json!({
            "ServiceSettings": {"SessionLengthWebInDays": 7, "SessionLengthWebInHours": 168},
            "SqlSettings": {},
            "Plugin.Of.Theirs": {"Key": 1},
        });
        assert_eq!(config, expected);
    }
}
