//! Who decides each key of config.json, and what the file becomes.
//!
//! Three parties write there: whoever declares a setting (the layers of [`Resolved`]), Mainstay itself, and the System Console.
//! [`reconcile`] is the only function that decides between them. For each key:
//!
//! - What is declared is written. What it replaced is remembered.
//! - What is no longer declared goes back to the remembered value, or to the release's default where there was none.
//! - Unless the System Console changed it since: then the file no longer holds what Mainstay wrote, and the Console's value stays.
//! - Everything else stays as it is.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use version::Series;

use crate::capability::{self, Effect};
use crate::config::{get, leaves, remove, set, shown};
use crate::declared::Declared;
use crate::known::{self, Absence};
use crate::memory::{Memory, Remembered};
use crate::origin::Origin;
use crate::resolved::Resolved;
use crate::secrets::SALTS;
use crate::server::Server;
use crate::table;

/// What there is before a config.json is written.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    /// The deployment's own config.json; `None` = there is none yet.
    pub config: Option<&'a Value>,
    /// The config.json that the release ships: the release's defaults. An empty one would give a new server the defaults of an
    /// updated one, which differ (server source v11.6, config/store).
    pub shipped: &'a Value,
    /// What Mainstay declared last; `None` = it has never remembered anything here.
    pub memory: Option<&'a Memory>,
}

/// What happens to a key that is no longer declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undeclared {
    /// It goes back to what it was before.
    GoesBack,
    /// It stays until an operation that knows everything that is declared decides about it.
    Stays,
}

/// Who decides a key of config.json.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "owner")]
pub enum Owner {
    /// Whoever declares it.
    Declared {
        /// Where.
        by: Origin,
    },
    /// Mainstay: it follows from how a deployment works.
    Mainstay,
    /// The System Console.
    Console,
    /// The System Console, which changed it after Mainstay had declared it.
    ConsoleSince,
    /// Nobody: the release's default holds.
    Release,
    /// Nobody: docker-mattermost's default holds.
    DockerMattermost,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Declared { by: by @ Origin::Derived { .. } } => return by.fmt(f),
            Self::Declared { by: Origin::Composed { from } } => {
                return write!(f, "declared by {}", from.join(", "));
            }
            Self::Declared { by } => return write!(f, "declared by {by}"),
            Self::Mainstay => "Mainstay itself",
            Self::Console => "System Console",
            Self::ConsoleSince => "System Console, which changed it since it was declared",
            Self::Release => "release's default",
            Self::DockerMattermost => "docker-mattermost's default",
        })
    }
}

/// Why a key of config.json changes, or why one that is no longer declared does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is declared.
    Declared,
    /// It is declared, and the System Console changed it.
    ChangedInConsole,
    /// It is no longer declared and goes back.
    NoLongerDeclared,
    /// It is no longer declared, and the System Console changed it since: it stays.
    KeptFromConsole,
    /// The release has no such key.
    NotInRelease,
    /// The release has it under another name.
    Renamed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Declared => "it is declared",
            Self::ChangedInConsole => "it is declared, and the System Console changed it",
            Self::NoLongerDeclared => "it is no longer declared",
            Self::KeptFromConsole => "it is no longer declared, and the System Console changed it since",
            Self::NotInRelease => "the release has no such setting",
            Self::Renamed => "the release has it under this name",
        })
    }
}

/// A key that an `up` changes, or that stays although it is no longer declared.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Drift {
    /// `Section.Key`.
    pub path: String,
    /// Who decides it from then on.
    #[serde(flatten)]
    pub owner: Owner,
    /// Why.
    pub reason: Reason,
    /// What the file on disk says, as a message may show it; `None` = nothing.
    pub on_disk: Option<String>,
    /// What `up` makes it say.
    pub rendered: Option<String>,
    /// What stops working when a secret changes.
    pub breaks: Option<&'static str>,
}

impl Drift {
    /// Who decides the key, and why it changes, where that says more.
    pub fn because(&self) -> String {
        match (&self.owner, self.reason) {
            (Owner::Declared { .. } | Owner::Mainstay, Reason::Declared) => self.owner.to_string(),
            (Owner::Declared { .. } | Owner::Mainstay, Reason::ChangedInConsole) => {
                format!("{}; the System Console changed it", self.owner)
            }
            (owner, reason) => format!("{owner}; {reason}"),
        }
    }

