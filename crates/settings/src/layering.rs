//! The layers while they are put on top of each other: what [`crate::resolve`] fills, composes, derives and checks.

use std::collections::BTreeMap;

use serde_json::Value;
use version::Series;

use crate::capability::{self, Effect};
use crate::finding::{Finding, Notice};
use crate::known::{self, KnownKey};
use crate::origin::Origin;
use crate::resolved::{Layer, Setting};
use crate::row::Row;
use crate::server::Server;
use crate::table;

/// The layers of every setting while they are being collected.
pub(crate) struct Layering {
    pub(crate) server: Server,
    pub(crate) version: Series,
    pub(crate) settings: BTreeMap<(&'static str, &'static str), Setting>,
    /// Values of rows that have no key of their own in config.json.
    pub(crate) inputs: BTreeMap<&'static str, Layer>,
    /// Mainstay's own keys, the layer that holds first.
    pub(crate) keys: BTreeMap<&'static str, Vec<Layer>>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) notices: Vec<Notice>,
}

impl Layering {
    pub(crate) fn new(server: Server) -> Self {
        Self {
            server,
            version: server.version,
            settings: BTreeMap::new(),
            inputs: BTreeMap::new(),
            keys: BTreeMap::new(),
            findings: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Adds a layer to a key that this release has.
    pub(crate) fn lay(&mut self, known: &'static KnownKey, origin: Origin, value: Value) {
        let setting = self.settings.entry((known.section, known.key)).or_insert_with(|| {
            Setting::new(known.section, known.key, row_at(known, self.version), known.secret)
        });
        setting.add(Layer { origin, value });
    }

    /// The same by names; a key that this release does not have is ignored.
    pub(crate) fn lay_at(&mut self, section: &str, key: &str, origin: Origin, value: impl Into<Value>) {
        if let Some(known) = known::find(section, key, self.version) {
            self.lay(known, origin, value.into());
        }
    }

    /// What the server does with a value.
    pub(crate) fn effect(&self, section: &str, key: &str, value: &Value) -> Effect {
        capability::effect(self.server, section, key, value)
    }

    /// The setting at that place, if it has a layer.
    pub(crate) fn at(&self, section: &str, key: &str) -> Option<&Setting> {
        let known = known::find(section, key, self.version)?;
        self.settings.get(&(known.section, known.key))
    }

    /// The text that counts there; an empty one counts as none.
    pub(crate) fn text(&self, section: &str, key: &str) -> Option<&str> {
        self.at(section, key)?.value()?.as_str().filter(|text| !text.is_empty())
    }

    /// Whether a text is given there.
    pub(crate) fn is_given(&self, section: &str, key: &str) -> bool {
        self.text(section, key).is_some()
            && self.at(section, key).and_then(Setting::origin).is_some_and(Origin::is_given)
    }

    /// The text of a row that has no key of its own.
    pub(crate) fn input(&self, row: &str) -> Option<&str> {
        self.inputs.get(row)?.value.as_str()
    }

    pub(crate) fn notice(&mut self, origin: &Origin, name: &str, what: impl Into<String>) {
        self.notices.push(Notice::without_effect(origin.clone(), name, what));
    }
}

/// The row that has its place there in that release.
fn row_at(known: &KnownKey, version: Series) -> Option<&'static Row> {
    table::rows().find(|row| {
        row.place(version).is_some_and(|place| {
            place.section.eq_ignore_ascii_case(known.section) && place.key.eq_ignore_ascii_case(known.key)
        })
    })
}
