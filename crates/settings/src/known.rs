//! Every key of the server's config.json, release by release, from `data/known_keys.tsv`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;
use version::{Series, Span};

use crate::kind::{a_kind, boolean};
use crate::nearest;

/// One key of config.json.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownKey {
    /// The section.
    pub section: &'static str,
    /// The key in it; dots separate the tables below.
    pub key: &'static str,
    /// What its value is.
    pub shape: Shape,
    /// The releases that have it.
    pub span: Span,
    /// Whether no message may show its value.
    pub secret: bool,
    /// Its default in the newest release that has it, as JSON; empty where that is no constant.
    pub default: &'static str,
}

/// What a key's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// true or false
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A list of texts.
    List,
    /// A table or list of any depth.
    Json,
}

const DATA: &str = include_str!("../data/known_keys.tsv");
const OLDER: &str = include_str!("../data/older_defaults.tsv");

/// By lower-case `section.key`: the server matches keys without case, and some changed their case between releases.
static KEYS: LazyLock<BTreeMap<String, Vec<KnownKey>>> = LazyLock::new(|| {
    let mut keys: BTreeMap<String, Vec<KnownKey>> = BTreeMap::new();
    for key in DATA.lines().filter_map(line) {
        keys.entry(key.path().to_lowercase()).or_default().push(key);
    }
    keys
});

/// By the variable that overrides it.
static VARIABLES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    KEYS.iter()
        .map(|(path, keys)| (crate::row::server_variable(keys[0].section, keys[0].key), path.clone()))
        .collect()
});

/// A default that releases of a span had, as JSON; `-` where it is not known.
struct OlderDefault {
    span: Span,
    default: &'static str,
}

/// By lower-case `section.key`: the defaults that differ from the newest release's.
static OLDER_DEFAULTS: LazyLock<BTreeMap<String, Vec<OlderDefault>>> = LazyLock::new(|| {
    let mut defaults: BTreeMap<String, Vec<OlderDefault>> = BTreeMap::new();
    for line in OLDER.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&'static str> = line.split('\t').collect();
        if let [section, key, since, until, default] = columns[..]
            && let (Ok(since), Ok(until)) = (since.parse(), until.parse())
        {
            let older = OlderDefault { span: Span { since, until: Some(until) }, default };
            defaults.entry(format!("{section}.{key}").to_lowercase()).or_default().push(older);
        }
    }
    defaults
});

fn line(line: &'static str) -> Option<KnownKey> {
    let mut columns = line.split('\t');
    let mut next = || columns.next();
    let (section, key) = (next()?, next()?);
    let shape = match next()? {
        "bool" => Shape::Bool,
        "int" => Shape::Int,
        "number" => Shape::Number,
        "text" => Shape::Text,
        "list" => Shape::List,
        "json" => Shape::Json,
        _ => return None,
    };
    let since = next()?.parse().ok()?;
    let until = match next()? {
        "-" => None,
        version => Some(version.parse().ok()?),
    };
    let secret = next()? == "secret";
    let default = next().filter(|default| *default != "-").unwrap_or_default();
    Some(KnownKey { section, key, shape, span: Span { since, until }, secret, default })
}

impl KnownKey {
    /// `Section.Key`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }
}