    /// Whether the file changes.
    pub fn changes(&self) -> bool {
        self.reason != Reason::KeptFromConsole
    }
}

/// What [`reconcile`] comes to. Without `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Reconciled {
    /// The config.json to write.
    pub config: Value,
    /// What to remember.
    pub memory: Memory,
    /// The deployment's config.json as it was.
    present: Option<Value>,
    /// What holds where nobody says anything.
    defaults: Unset,
    /// By lower-case path: who decides a key, where that is neither the System Console nor a default.
    owners: BTreeMap<String, Owner>,
    /// By lower-case path.
    reasons: BTreeMap<String, Reason>,
    version: Series,
}

/// A key as it is now and as it will be. Without `Debug`: it may be a secret.
#[derive(Clone, PartialEq)]
pub struct State {
    /// Who decides it after the next `up`.
    pub owner: Owner,
    /// Its value in the deployment's config.json, or its default where the file does not have it; `None` = there is no file, or the
    /// default is not known.
    pub now: Option<Value>,
    /// Its value after the next `up`.
    pub next: Option<Value>,
}

/// What the deployment's config.json becomes, and what Mainstay remembers of it. Pure: the same input gives the same output, and
/// its output gives itself.
///
/// `own` are the values that Mainstay itself decides; they outrank everything. Keys that a later release renamed are carried over,
/// and keys that this release has no more are left out, as the server itself would do with a less certain outcome (some of them
/// keep 12.0 from starting).
pub fn reconcile(
    resolved: &Resolved,
    own: &[Declared],
    present: Present<'_>,
    undeclared: Undeclared,
) -> Reconciled {
    let version = resolved.version();
    let defaults = Unset::new(resolved, present.shipped);
    let mut config = match present.config {
        Some(config) => Value::Object(config.as_object().cloned().unwrap_or_default()),
        None => defaults.new_config(),
    };
    // A new config.json has nothing to do with what was remembered of another one.
    let remembers = present.config.is_some() && present.memory.is_some();
    let mut before = present.memory.filter(|_| remembers).cloned().unwrap_or_default();
    let mut reasons = carry_over(&mut config, &mut before, version);
    reasons.extend(strip(&mut config, &mut before, version));

    let mut owners = BTreeMap::new();
    let mut now: BTreeMap<String, Declared> = BTreeMap::new();
    for (declared, origin) in resolved.declared() {
        owners.insert(path(&declared), Owner::Declared { by: origin });
        now.insert(path(&declared), declared);
    }
    for declared in own {
        owners.insert(path(declared), Owner::Mainstay);
        now.insert(path(declared), declared.clone());
    }

    let mut memory = Memory::default();
    for (section, key, remembered) in before.entries() {
        let at = format!("{section}.{key}").to_lowercase();
        if now.contains_key(&at) {
            continue;
        }
        // Under another name of an older release it is still declared.
        if undeclared == Undeclared::Stays || other_names(section, key).any(|name| now.contains_key(&name)) {
            memory.insert(section, key, remembered.clone());
        } else if get(&config, section, key) == Some(&remembered.declared) {
            match remembered.before.as_ref().or_else(|| defaults.of_new_config(section, key)) {
                Some(value) => set(&mut config, section, key, value.clone()),
                None => remove(&mut config, section, key),
            }
            reasons.insert(at, Reason::NoLongerDeclared);
        } else {
            owners.insert(at.clone(), Owner::ConsoleSince);
            reasons.insert(at, Reason::KeptFromConsole);
        }
    }
    for (at, declared) in now {
        let Declared { section, key, value } = declared;
        let there = get(&config, &section, &key).cloned();
        let remembered = before.get(&section, &key);
        let replaced = match remembered {
            Some(remembered) if there.as_ref() == Some(&remembered.declared) => remembered.before.clone(),
            // An earlier Mainstay, which remembered nothing, has most likely written it.
            None if !remembers && present.config.is_some() && there.as_ref() == Some(&value) => None,
            _ => there.clone(),
        };
        if there.as_ref() != Some(&value) {
            let changed = remembered.is_some_and(|remembered| there.as_ref() != Some(&remembered.declared));
            reasons.insert(at, if changed { Reason::ChangedInConsole } else { Reason::Declared });
        }
        set(&mut config, &section, &key, value.clone());
        memory.insert(&section, &key, Remembered { declared: value, before: replaced });
    }
    Reconciled { config, memory, present: present.config.cloned(), defaults, owners, reasons, version }
}

