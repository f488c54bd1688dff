//! Collects the layers of every setting and finds the value that counts.

use std::collections::BTreeMap;

use crate::capability::Effect;
use crate::environment::{self, Environment, Given, ReadFile};
use crate::finding::{Finding, Findings, Notice};
use crate::keys::{self, KEYS, Key};
use crate::known::{self, Absence, KnownKey};
use crate::layering::Layering;
use crate::nearest;
use crate::origin::Origin;
use crate::resolved::{Layer, Resolved};
use crate::row::Row;
use crate::secrets::Secrets;
use crate::server::Server;
use crate::table;
use crate::wanted::Wanted;
use secrecy::ExposeSecret as _;
use serde_json::Value;

/// Which defaults the lowest layer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Defaults {
    /// Those of the release itself: the config.json it ships.
    #[default]
    Release,
    /// docker-mattermost's, for a container that replaces one of docker-mattermost. They only fill a new config.json.
    DockerMattermost,
}

/// Everything that can give a setting a value, the lowest layer first.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The lowest layer.
    pub defaults: Defaults,
    /// `secrets.toml`.
    pub secrets: Option<&'a Secrets>,
    /// `mainstay.toml`.
    pub wanted: Option<&'a Wanted>,
    /// The environment.
    pub environment: &'a BTreeMap<String, String>,
    /// Values from the command line: by a key of `mainstay.toml`, by a row's name, or by `Section.Key`.
    pub flags: &'a BTreeMap<String, String>,
    /// The site URL where nobody gives one; `None` = the server is told none.
    pub site_url: Option<&'a str>,
    /// Reads the file that a `_FILE` variable names.
    pub read_file: ReadFile<'a>,
}

/// The settings for that server.
///
/// # Errors
/// Every mistake at once. When [`Findings::policy_only`] says so, only rules of the release are broken.
pub fn resolve(server: impl Into<Server>, sources: &Sources<'_>) -> Result<Resolved, Findings> {
    let mut layering = Layering::new(server.into());
    let environment = environment::read(sources.environment, sources.read_file, &mut layering.findings);
    if sources.defaults == Defaults::DockerMattermost {
        layering.take_defaults();
    }
    if let Some(secrets) = sources.secrets {
        layering.take_secrets(secrets);
    }
    if let Some(wanted) = sources.wanted {
        layering.take_file(wanted);
    }
    layering.take_environment(environment);
    layering.take_libpq(sources.environment);
    layering.take_flags(sources.flags);
    layering.settle_words();
    layering.compose(sources.site_url);
    layering.derive();
    layering.check();
    layering.finish()
}

impl Layering {
    fn take_defaults(&mut self) {
        for row in table::rows() {
            let (Some(place), Some(then)) = (row.place(self.version), row.then) else { continue };
            let Ok(value) = row.read(then) else { continue };
            let value = place.form.write(value);
            // A default never says that there is a protection which there is not.
            if !matches!(self.effect(place.section, place.key, &value), Effect::Refused { .. }) {
                self.lay_at(place.section, place.key, Origin::Default, value);
            }
        }
        self.lay_at("EmailSettings", "FeedbackName", Origin::Default, "Mattermost");
    }

    fn take_secrets(&mut self, secrets: &Secrets) {
        for (row, salt) in secrets.salts() {
            if let Some(place) = row.place(self.version) {
                self.lay_at(place.section, place.key, Origin::Secrets, salt.expose_secret());
            }
        }
    }

    fn take_file(&mut self, wanted: &Wanted) {
        let own = KEYS.iter().filter(|key| table::rows().all(|row| row.key != Some(key.name)));
        for key in own {
            if let Some(text) = wanted.in_file(key.name) {
                self.take_key(key, &Given { text: text.to_owned(), origin: wanted.origin(key.name) });
            }
        }
        for row in table::rows() {
            if let Some(text) = row.key.and_then(|key| wanted.in_file(key)) {
                let origin = row.key.map_or(Origin::Flag, |key| wanted.origin(key));
                self.take_row(row, &Given { text: text.to_owned(), origin });
            }
        }
        for (section, keys) in &wanted.mattermost {
            for (key, value) in keys {
                let origin = wanted.origin(&format!("mattermost.{section}.{key}"));
                self.take_json(section, key, value, &origin);
            }
        }
    }

    /// A value of the file: a key, or a table of keys.
    fn take_json(&mut self, section: &str, key: &str, value: &Value, origin: &Origin) {
        if let Value::Object(keys) = value
            && known::is_table(section, key)
        {
            for (below, value) in keys {
                self.take_json(section, &format!("{key}.{below}"), value, origin);
            }
            return;
        }
        let name = format!("mattermost.{section}.{key}");
        let Some(known) = self.known(section, key, &name, origin) else { return };
        match known.shape.problem(value) {
            Some(problem) => {
                self.findings
                    .push(Finding::new(origin.clone(), name, problem).allowed(known.shape.allowed()));
            }
            None => self.lay(known, origin.clone(), value.clone()),
        }
    }

    fn take_environment(&mut self, environment: Environment) {
        for (name, effective, what) in environment.said {
            let origin = Origin::variable(&name);
            self.notices.push(Notice { effective, ..Notice::about(origin, name, what) });
        }
        for (name, given) in environment.rows {
            if let Some(row) = table::find(name) {
                self.take_row(row, &given);
            }
        }
        for (name, given) in environment.server {
            if let Some(known) = known::by_variable(&name)
                && let Some(known) = self.known(known.section, known.key, &name, &given.origin)
            {
                self.take_text(known, &name, &given);
            }
        }
    }