impl Shape {
    /// What is allowed, for a message.
    pub fn allowed(self) -> &'static str {
        match self {
            Self::Bool => "allowed: true or false",
            Self::Int => "allowed: a whole number",
            Self::Number => "allowed: a number",
            Self::Text => "allowed: a text in quotes",
            Self::List => "allowed: a list of texts",
            Self::Json => "allowed: a table or a list",
        }
    }

    /// What is wrong with `value`, if anything; the value itself is not repeated.
    pub fn problem(self, value: &Value) -> Option<String> {
        let fits = match self {
            Self::Bool => value.is_boolean(),
            Self::Int => value.is_i64(),
            Self::Number => value.is_number(),
            Self::Text => value.is_string(),
            Self::List => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
            Self::Json => value.is_object() || value.is_array(),
        };
        (!fits).then(|| format!("is {}", a_kind(value)))
    }

    /// Reads a variable's text as the server does (server source, config/environment.go).
    ///
    /// # Errors
    /// What is wrong with it; the text itself is not repeated.
    pub fn read(self, text: &str) -> Result<Value, &'static str> {
        match self {
            Self::Bool => boolean(text).map(Value::from).ok_or("is neither true nor false"),
            Self::Int => text.parse::<i64>().map(Value::from).map_err(|_| "is not a whole number"),
            Self::Number => {
                let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
                number.map(Value::Number).ok_or("is not a number")
            }
            Self::Text => Ok(text.into()),
            Self::List => Ok(text.split_whitespace().map(Value::from).collect()),
            Self::Json => match serde_json::from_str(text) {
                Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
                _ => Err("is not a JSON table or list"),
            },
        }
    }
}

/// All releases' rows of a key, oldest first; empty = no release ever had it.
fn all(path: &str) -> &'static [KnownKey] {
    KEYS.get(&path.to_lowercase()).map_or(&[], Vec::as_slice)
}

/// The key, if that release has it. Letters match without case.
pub fn find(section: &str, key: &str, version: Series) -> Option<&'static KnownKey> {
    all(&format!("{section}.{key}")).iter().find(|known| known.span.holds(version))
}

/// The default of a key in that release, where that is a constant and known.
pub(crate) fn default(section: &str, key: &str, version: Series) -> Option<Value> {
    let known = find(section, key, version)?;
    let older = OLDER_DEFAULTS.get(&known.path().to_lowercase()).into_iter().flatten();
    let older = older.into_iter().find(|older| older.span.holds(version));
    serde_json::from_str(older.map_or(known.default, |older| older.default)).ok()
}

/// Whether a release of any time keeps the value of that key secret.
pub(crate) fn is_secret(section: &str, key: &str) -> bool {
    all(&format!("{section}.{key}")).iter().any(|known| known.secret)
}

/// The key that an `MM_` variable overrides, in any release; the newest row of it.
pub(crate) fn by_variable(variable: &str) -> Option<&'static KnownKey> {
    VARIABLES.get(variable).and_then(|path| all(path).last())
}

/// The `MM_` variable that was most likely meant. What every name begins with makes none near.
pub(crate) fn nearest_variable(variable: &str) -> Option<&'static str> {
    let rest = |name: &'static str| name.get(3..).unwrap_or_default();
    let near = nearest(variable.get(3..).unwrap_or_default(), VARIABLES.keys().map(|name| rest(name)))?;
    VARIABLES.keys().map(String::as_str).find(|name| rest(name) == near)
}

/// Whether an `MM_` variable, without that prefix, names a section that some release has.
pub(crate) fn is_in_a_section(rest: &str) -> bool {
    KEYS.values().flatten().any(|key| {
        let section = key.section.to_uppercase();
        rest.strip_prefix(&section).is_some_and(|key| key.starts_with('_'))
    })
}

/// Every key of that release, in the file's order.
pub fn of(version: Series) -> impl Iterator<Item = &'static KnownKey> {
    KEYS.values().flatten().filter(move |key| key.span.holds(version))
}

/// Whether `section.key` is a table above known keys.
pub(crate) fn is_table(section: &str, key: &str) -> bool {
    let above = format!("{section}.{key}.").to_lowercase();
    KEYS.range(above.clone()..).next().is_some_and(|(path, _)| path.starts_with(&above))
}

/// Why that release has no such key: when it went or comes, or which name is near.
pub(crate) enum Absence {
    /// Gone since that release.
    Gone(Series),
    /// Not before that release.
    NotYet(Series),
    /// No release has it; the nearest right name, if one is near.
    Unknown(Option<String>),
}

