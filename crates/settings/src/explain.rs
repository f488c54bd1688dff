//! One setting told in full, and all of them in a line each.

use std::fmt;

use serde_json::Value;
use version::Series;

use crate::finding::HIDDEN;
use crate::keys;
use crate::known::{self, KnownKey};
use crate::nearest;
use crate::origin::Origin;
use crate::resolved::{Resolved, Setting};
use crate::row::{Form, Place, Row, server_variable};
use crate::table;

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// As a message may show it.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Everything there is to say about a setting.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// Its name.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// What is allowed.
    pub allowed: String,
    /// The server's version that all this is said for.
    pub version: Series,
    /// Its key in config.json of that version; `None` = there is none.
    pub config: Option<String>,
    /// How the value is written there, where not as it is said.
    pub form: Option<&'static str>,
    /// How `mainstay.toml` says it.
    pub toml: Option<String>,
    /// The variables that set it, the strongest last.
    pub variables: Vec<String>,
    /// What holds, and what lies beneath it, downwards; empty = the release's default or the System Console decides.
    pub layers: Vec<Held>,
    /// What held in docker-mattermost when nobody said anything.
    pub default_then: Option<String>,
    /// What holds today when nobody says anything.
    pub default_now: Option<String>,
    /// What a release made of it.
    pub change: Option<String>,
    /// Whether its value is shown to nobody.
    pub secret: bool,
    /// Who documents it.
    pub source: String,
}

/// Explains a setting by a row's name, a key of `mainstay.toml`, `Section.Key` or `MM_SECTION_KEY`.
///
/// # Errors
/// There is no such setting: said with the nearest name.
pub fn explain(name: &str, resolved: &Resolved) -> Result<Explanation, String> {
    let version = resolved.version();
    if let Some(row) = table::rows().find(|row| row.name.eq_ignore_ascii_case(name) || row.key == Some(name))
    {
        return Ok(of_row(row, resolved));
    }
    if let Some(key) = keys::key(name) {
        return Ok(Explanation {
            name: key.name.to_owned(),
            meaning: key.meaning.to_owned(),
            allowed: key.kind.allowed(),
            version,
            config: None,
            form: None,
            toml: Some(format!("{} = ...", key.name)),
            variables: Vec::new(),
            layers: Vec::new(),
            default_then: None,
            default_now: Some(key.default.to_owned()),
            change: None,
            secret: false,
            source: "Mainstay".to_owned(),
        });
    }
    let plain = name.strip_prefix("mattermost.").unwrap_or(name);
    let known = match plain.split_once('.') {
        Some((section, key)) => known::find(section, key, version),
        None => known::by_variable(&name.to_uppercase())
            .and_then(|known| known::find(known.section, known.key, version)),
    };
    match known {
        Some(known) => Ok(of_key(known, resolved)),
        None => {
            let rows = table::rows().map(|row| row.name.to_owned());
            let names: Vec<_> = rows.chain(known::of(version).map(KnownKey::path)).collect();
            let near =
                nearest(plain, names.iter().map(String::as_str).chain(keys::KEYS.iter().map(|key| key.name)));
            Err(match near {
                Some(near) => format!("`{name}` is no setting of server {version}; did you mean `{near}`?"),
                None => format!(
                    "`{name}` is no setting of server {version}; `mainstay settings list` names them all"
                ),
            })
        }
    }
}

fn held(setting: &Setting) -> Vec<Held> {
    let layers = setting.layers().iter();
    layers.map(|layer| Held { value: setting.shown(&layer.value), origin: layer.origin.clone() }).collect()
}

