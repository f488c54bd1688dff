//! Everything about one setting, and one line about each of them.

use std::fmt;

use serde_json::Value;
use version::Series;

use crate::capability;
use crate::config;
use crate::finding::HIDDEN;
use crate::keys;
use crate::known::{self, KnownKey};
use crate::nearest;
use crate::origin::Origin;
use crate::ownership::{Owner, Reconciled};
use crate::resolved::{Layer, Resolved, Setting};
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

/// What a deployment has of a setting.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct InForce {
    /// Its value in config.json, or its default there, as a message may show it; `None` = the server's default, which is no
    /// constant.
    pub value: Option<String>,
    /// What the next `up` makes it; the same, unless something is still to be applied.
    pub next: Option<String>,
    /// Who decides it from then on.
    #[serde(flatten)]
    pub owner: Owner,
}

impl InForce {
    fn of(section: &str, key: &str, deployed: Option<&Reconciled>) -> Option<Self> {
        let state = deployed?.state(section, key);
        let text = |value: Option<Value>| value.map(|value| config::shown(section, key, &value));
        // Two secrets look the same when they are hidden.
        let changes = state.now != state.next;
        let (value, next) = (text(state.now), text(state.next));
        let next = if changes && value == next { Some(format!("{HIDDEN}, another one")) } else { next };
        Some(Self { value, next, owner: state.owner })
    }

    /// Whether it holds already.
    pub fn is_applied(&self) -> bool {
        self.value == self.next
    }
}

/// Shows the value and who decides it.
impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.as_deref().map_or("not set", config::in_text).to_owned();
        if self.is_applied() {
            write!(f, "{}  ({})", text(&self.value), self.owner)
        } else {
            write!(f, "{}; `mainstay up` makes it {}  ({})", text(&self.value), text(&self.next), self.owner)
        }
    }
}

/// Everything about a setting.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// Its name.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// What is allowed.
    pub allowed: String,
    /// The version of the server that this applies to.
    pub version: Series,
    /// Its key in config.json of that version; `None` = there is none.
    pub config: Option<String>,
    /// How the value is written there, if not as it is given.
    pub form: Option<&'static str>,
    /// How to write it in `mainstay.toml`.
    pub toml: Option<String>,
    /// The variables that set it; the last one outranks the others.
    pub variables: Vec<String>,
    /// What the deployment has; `None` = there is no deployment, or the setting has no place in its config.json.
    pub in_force: Option<InForce>,
    /// The values that are given, the one that counts first; empty = none is given.
    pub layers: Vec<Held>,
    /// What the server does with it, where that is not what it says.
    pub server: Option<String>,
    /// What holds in that version where nobody says anything, as a message may show it; `None` = that is no constant.
    pub default: Option<String>,
    /// The default in docker-mattermost.
    pub default_then: Option<String>,
    /// The default today.
    pub default_now: Option<String>,
    /// What changed in a later release.
    pub change: Option<String>,
    /// Whether its value is never shown.
    pub secret: bool,
    /// Where it is documented.
    pub source: String,
}

/// Explains a setting by a row's name, a key of `mainstay.toml`, `Section.Key` or `MM_SECTION_KEY`. `deployed` is the deployment
/// that these settings are about, if there is one.
///
/// # Errors
/// There is no such setting; the text has the nearest name.
pub fn explain(
    name: &str,
    resolved: &Resolved,
    deployed: Option<&Reconciled>,
) -> Result<Explanation, String> {
    let version = resolved.version();
    if let Some(row) = table::rows().find(|row| row.name.eq_ignore_ascii_case(name) || row.key == Some(name))
    {
        return Ok(of_row(row, resolved, deployed));
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
            in_force: None,
            layers: held(resolved.key(key.name), |value| config::visible(value, false)),
            server: None,
            default: None,
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
        Some(known) => Ok(of_key(known, resolved, deployed)),
        None => {
            let rows = table::rows().map(|row| row.name.to_owned());
            let names: Vec<_> = rows.chain(known::of(version).map(KnownKey::path)).collect();
            let near =
                nearest(plain, names.iter().map(String::as_str).chain(keys::KEYS.iter().map(|key| key.name)));
            Err(match near {
                Some(near) => {
                    format!("`{name}` is not a setting of server {version}; did you mean `{near}`?")
                }
                None => format!(
                    "`{name}` is not a setting of server {version}; `mainstay settings list` names them all"
                ),
            })
        }
    }
}

fn held(layers: &[Layer], shown: impl Fn(&Value) -> String) -> Vec<Held> {
    layers.iter().map(|layer| Held { value: shown(&layer.value), origin: layer.origin.clone() }).collect()
}

fn held_of(setting: &Setting) -> Vec<Held> {
    held(setting.layers(), |value| setting.shown(value))
}

