//! JSON Schema of `mainstay.toml`, for editors.

use serde_json::{Map, Value, json};
use version::Series;

use crate::keys::KEYS;
use crate::kind::Kind;
use crate::known::{self, KnownKey, Shape};
use crate::schedule::{LONGEST_JITTER, SCHEDULABLE};
use crate::table;

/// The schema (draft 2020-12), with the server's settings as that version has them.
pub fn schema(version: Series) -> Value {
    let mut own = object("");
    for key in KEYS {
        let mut of_key = of_kind(key.kind);
        let description = format!("{}. Default: {}.", key.meaning, key.default);
        of_key.insert("description".to_owned(), description.into());
        put(&mut own, key.name, Value::Object(of_key));
    }
    let mut properties = match own["properties"].take() {
        Value::Object(properties) => properties,
        _ => Map::new(),
    };
    properties.insert("mattermost".to_owned(), sections(version));
    properties.insert("schedule".to_owned(), scheduled());
    properties.insert(
        crate::format::KEY.to_owned(),
        json!({"type": "integer", "enum": [1], "description": "The format of this file."}),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mainstay.toml",
        "description": format!("What you want of a deployment of Mattermost. Settings are those of server {version}."),
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// The operations that begin by themselves.
fn scheduled() -> Value {
    let mut table = object("Operations that begin by themselves.");
    for operation in SCHEDULABLE {
        let cron = json!({"type": "string", "description": "Minute, hour, day, month, weekday."});
        let mut keys = json!({
            "cron": cron,
            "jitter": {"type": "integer", "minimum": 0, "maximum": LONGEST_JITTER},
            "catch_up": {"type": "boolean"},
        });
        for option in operation.options {
            keys[option.key] = json!({"type": "string", "description": option.meaning});
        }
        table["properties"][operation.name] = json!({"anyOf": [cron, {
            "type": "object",
            "properties": keys,
            "required": ["cron"],
            "additionalProperties": false,
        }]});
    }
    table
}

fn sections(version: Series) -> Value {
    let mut sections = object("The server's own settings, as its config.json has them.");
    for key in known::of(version) {
        put(&mut sections, &key.path(), of_key(key, version));
    }
    sections
}

/// Puts a key's schema at its path, making the tables above it.
fn put(table: &mut Value, path: &str, schema: Value) {
    let properties = &mut table["properties"];
    match path.split_once('.') {
        None => properties[path] = schema,
        Some((name, below)) => {
            if properties[name].is_null() {
                properties[name] = object("");
            }
            put(&mut properties[name], below, schema);
        }
    }
}

fn object(description: &str) -> Value {
    let mut object = json!({"type": "object", "properties": {}, "additionalProperties": false});
    if !description.is_empty() {
        object["description"] = description.into();
    }
    object
}

fn of_key(key: &KnownKey, version: Series) -> Value {
    let mut of_key = match key.shape {
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int => json!({"type": "integer"}),
        Shape::Number => json!({"type": "number"}),
        Shape::Text => json!({"type": "string"}),
        Shape::List => json!({"type": "array", "items": {"type": "string"}}),
        Shape::Json => json!({"type": ["object", "array"]}),
    };
    if let Ok(default) = serde_json::from_str::<Value>(key.default) {
        of_key["default"] = default;
    }
    let row = table::rows().find(|row| {
        row.place(version).is_some_and(|place| place.section == key.section && place.key == key.key)
    });
    if let Some(row) = row {
        of_key["description"] = format!("{}.", row.meaning).into();
    }
    of_key
}

fn of_kind(kind: Kind) -> Map<String, Value> {
    let allowed = kind.allowed();
    let mut map = Map::from_iter([("type".to_owned(), Value::from("string"))]);
    match kind {
        Kind::Word(words) => {
            map.insert("enum".to_owned(), words.iter().map(|word| Value::from(*word)).collect());
        }
        Kind::SiteUrl | Kind::Url => {
            map.insert("format".to_owned(), "uri".into());
            map.insert("pattern".to_owned(), "^https?://".into());
        }
        Kind::Bool => {
            map.insert("type".to_owned(), "boolean".into());
        }
        Kind::Int(least, most) => {
            map.insert("type".to_owned(), "integer".into());
            map.insert("minimum".to_owned(), least.into());
            map.insert("maximum".to_owned(), most.into());
        }
        kind if kind.is_list() => {
            map.insert("type".to_owned(), json!(["string", "array"]));
            map.insert("items".to_owned(), json!({"type": "string"}));
            map.insert("$comment".to_owned(), allowed.into());
        }
        _ => {
            map.insert("$comment".to_owned(), allowed.into());
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_every_key_of_the_file_and_of_the_version() {
        let schema = schema(Series::new(11, 7));
        for key in KEYS {
            let path = format!("/properties/{}", key.name.replace('.', "/properties/"));
            assert!(schema.pointer(&path).is_some_and(Value::is_object), "{}", key.name);
        }
        assert!(schema["properties"]["schedule"]["properties"]["verify"]["anyOf"].is_array());
        let settings = &schema["properties"]["mattermost"]["properties"];
        assert_eq!(settings["ServiceSettings"]["properties"]["SessionLengthWebInHours"]["type"], "integer");
        assert!(settings["BleveSettings"].is_null());
        let relay = &settings["MessageExportSettings"]["properties"]["GlobalRelaySettings"]["properties"];
        assert_eq!(relay["CustomerType"]["type"], "string");
    }
}