/// The other places, in lower case, that some release gives the setting at this one.
fn other_names(section: &str, key: &str) -> impl Iterator<Item = String> {
    let at = format!("{section}.{key}").to_lowercase();
    let row = table::rows().find(|row| row.places.iter().any(|place| place.path().to_lowercase() == at));
    let places = row.map_or(&[][..], |row| row.places).iter();
    places.map(|place| place.path().to_lowercase()).filter(move |other| *other != at)
}

/// The config.json of a new deployment, without what Mainstay itself decides.
pub fn render(resolved: &Resolved, shipped: &Value) -> Value {
    let present = Present { config: None, shipped, memory: None };
    reconcile(resolved, &[], present, Undeclared::GoesBack).config
}

fn path(declared: &Declared) -> String {
    format!("{}.{}", declared.section, declared.key).to_lowercase()
}

impl Reconciled {
    /// Whether config.json changes. A new one does.
    pub fn changes_config(&self) -> bool {
        self.present.as_ref() != Some(&self.config)
    }

    /// A key, which the release must know.
    pub fn state(&self, section: &str, key: &str) -> State {
        let effective = |config: &Value| {
            get(config, section, key).cloned().or_else(|| self.defaults.of(section, key, self.version))
        };
        State {
            owner: self.owner(section, key),
            now: self.present.as_ref().and_then(effective),
            next: effective(&self.config),
        }
    }

    /// What holds of a key where nobody says anything.
    pub(crate) fn default(&self, section: &str, key: &str) -> Option<Value> {
        self.defaults.of(section, key, self.version)
    }

    /// The values in the config.json to write that the server must not be started with: each key, what would happen, and what to do.
    pub fn refused(&self, server: Server) -> Vec<(String, String, String)> {
        let refused = leaves(&self.config).into_iter().filter_map(|(path, value)| {
            let (section, key) = path.split_once('.')?;
            // An early Mainstay wrote docker-mattermost's defaults for every server.
            let row =
                table::rows().find(|row| row.place(server.version).is_some_and(|place| place.path() == path));
            let is_default =
                row.is_some_and(|row| row.then.and_then(|then| row.read(then).ok()).as_ref() == Some(&value));
            match capability::effect(server, section, key, &value) {
                Effect::Refused { .. } if is_default => None,
                Effect::Refused { why, instead } => {
                    Some((format!("`{path}` is {}", shown(section, key, &value)), why, instead))
                }
                _ => None,
            }
        });
        refused.collect()
    }

    /// Who decides a key from the next `up` on.
    pub fn owner(&self, section: &str, key: &str) -> Owner {
        if let Some(owner) = self.owners.get(&format!("{section}.{key}").to_lowercase()) {
            return owner.clone();
        }
        let Some(value) = get(&self.config, section, key) else { return Owner::Release };
        match self.defaults.docker.get(&(section.to_lowercase(), key.to_lowercase())) {
            Some(default) if default == value => Owner::DockerMattermost,
            Some(_) => Owner::Console,
            None if self.defaults.of(section, key, self.version).as_ref() == Some(value) => Owner::Release,
            None => Owner::Console,
        }
    }

    /// Every key that changes, and every key that is no longer declared and stays.
    pub fn drift(&self) -> Vec<Drift> {
        let old = self.present.as_ref().map(leaves).unwrap_or_default();
        let new = leaves(&self.config);
        let mut paths: BTreeMap<String, &str> = BTreeMap::new();
        for (path, _) in old.iter().chain(&new) {
            paths.entry(path.to_lowercase()).or_insert(path);
        }
        let drift = paths.into_iter().filter_map(|(at, path)| {
            let (section, key) = path.split_once('.')?;
            let (before, after) = (
                self.present.as_ref().and_then(|config| get(config, section, key)),
                get(&self.config, section, key),
            );
            let reason = self.reasons.get(&at).copied();
            if before == after && reason != Some(Reason::KeptFromConsole) {
                return None;
            }
            let text = |value: &Value| shown(section, key, value);
            let was_there = before.is_some_and(|value| value.as_str().is_none_or(|text| !text.is_empty()));
            Some(Drift {
                path: path.to_owned(),
                owner: self.owner(section, key),
                reason: reason.unwrap_or(Reason::Declared),
                on_disk: before.map(text),
                rendered: after.map(text),
                breaks: broken_by(section, key).filter(|_| was_there && before != after),
            })
        });
        drift.collect()
    }
}

