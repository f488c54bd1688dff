//! The settings with all their layers: the value that counts, where it comes from, and the values that it outranks.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use version::Series;

use crate::config;
use crate::declared::Declared;
use crate::finding::Notice;
use crate::origin::Origin;
use crate::row::{Row, server_variable};
use crate::server::Server;

/// One layer of a setting. Without `Debug`: its value may be a secret.
#[derive(Clone, PartialEq)]
pub struct Layer {
    /// Where it comes from.
    pub origin: Origin,
    /// The value, as config.json has it.
    pub value: Value,
}

/// A setting of config.json that has at least one layer.
#[derive(Clone)]
pub struct Setting {
    /// The section.
    pub section: &'static str,
    /// The key in it; dots separate the tables below.
    pub key: &'static str,
    /// Its row in the table, if it has one.
    pub row: Option<&'static Row>,
    /// Whether no message may show its value.
    pub secret: bool,
    /// The layer that counts, and then the ones that it outranks; never empty.
    layers: Vec<Layer>,
}

impl Setting {
    pub(crate) fn new(
        section: &'static str,
        key: &'static str,
        row: Option<&'static Row>,
        secret: bool,
    ) -> Self {
        Self { section, key, row, secret, layers: Vec::new() }
    }

    /// Adds a layer at its rank; of two with the same rank the later one counts.
    pub(crate) fn add(&mut self, layer: Layer) {
        let above = self.layers.iter().position(|old| old.origin.rank() <= layer.origin.rank());
        self.layers.insert(above.unwrap_or(self.layers.len()), layer);
    }

    /// Replaces the text of every layer; `None` removes the layer.
    pub(crate) fn change_texts(&mut self, change: impl Fn(&str) -> Option<Value>) {
        self.layers.retain_mut(|layer| match layer.value.as_str().map(&change) {
            Some(Some(value)) => {
                layer.value = value;
                true
            }
            Some(None) => false,
            None => true,
        });
    }

    /// `Section.Key`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// The variable that the server itself reads.
    pub fn variable(&self) -> String {
        server_variable(self.section, self.key)
    }

    /// What it is called where its value comes from.
    pub(crate) fn name(&self) -> String {
        match self.origin() {
            Some(Origin::Variable { name, .. } | Origin::ServerVariable { name, .. }) => name.clone(),
            Some(Origin::Composed { from }) => from.first().cloned().unwrap_or_else(|| self.path()),
            Some(Origin::File { .. }) => match self.row.and_then(|row| row.key) {
                Some(key) => key.to_owned(),
                None => format!("mattermost.{}", self.path()),
            },
            _ => self.path(),
        }
    }

    /// All layers; the first holds.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What holds.
    pub fn value(&self) -> Option<&Value> {
        self.layers.first().map(|layer| &layer.value)
    }

    /// Where that comes from.
    pub fn origin(&self) -> Option<&Origin> {
        self.layers.first().map(|layer| &layer.origin)
    }

    /// A value of it as a message may show it.
    pub fn shown(&self, value: &Value) -> String {
        config::visible(value, self.secret)
    }

    /// Whether somebody declares it, or it follows from what is declared. A default only fills a new config.json.
    pub fn is_declared(&self) -> bool {
        self.origin().is_some_and(|origin| *origin != Origin::Default)
    }
}

/// What [`crate::resolve`] returns. `Debug` shows names and origins, and no value.
#[derive(Clone)]
pub struct Resolved {
    pub(crate) server: Server,
    pub(crate) settings: BTreeMap<(&'static str, &'static str), Setting>,
    pub(crate) inputs: BTreeMap<&'static str, Layer>,
    pub(crate) keys: BTreeMap<&'static str, Vec<Layer>>,
    pub(crate) notices: Vec<Notice>,
}

impl Resolved {
    /// The server that it was made for.
    pub fn server(&self) -> Server {
        self.server
    }

    /// Its version.
    pub fn version(&self) -> Series {
        self.server.version
    }

    /// Every setting that a layer says something about.
    pub fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.settings.values()
    }

    /// The setting at that place of config.json; letters match without case.
    pub fn setting(&self, section: &str, key: &str) -> Option<&Setting> {
        self.settings().find(|setting| {
            setting.section.eq_ignore_ascii_case(section) && setting.key.eq_ignore_ascii_case(key)
        })
    }

    /// The value that holds at that place, if a layer says one.
    pub fn value(&self, section: &str, key: &str) -> Option<&Value> {
        self.setting(section, key).and_then(Setting::value)
    }

    /// The value of a row that has no place of its own, as `DEBUG`; `None` = nobody said it.
    pub fn input(&self, row: &str) -> Option<&Layer> {
        self.inputs.get(row)
    }

    /// What was said and has no effect, or another one than it had.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The layers of one of Mainstay's own keys that the server knows nothing of, as `listen`; the first holds.
    pub fn key(&self, name: &str) -> &[Layer] {
        self.keys.get(name).map_or(&[], Vec::as_slice)
    }

    /// Mainstay itself decides a key of config.json, for the reason `why`. Whoever gives it is told that this has no effect.
    pub fn overrule(&mut self, section: &str, key: &str, why: &str) {
        let given = self.setting(section, key).and_then(|setting| {
            Some((setting.name(), setting.origin().filter(|origin| origin.is_given())?.clone()))
        });
        if let Some((name, origin)) = given {
            // What the server would do with it does not matter.
            self.notices.retain(|notice| notice.name != name || notice.origin != origin);
            self.notices.push(Notice::without_effect(origin, name, why));
        }
    }

    /// What config.json must say, whatever else it says, and who says so.
    pub fn declared(&self) -> impl Iterator<Item = (Declared, Origin)> {
        self.settings().filter(|setting| setting.is_declared()).filter_map(|setting| {
            let Layer { origin, value } = setting.layers.first()?;
            Some((Declared::new(setting.section, setting.key, value.clone()), origin.clone()))
        })
    }

    /// What a new config.json says where nobody declares anything: docker-mattermost's defaults.
    pub(crate) fn defaults(&self) -> impl Iterator<Item = Declared> {
        self.settings().filter_map(|setting| {
            let default = setting.layers.iter().find(|layer| layer.origin == Origin::Default)?;
            Some(Declared::new(setting.section, setting.key, default.value.clone()))
        })
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "settings of {} ", self.server.version)?;
        f.debug_map().entries(self.settings().map(|setting| (setting.path(), setting.origin()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_layer_holds_and_the_later_of_equals() {
        let mut setting = Setting::new("TeamSettings", "SiteName", None, false);
        for (origin, value) in [
            (Origin::variable("MATTERMOST_NAME"), "variable"),
            (Origin::Default, "default"),
            (Origin::Flag, "first flag"),
            (Origin::Flag, "second flag"),
        ] {
            setting.add(Layer { origin, value: value.into() });
        }
        let values: Vec<_> = setting.layers().iter().filter_map(|layer| layer.value.as_str()).collect();
        assert_eq!(values, ["second flag", "first flag", "variable", "default"]);
        assert!(setting.is_declared());
    }
}