    fn take_flags(&mut self, flags: &BTreeMap<String, String>) {
        for (name, text) in flags {
            let given = Given { text: text.clone(), origin: Origin::Flag };
            if let Some(row) =
                table::rows().find(|row| row.name.eq_ignore_ascii_case(name) || row.key == Some(name))
            {
                self.take_row(row, &given);
            } else if let Some(key) = keys::key(name) {
                self.take_key(key, &given);
            } else if let Some((section, key)) = name.split_once('.') {
                if let Some(known) = self.known(section, key, name, &Origin::Flag) {
                    self.take_text(known, name, &given);
                }
            } else {
                let near = nearest(name, table::rows().map(|row| row.name));
                self.findings.push(Finding::new(Origin::Flag, name, "is not a setting").nearest(near));
            }
        }
    }

    /// A key of Mainstay's own, which the server knows nothing of.
    fn take_key(&mut self, key: &'static Key, given: &Given) {
        match key.kind.read(&given.text) {
            Ok(value) => {
                let layer = Layer { origin: given.origin.clone(), value };
                self.keys.entry(key.name).or_default().insert(0, layer);
            }
            Err(problem) => {
                let finding =
                    Finding::new(given.origin.clone(), key.name, problem).allowed(key.kind.allowed());
                self.findings.push(finding.value(&given.text, false));
            }
        }
    }

    /// A text by a row's name.
    fn take_row(&mut self, row: &'static Row, given: &Given) {
        let name = match &given.origin {
            Origin::File { .. } => row.key.unwrap_or(row.name),
            // The variable of a docker link has another name than the row.
            Origin::Variable { name, .. } => name,
            _ => row.name,
        };
        let value = match row.read(&given.text) {
            Ok(value) => value,
            Err(problem) => {
                let finding = Finding::new(given.origin.clone(), name, problem).allowed(row.kind.allowed());
                self.findings.push(finding.value(&given.text, row.secret));
                return;
            }
        };
        let place = row.place(self.version);
        if let Some(change) = row.change.filter(|change| change.since <= self.version) {
            self.notices.push(Notice {
                origin: given.origin.clone(),
                name: name.to_owned(),
                since: Some(change.since),
                effective: place.is_some(),
                what: change.what.to_owned(),
                warning: false,
            });
        }
        match place {
            Some(place) => {
                self.lay_at(place.section, place.key, given.origin.clone(), place.form.write(value));
            }
            None if row.places.is_empty() => {
                self.inputs.insert(row.name, Layer { origin: given.origin.clone(), value });
            }
            None => {
                let first =
                    row.places.first().map(|place| place.span.since).filter(|since| self.version < *since);
                if let Some(first) = first {
                    self.notice(&given.origin, name, format!("the server has it from {first} on"));
                }
            }
        }
    }

    /// A text by the server's own name, read as the server reads it.
    fn take_text(&mut self, known: &'static KnownKey, name: &str, given: &Given) {
        match known.shape.read(&given.text) {
            Ok(value) => self.lay(known, given.origin.clone(), value),
            // The server ignores an empty value, and one that it cannot read: the second is reported.
            Err(_) if given.text.is_empty() => {}
            Err(problem) => {
                let finding =
                    Finding::new(given.origin.clone(), name, problem).allowed(known.shape.allowed());
                self.findings.push(finding.value(&given.text, known.secret));
            }
        }
    }

    /// The key, if this release has it; otherwise the reason is reported.
    fn known(&mut self, section: &str, key: &str, name: &str, origin: &Origin) -> Option<&'static KnownKey> {
        if let Some(known) = known::find(section, key, self.version) {
            return Some(known);
        }
        match known::absence(section, key, self.version) {
            Absence::Unknown(near) => {
                let problem = format!("is not a setting of server {}", self.version);
                self.findings.push(Finding::new(origin.clone(), name, problem).nearest(near));
            }
            Absence::NotYet(since) => self.notice(origin, name, format!("the server has it from {since} on")),
            Absence::Gone(since) => {
                let row = table::rows()
                    .find(|row| row.places.iter().any(|place| place.path() == format!("{section}.{key}")));
                let now =
                    row.and_then(|row| row.place(self.version)).map(|place| format!("use {}", place.path()));
                let what =
                    now.or_else(|| row.and_then(|row| row.change).map(|change| change.what.to_owned()));
                self.notices.push(Notice {
                    origin: origin.clone(),
                    name: name.to_owned(),
                    since: Some(since),
                    effective: false,
                    what: what.unwrap_or_else(|| "the server no longer has it; remove it".to_owned()),
                    warning: false,
                });
            }
        }
        None
    }

    fn finish(mut self) -> Result<Resolved, Findings> {
        if !self.findings.is_empty() {
            self.findings.sort_by_key(|finding| {
                (finding.policy, finding.origin.rank(), line(&finding.origin), finding.name.clone())
            });
            self.findings.dedup();
            return Err(Findings(self.findings));
        }
        self.notices.sort_by_key(|notice| (notice.origin.rank(), line(&notice.origin), notice.name.clone()));
        Ok(Resolved {
            server: self.server,
            settings: self.settings,
            inputs: self.inputs,
            keys: self.keys,
            notices: self.notices,
        })
    }
}

fn line(origin: &Origin) -> usize {
    match origin {
        Origin::File { line, .. } => *line,
        _ => 0,
    }
}