fn of_row(row: &'static Row, resolved: &Resolved) -> Explanation {
    let place = row.place(resolved.version());
    let setting = place.and_then(|place| resolved.setting(place.section, place.key));
    let layers = match (setting, resolved.input(row.name)) {
        (Some(setting), _) => held(setting),
        (None, Some(layer)) => {
            let value = if row.secret { HIDDEN.to_owned() } else { shown(&layer.value) };
            vec![Held { value, origin: layer.origin.clone() }]
        }
        (None, None) => Vec::new(),
    };
    let toml = match (row.key, place) {
        (Some(key), _) => Some(format!("{key} = ...")),
        (None, Some(place)) => Some(format!("[mattermost.{}] {} = ...", place.section, place.key)),
        (None, None) => None,
    };
    Explanation {
        name: row.name.to_owned(),
        meaning: row.meaning.to_owned(),
        allowed: row.kind.allowed(),
        version: resolved.version(),
        config: place.map(Place::path),
        form: place.and_then(|place| match place.form {
            Form::Same => None,
            Form::Hours => Some("days times 24"),
            Form::Either(..) => Some("as a word"),
        }),
        toml,
        variables: std::iter::once(row.name.to_owned()).chain(place.map(Place::variable)).collect(),
        layers,
        default_then: row.then.map(str::to_owned),
        default_now: Some(row.now.to_owned()),
        change: row.change.map(|change| format!("since {}: {}", change.since, change.what)),
        secret: row.secret,
        source: row.source.to_owned(),
    }
}

fn of_key(known: &'static KnownKey, resolved: &Resolved) -> Explanation {
    if let Some(row) = resolved.setting(known.section, known.key).and_then(|setting| setting.row) {
        return of_row(row, resolved);
    }
    let until = known.span.until.map(|until| format!("since {until}: the server no longer has it"));
    Explanation {
        name: known.path(),
        meaning: format!("A setting of the server, there since {}", known.span.since),
        allowed: known.shape.allowed().to_owned(),
        version: resolved.version(),
        config: Some(known.path()),
        form: None,
        toml: Some(format!("[mattermost.{}] {} = ...", known.section, known.key)),
        variables: vec![server_variable(known.section, known.key)],
        layers: resolved.setting(known.section, known.key).map(held).unwrap_or_default(),
        default_then: None,
        default_now: (!known.default.is_empty()).then(|| known.default.to_owned()),
        change: until,
        secret: known.secret,
        source: "the server's model/config.go".to_owned(),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n  {}.", self.name, self.meaning)?;
        match self.layers.split_first() {
            Some((top, beneath)) => {
                writeln!(f, "  value        {}  ({})", top.value, top.origin)?;
                for layer in beneath {
                    writeln!(f, "  beneath      {}  ({})", layer.value, layer.origin)?;
                }
            }
            None => writeln!(
                f,
                "  value        not said: the release's default, or what the System Console says"
            )?,
        }
        let mut line = |name: &str, text: Option<&str>| match text {
            Some(text) => writeln!(f, "  {name:<12} {text}"),
            None => Ok(()),
        };
        line("allowed", Some(self.allowed.trim_start_matches("allowed: ")))?;
        let form = self.form.map_or_else(String::new, |form| format!(", {form}"));
        let config = self.config.as_deref().unwrap_or("no key of its own");
        let config = format!("{config} (server {}{form})", self.version);
        line("config.json", Some(&config))?;
        line("mainstay", self.toml.as_deref())?;
        line(
            "environment",
            Some(&self.variables.join(", ")).filter(|names| !names.is_empty()).map(String::as_str),
        )?;
        line("default then", self.default_then.as_deref())?;
        line("default now", self.default_now.as_deref())?;
        line("changed", self.change.as_deref())?;
        line("source", Some(&self.source))
    }
}

/// A setting in a line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// Its name: a row's, or `Section.Key`.
    pub name: String,
    /// Its key in config.json of the version; `None` = there is none.
    pub config: Option<String>,
    /// What holds, if anybody said something.
    pub held: Option<Held>,
    /// What it means; empty for a key without a row.
    pub meaning: &'static str,
}

/// Every row, and every other setting that somebody said something about.
pub fn list(resolved: &Resolved) -> Vec<Entry> {
    let rows = table::rows().map(|row| {
        let explanation = of_row(row, resolved);
        Entry {
            name: explanation.name,
            config: explanation.config,
            held: explanation.layers.into_iter().next(),
            meaning: row.meaning,
        }
    });
    let others = resolved.settings().filter(|setting| setting.row.is_none()).map(|setting| Entry {
        name: setting.path(),
        config: Some(setting.path()),
        held: held(setting).into_iter().next(),
        meaning: "",
    });
    rows.chain(others).collect()
}