/// What stops working when that key changes.
fn broken_by(section: &str, key: &str) -> Option<&'static str> {
    let is_its_place = |row: &'static crate::row::Row| {
        let same = |place: &crate::row::Place| {
            place.section.eq_ignore_ascii_case(section) && place.key.eq_ignore_ascii_case(key)
        };
        row.places.iter().any(same)
    };
    SALTS.iter().find(|salt| table::find(salt.row).is_some_and(is_its_place)).map(|salt| salt.breaks)
}

/// What holds where nobody says anything. Without `Debug`: it may hold secrets.
#[derive(Clone)]
struct Unset {
    /// The config.json that the release ships.
    shipped: Value,
    /// docker-mattermost's, in a container that takes over from one of it; by lower-case section and key.
    docker: BTreeMap<(String, String), Value>,
    /// The same under the names of config.json.
    docker_declared: Vec<Declared>,
}

impl Unset {
    fn new(resolved: &Resolved, shipped: &Value) -> Self {
        let docker_declared: Vec<Declared> = resolved.defaults().collect();
        let docker = docker_declared.iter().map(|declared| {
            ((declared.section.to_lowercase(), declared.key.to_lowercase()), declared.value.clone())
        });
        Self { shipped: shipped.clone(), docker: docker.collect(), docker_declared }
    }

    /// The config.json of a new deployment.
    fn new_config(&self) -> Value {
        let mut config = Value::Object(self.shipped.as_object().cloned().unwrap_or_else(Map::new));
        for Declared { section, key, value } in &self.docker_declared {
            set(&mut config, section, key, value.clone());
        }
        config
    }

    /// What a new config.json says of a key.
    fn of_new_config(&self, section: &str, key: &str) -> Option<&Value> {
        let docker = self.docker.get(&(section.to_lowercase(), key.to_lowercase()));
        docker.or_else(|| get(&self.shipped, section, key))
    }

    /// The default of a key: a new config.json's, otherwise the server's own where that is a constant.
    fn of(&self, section: &str, key: &str, version: Series) -> Option<Value> {
        self.of_new_config(section, key).cloned().or_else(|| known::default(section, key, version))
    }
}

/// Where a release keeps a setting under another name, its old value goes there, unless a new one is there already. What is
/// remembered of it goes along. Returns the new names.
fn carry_over(config: &mut Value, memory: &mut Memory, version: Series) -> BTreeMap<String, Reason> {
    let mut renamed = BTreeMap::new();
    for row in table::rows() {
        let Some(place) = row.place(version) else { continue };
        if get(config, place.section, place.key).is_some() {
            continue;
        }
        let old = row.places.iter().filter(|old| !old.key.eq_ignore_ascii_case(place.key));
        let found = old.filter_map(|old| Some((old, get(config, old.section, old.key)?.clone()))).next();
        let Some((old, value)) = found else { continue };
        set(config, place.section, place.key, place.form.write(value));
        renamed.insert(place.path().to_lowercase(), Reason::Renamed);
        if let Some(Remembered { declared, before }) = memory.get(old.section, old.key).cloned() {
            let write = |value| place.form.write(value);
            let carried = Remembered { declared: write(declared), before: before.map(write) };
            memory.insert(place.section, place.key, carried);
        }
    }
    renamed
}

/// Takes out every key that this release has no more. Returns them.
fn strip(config: &mut Value, memory: &mut Memory, version: Series) -> BTreeMap<String, Reason> {
    let mut removed = BTreeMap::new();
    for (path, _) in leaves(config) {
        let Some((section, key)) = path.split_once('.') else { continue };
        if is_gone(section, key, version) {
            remove(config, section, key);
            removed.insert(path.to_lowercase(), Reason::NotInRelease);
        }
    }
    let gone = |(section, key, _): &(&str, &str, &Remembered)| is_gone(section, key, version);
    let gone: Vec<_> = memory.entries().filter(gone).map(|(s, k, _)| (s.to_owned(), k.to_owned())).collect();
    for (section, key) in gone {
        memory.forget(&section, &key);
    }
    removed
}

fn is_gone(section: &str, key: &str, version: Series) -> bool {
    known::find(section, key, version).is_none()
        && matches!(known::absence(section, key, version), Absence::Gone(_))
}