fn of_row(row: &'static Row, resolved: &Resolved, deployed: Option<&Reconciled>) -> Explanation {
    let place = row.place(resolved.version());
    let setting = place.and_then(|place| resolved.setting(place.section, place.key));
    let layers = match (setting, resolved.input(row.name)) {
        (Some(setting), _) => held_of(setting),
        (None, Some(layer)) => {
            let value = config::visible(&layer.value, row.secret);
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
        in_force: place.and_then(|place| InForce::of(place.section, place.key, deployed)),
        variables: std::iter::once(row.name.to_owned()).chain(place.map(Place::variable)).collect(),
        layers,
        server: capability::of_row(resolved.server(), row),
        default: place.and_then(|place| default(place.section, place.key, resolved, deployed)),
        default_then: row.then.map(str::to_owned),
        default_now: Some(row.now.to_owned()),
        change: row.change.map(|change| format!("since {}: {}", change.since, change.what)),
        secret: row.secret,
        source: row.source.to_owned(),
    }
}

fn of_key(known: &'static KnownKey, resolved: &Resolved, deployed: Option<&Reconciled>) -> Explanation {
    if let Some(row) = resolved.setting(known.section, known.key).and_then(|setting| setting.row) {
        return of_row(row, resolved, deployed);
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
        in_force: InForce::of(known.section, known.key, deployed),
        layers: resolved.setting(known.section, known.key).map(held_of).unwrap_or_default(),
        server: capability::in_words(resolved.server(), known.section, known.key),
        default: default(known.section, known.key, resolved, deployed),
        default_then: None,
        default_now: None,
        change: until,
        secret: known.secret,
        source: "the server's model/config.go".to_owned(),
    }
}

/// What holds where nobody says anything: a new config.json of the deployment's release, otherwise the version's own.
fn default(section: &str, key: &str, resolved: &Resolved, deployed: Option<&Reconciled>) -> Option<String> {
    let value = match deployed {
        Some(deployed) => deployed.default(section, key),
        None => known::default(section, key, resolved.version()),
    };
    value.map(|value| config::shown(section, key, &value))
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n  {}.", self.name, self.meaning)?;
        let mut beneath = self.layers.as_slice();
        match (&self.in_force, self.layers.split_first()) {
            (Some(in_force), top) => {
                writeln!(f, "  value        {in_force}")?;
                // The declared value is in that line already.
                if let (Owner::Declared { .. }, Some((_, rest))) = (&in_force.owner, top) {
                    beneath = rest;
                }
            }
            (None, Some((top, rest))) => {
                writeln!(f, "  value        {}  ({})", config::in_text(&top.value), top.origin)?;
                beneath = rest;
            }
            (None, None) => match &self.default {
                Some(default) => {
                    let default = config::in_text(default);
                    writeln!(
                        f,
                        "  value        {default}  (not declared: the default of server {})",
                        self.version
                    )?;
                }
                None => writeln!(f, "  value        not declared: the default holds")?,
            },
        }
        for layer in beneath {
            writeln!(f, "  beneath      {}  ({})", config::in_text(&layer.value), layer.origin)?;
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
        if self.in_force.is_some() || !self.layers.is_empty() {
            line("default", self.default.as_deref().map(config::in_text))?;
        }
        line("this server", self.server.as_deref())?;
        line("default then", self.default_then.as_deref())?;
        line("default now", self.default_now.as_deref())?;
        line("changed", self.change.as_deref())?;
        line("source", Some(&self.source))
    }
}

/// One line about a setting.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// Its name: a row's, or `Section.Key`.
    pub name: String,
    /// Its key in config.json of the version; `None` = there is none.
    pub config: Option<String>,
    /// What the deployment has, if there is one.
    pub in_force: Option<InForce>,
    /// The value that is given, if one is.
    pub held: Option<Held>,
    /// What the server does with it, where that is not what it says.
    pub server: Option<String>,
    /// What it means; empty for a key without a row.
    pub meaning: &'static str,
}

/// Every row, and every other setting that is declared.
pub fn list(resolved: &Resolved, deployed: Option<&Reconciled>) -> Vec<Entry> {
    let rows = table::rows().map(|row| {
        let explanation = of_row(row, resolved, deployed);
        Entry {
            name: explanation.name,
            config: explanation.config,
            in_force: explanation.in_force,
            held: explanation.layers.into_iter().next(),
            server: explanation.server,
            meaning: row.meaning,
        }
    });
    let others = resolved.settings().filter(|setting| setting.row.is_none()).map(|setting| Entry {
        name: setting.path(),
        config: Some(setting.path()),
        in_force: InForce::of(setting.section, setting.key, deployed),
        held: held_of(setting).into_iter().next(),
        server: capability::in_words(resolved.server(), setting.section, setting.key),
        meaning: "",
    });
    rows.chain(others).collect()
}