/// Why that release does not have the key.
pub(crate) fn absence(section: &str, key: &str, version: Series) -> Absence {
    match all(&format!("{section}.{key}")) {
        [] => Absence::Unknown(nearest_name(section, key, version)),
        [first, ..] if version < first.span.since => Absence::NotYet(first.span.since),
        [.., last] => last.span.until.map_or(Absence::NotYet(last.span.since), Absence::Gone),
    }
}

fn nearest_name(section: &str, key: &str, version: Series) -> Option<String> {
    let sections: BTreeSet<_> = of(version).map(|key| key.section).collect();
    let right = sections.iter().find(|known| known.eq_ignore_ascii_case(section)).copied();
    let section = right.or_else(|| nearest(section, sections.iter().copied()))?;
    let keys = of(version).filter(|known| known.section == section).map(|known| known.key);
    match nearest(key, keys) {
        Some(key) => Some(format!("{section}.{key}")),
        // The section exists: the key may belong to another one.
        None => of(version).find(|known| known.key.eq_ignore_ascii_case(key)).map(KnownKey::path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V5_37: Series = Series::new(5, 37);
    const V11_7: Series = Series::new(11, 7);

    #[test]
    fn every_line_of_the_data_is_a_key() {
        let lines = DATA.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
        assert_eq!(KEYS.values().flatten().count(), lines);
        assert_eq!(VARIABLES.len(), KEYS.len());
        assert!(lines > 800);
    }

    #[test]
    fn defaults_are_json_of_their_key() {
        for key in KEYS.values().flatten().filter(|key| !key.default.is_empty()) {
            let value = serde_json::from_str(key.default).expect("a default is JSON");
            assert_eq!(key.shape.problem(&value), None, "{}", key.path());
        }
    }

    #[test]
    fn a_default_is_that_of_the_version() {
        let lines = OLDER.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(OLDER_DEFAULTS.values().flatten().count(), lines);
        for (path, older) in &*OLDER_DEFAULTS {
            for OlderDefault { span, default } in older.iter().filter(|older| older.default != "-") {
                let known = all(path).iter().find(|known| known.span.holds(span.since)).expect("a known key");
                let value = serde_json::from_str(default).expect("a default is JSON");
                assert_eq!(known.shape.problem(&value), None, "{path}");
                assert_ne!(known.default, *default, "{path}: it differs from no other");
            }
        }
        let of = |section, key, version| default(section, key, version);
        let length = |version| of("PasswordSettings", "MinimumLength", version);
        assert_eq!(length(V5_37), Some(10.into()));
        assert_eq!(length(V11_7), Some(8.into()));
        assert_eq!(length(Series::new(9, 11)), None, "no release in between was read");
        assert_eq!(of("sqlsettings", "maxopenconns", Series::new(10, 11)), Some(300.into()));
        assert_eq!(of("ServiceSettings", "EnableGifPicker", Series::new(5, 16)), Some(false.into()));
        assert_eq!(of("ServiceSettings", "EnableGifPicker", V5_37), Some(true.into()));
    }

    #[test]
    fn a_key_is_found_in_the_releases_that_have_it() {
        assert!(find("ServiceSettings", "SessionLengthWebInHours", V5_37).is_none());
        assert!(find("servicesettings", "sessionlengthwebinhours", V11_7).is_some());
        assert!(
            matches!(absence("BleveSettings", "IndexDir", V11_7), Absence::Gone(since) if since == Series::new(11, 0))
        );
        assert!(matches!(absence("CacheSettings", "CacheType", V5_37), Absence::NotYet(_)));
    }

    #[test]
    fn the_nearest_name_may_be_of_another_section() {
        let near = |section, key| nearest_name(section, key, V11_7);
        assert_eq!(near("TeamSetting", "SiteNam").as_deref(), Some("TeamSettings.SiteName"));
        assert_eq!(
            near("ServiceSettings", "MaxUsersPerTeam").as_deref(),
            Some("TeamSettings.MaxUsersPerTeam")
        );
        assert_eq!(near("Quux", "Quux"), None);
    }
}
