//! `mainstay.toml`: parsed, written new, and changed in place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::finding::{Finding, Findings, line_at};
use crate::format;
use crate::keys::{self, KEYS, Key};
use crate::kind::Kind;
use crate::known;
use crate::nearest;
use crate::origin::Origin;
use crate::schedule::{self, ScheduledOperation};
use crate::toml_error::unreadable;
use crate::toml_value::{a_kind, json};

/// What `mainstay.toml` says, and what the command line says instead. A key that neither has stays absent.
#[derive(Clone, Default)]
pub struct Wanted {
    /// The keys of the file.
    values: BTreeMap<&'static str, String>,
    /// The keys of the command line.
    flags: BTreeMap<&'static str, String>,
    /// `[mattermost.SECTION]` tables: section, then key, then value.
    pub mattermost: BTreeMap<String, BTreeMap<String, Value>>,
    /// `[schedule]`: what begins by itself.
    pub schedule: Vec<ScheduledOperation>,
    /// Where it was read, and the line of every name.
    file: PathBuf,
    lines: BTreeMap<String, usize>,
}

/// Equal if they say the same, no matter where.
impl PartialEq for Wanted {
    fn eq(&self, other: &Self) -> bool {
        KEYS.iter().all(|key| self.get(key.name) == other.get(key.name))
            && self.mattermost == other.mattermost
            && self.schedule == other.schedule
    }
}

/// The values of `[mattermost]` may be secrets: their names alone are shown.
impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.mattermost.iter().map(|(section, keys)| (section, keys.keys().collect::<Vec<_>>()));
        f.debug_struct("Wanted")
            .field("values", &self.values)
            .field("flags", &self.flags)
            .field("mattermost", &names.collect::<BTreeMap<_, _>>())
            .finish()
    }
}

impl Wanted {
    /// Where the file says `name`, which is a key, or `mattermost.SECTION.KEY`.
    pub fn origin(&self, name: &str) -> Origin {
        let line = self.lines.get(name).copied().unwrap_or(1);
        Origin::File { path: self.file.clone(), line }
    }

    /// The value of the key `name`: the command line's, otherwise the file's.
    ///
    /// # Panics
    /// In debug builds, when there is no such row: a mistake of ours.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.flags.get(name).map(String::as_str).or_else(|| self.in_file(name))
    }

    /// The value of the key `name` in the file.
    pub(crate) fn in_file(&self, name: &str) -> Option<&str> {
        debug_assert!(keys::key(name).is_some(), "no row named {name}");
        self.values.get(name).map(String::as_str)
    }

    /// The keys of `[mattermost]` whose values are secret, as `SECTION.KEY`.
    pub fn secrets(&self) -> Vec<String> {
        let filled = |value: &Value| value.as_str().is_none_or(|text| !text.is_empty());
        let mut secrets = Vec::new();
        for (section, keys) in &self.mattermost {
            let secret = keys.iter().filter(|(key, value)| known::is_secret(section, key) && filled(value));
            secrets.extend(secret.map(|(key, _)| format!("{section}.{key}")));
        }
        secrets
    }

    /// What the command line says, as [`crate::Sources`] wants it.
    pub fn flags(&self) -> BTreeMap<String, String> {
        self.flags.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    /// The same with `name` given on the command line as `value`, which must suit the row.
    ///
    /// # Errors
    /// What is wrong with the value, and what is allowed.
    pub fn with(mut self, name: &str, value: &str) -> Result<Self, String> {
        let (name, value) = read(name, value)?;
        self.flags.insert(name, value);
        Ok(self)
    }

    /// The same as if the file had `value` for `name`.
    ///
    /// # Errors
    /// As [`Wanted::with`].
    pub fn with_in_file(mut self, name: &str, value: &str) -> Result<Self, String> {
        let (name, value) = read(name, value)?;
        self.values.insert(name, value);
        Ok(self)
    }
}

/// The key's own name and the value in its usual form.
fn read(name: &str, value: &str) -> Result<(&'static str, String), String> {
    let Some(key) = keys::key(name) else { return Err(format!("`{name}` is not a key of mainstay.toml")) };
    let read = key.kind.read(value);
    let read = read.map_err(|problem| format!("`{name}` {problem}; {}", key.kind.allowed()))?;
    Ok((key.name, text_in_file(&read, value)))
}

/// A value of a key as the file is remembered to say it: every spelling of a switch is `true` or `false`.
fn text_in_file(read: &Value, said: &str) -> String {
    match read {
        Value::Bool(_) | Value::Number(_) => read.to_string(),
        read => read.as_str().unwrap_or(said).to_owned(),
    }
}

/// The same as TOML has it.
fn in_toml(key: &str, value: &str) -> toml_edit::Value {
    let is_switch = keys::key(key).is_some_and(|key| key.kind == Kind::Bool);
    let is_number = keys::key(key).is_some_and(|key| matches!(key.kind, Kind::Int(..)));
    match (value.parse::<bool>(), value.parse::<i64>()) {
        (Ok(on), _) if is_switch => on.into(),
        (_, Ok(number)) if is_number => number.into(),
        _ => value.into(),
    }
}

/// Reads the text of a `mainstay.toml`. `file` is named in the findings.
///
/// # Errors
/// All findings: unknown keys (with the nearest right one), wrong types, values out of range, duplicates.
pub fn parse(file: &Path, text: &str) -> Result<Wanted, Findings> {
    let table = DeTable::parse(text).map_err(|error| unreadable(file, text, &error))?;
    let mut wanted = Wanted { file: file.to_owned(), ..Wanted::default() };
    let mut findings = Vec::new();
    for (name, value) in table.get_ref() {
        let line = line_at(text, name.span().start);
        let mut found = |key: &str, problem: String, allowed: String| {
            findings.push(Finding::in_file(file, line, key, problem).allowed(allowed));
        };
        let name = name.get_ref().as_ref();
        wanted.lines.insert(name.to_owned(), line);
        if name == format::KEY {
            if let Err((problem, allowed)) = format::check(value.get_ref()) {
                found(name, problem, allowed);
            }
        } else if name == "mattermost" {
            match sections(value.get_ref(), text, &mut wanted.lines) {
                Ok(sections) => wanted.mattermost = sections,
                Err(mistakes) => findings.extend(mistakes.into_iter().map(|(line, key, problem)| {
                    Finding::in_file(file, line, key, problem)
                        .allowed("allowed: [mattermost.SECTION] with KEY = value")
                })),
            }
        } else if name == "schedule" {
            match schedule::read(value.get_ref(), line, text, &mut wanted.lines) {
                Ok(entries) => wanted.schedule = entries,
                Err(mistakes) => {
                    findings.extend(mistakes.into_iter().map(|(line, key, problem, allowed)| {
                        Finding::in_file(file, line, key, problem).allowed(allowed)
                    }));
                }
            }
        } else if keys::tables().any(|table| table == name) {
            match own_table(name, value.get_ref(), text, &mut wanted.lines) {
                Ok(values) => wanted.values.extend(values),
                Err(mistakes) => {
                    findings.extend(mistakes.into_iter().map(|(line, key, problem, allowed)| {
                        Finding::in_file(file, line, key, problem).allowed(allowed)
                    }));
                }
            }
        } else if let Some(key) = keys::key(name).filter(|key| !key.name.contains('.')) {
            match text_of(key, value.get_ref()) {
                Ok(value) => {
                    wanted.values.insert(key.name, value);
                }
                Err(problem) => found(name, problem, key.kind.allowed()),
            }
        } else {
            let at_the_top = KEYS.iter().map(|key| key.name).filter(|name| !name.contains('.'));
            let names: Vec<&str> =
                at_the_top.chain(keys::tables()).chain(["mattermost", "schedule"]).collect();
            let allowed = match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys: {}", names.join(", ")),
            };
            found(name, "is not a key of mainstay.toml".to_owned(), allowed);
        }
    }
    findings.sort_by_key(|finding| match finding.origin {
        Origin::File { line, .. } => line,
        _ => 0,
    });
    if findings.is_empty() { Ok(wanted) } else { Err(Findings(findings)) }
}

/// The keys of a table of Mainstay's own.
fn own_table(
    table: &str,
    value: &DeValue<'_>,
    text: &str,
    lines: &mut BTreeMap<String, usize>,
) -> Result<Vec<(&'static str, String)>, Vec<schedule::Mistake>> {
    let (mut values, mut mistakes) = (Vec::new(), Vec::new());
    let DeValue::Table(keys) = value else {
        let line = lines.get(table).copied().unwrap_or(1);
        let allowed = format!("allowed: [{table}] with KEY = \"VALUE\"");
        return Err(vec![(line, table.to_owned(), format!("is {}, not a table", a_kind(value)), allowed)]);
    };
    for (name, value) in keys {
        let line = line_at(text, name.span().start);
        let full = format!("{table}.{}", name.get_ref());
        lines.insert(full.clone(), line);
        match keys::key(&full) {
            Some(key) => match text_of(key, value.get_ref()) {
                Ok(value) => values.push((key.name, value)),
                Err(problem) => mistakes.push((line, full, problem, key.kind.allowed())),
            },
            None => {
                let names =
                    KEYS.iter().map(|key| key.name).filter(|name| name.starts_with(&format!("{table}.")));
                let allowed = match nearest(&full, names.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known keys: {}", names.collect::<Vec<_>>().join(", ")),
                };
                mistakes.push((line, full, "is not a key of mainstay.toml".to_owned(), allowed));
            }
        }
    }
    if mistakes.is_empty() { Ok(values) } else { Err(mistakes) }
}

fn text_of(key: &Key, value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => key.kind.read(text).map(|value| text_in_file(&value, text)),
        DeValue::Boolean(on) if key.kind == Kind::Bool => Ok(on.to_string()),
        DeValue::Integer(number) if matches!(key.kind, Kind::Int(..)) => {
            key.kind.read(&number.as_str().replace('_', "")).map(|value| value.to_string())
        }
        DeValue::Array(items) if key.kind.is_list() => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::trim));
            let text = texts.collect::<Option<Vec<_>>>().ok_or("is a list of more than texts in quotes")?;
            key.kind.read(&text.join(", ")).map(|value| text_in_file(&value, &text.join(", ")))
        }
        other if matches!(key.kind, Kind::Int(..)) => Err(format!("is {}, not a number", a_kind(other))),
        other if key.kind == Kind::Bool => Err(format!("is {}", a_kind(other))),
        other => Err(format!("is {}, not a text in quotes", a_kind(other))),
    }
}

type Sections = BTreeMap<String, BTreeMap<String, Value>>;

fn sections(
    value: &DeValue<'_>,
    text: &str,
    lines: &mut BTreeMap<String, usize>,
) -> Result<Sections, Vec<(usize, String, String)>> {
    let mut sections = Sections::new();
    let mut mistakes = Vec::new();
    let DeValue::Table(table) = value else {
        return Err(vec![(1, "mattermost".to_owned(), format!("is {}, not a table", a_kind(value)))]);
    };
    for (section, keys) in table {
        let line = line_at(text, section.span().start);
        let section = section.get_ref().to_string();
        let DeValue::Table(keys) = keys.get_ref() else {
            mistakes.push((
                line,
                format!("mattermost.{section}"),
                format!("is {}, not a table", a_kind(keys.get_ref())),
            ));
            continue;
        };
        for (key, value) in keys {
            let line = line_at(text, key.span().start);
            lines.insert(format!("mattermost.{section}.{}", key.get_ref()), line);
            match json(value.get_ref()) {
                Ok(value) => {
                    sections.entry(section.clone()).or_default().insert(key.get_ref().to_string(), value);
                }
                Err(problem) => {
                    mistakes.push((line, format!("mattermost.{section}.{}", key.get_ref()), problem));
                }
            }
        }
    }
    if mistakes.is_empty() { Ok(sections) } else { Err(mistakes) }
}

/// A new `mainstay.toml` that says `wanted`, every other key as a comment with its meaning and default.
pub fn write(wanted: &Wanted) -> String {
    let mut text = String::from("# What you want of this deployment. Edit it, then run `mainstay up`.\n");
    let mut table = "";
    for key in KEYS {
        let (within, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if within != table {
            let is_given = KEYS
                .iter()
                .any(|key| key.name.starts_with(&format!("{within}.")) && wanted.get(key.name).is_some());
            text.push_str(&format!("\n{}[{within}]\n", if is_given { "" } else { "# " }));
            table = within;
        }
        text.push_str(&format!("\n# {}.\n", key.meaning));
        match wanted.get(key.name) {
            Some(value) => text.push_str(&format!("{name} = {}\n", in_toml(key.name, value))),
            None if key.kind == Kind::Bool => {
                text.push_str(&format!("# {name} = {}   # default\n", key.default));
            }
            None if matches!(key.kind, Kind::Int(..)) => {
                text.push_str(&format!("# {name} = ...   # default: {}\n", key.default));
            }
            None => text.push_str(&format!("# {name} = \"...\"   # default: {}\n", key.default)),
        }
    }
    text.push_str(&schedule::write(&wanted.schedule));
    text.push_str("\n# Any setting of the server, under its own section and name:\n# [mattermost.TeamSettings]\n# SiteName = \"Chat\"\n");
    for (section, keys) in &wanted.mattermost {
        let table = toml::Table::try_from(keys).map(|table| table.to_string()).unwrap_or_default();
        text.push_str(&format!("\n[mattermost.{section}]\n{table}"));
    }
    text
}

/// The text of a `mainstay.toml` with some keys changed, its comments and order kept.
///
/// # Errors
/// The text does not parse: what [`parse`] says of it.
pub fn change(file: &Path, text: &str, changes: &BTreeMap<&str, String>) -> Result<String, Findings> {
    parse(file, text)?;
    let mut document: toml_edit::DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        Findings(vec![Finding::in_file(file, line, "", error.message())])
    })?;
    for (key, value) in changes {
        match document.get_mut(key).and_then(toml_edit::Item::as_value_mut) {
            Some(old) => {
                // The decor is the space and the comment around a value.
                let decor = old.decor().clone();
                *old = in_toml(key, value);
                *old.decor_mut() = decor;
            }
            None => document[*key] = toml_edit::value(in_toml(key, value)),
        }
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> String {
        parse(Path::new("mainstay.toml"), text).map(|_| ()).expect_err("must be refused").to_string()
    }

    #[test]
    fn every_mistake_is_reported_with_its_line_and_the_way_out() {
        let text = "edition = \"team\"\nlisetn = \"127.0.0.1:1\"\nsite_url = 5\n\n[mattermost.TeamSettings]\nX = 2026-01-01\n";
        assert_eq!(
            findings(text),
            "mainstay.toml:2: `lisetn` is not a key of mainstay.toml; did you mean `listen`?\n\
             mainstay.toml:3: `site_url` is a number, not a text in quotes; allowed: http:// or https://, a host, and \
             perhaps a port and a path, as in https://chat.example.com\n\
             mainstay.toml:6: `mattermost.TeamSettings.X` is a date, which config.json cannot hold; allowed: \
             [mattermost.SECTION] with KEY = value"
        );
    }

    #[test]
    fn a_site_url_without_a_scheme_names_the_right_one() {
        let text = findings("site_url = \"chat.example.com\"\n");
        assert!(text.contains("did you mean `https://chat.example.com`?"), "{text}");
    }

    #[test]
    fn a_table_of_our_own_is_read_like_the_top() {
        let text = "edition = \"team\"\n[release]\nmirror = \"http://a.example.com\"\n";
        let wanted = parse(Path::new("x"), text).expect("valid");
        assert_eq!(wanted.get("release.mirror"), Some("http://a.example.com"));
        assert_eq!(wanted.origin("release.mirror"), Origin::File { path: "x".into(), line: 3 });
        let again = parse(Path::new("x"), &write(&wanted)).expect("our own file parses");
        assert_eq!(again, wanted);
        assert_eq!(
            findings("[release]\nmiror = \"x\"\nmirror = 5\nfingerprint = \"A1\"\n"),
            "mainstay.toml:2: `release.miror` is not a key of mainstay.toml; did you mean `release.mirror`?\n\
             mainstay.toml:3: `release.mirror` is a number, not a text in quotes; allowed: http:// or https:// addresses without user \
             and password, separated by commas, as in https://mirror.example.com/mattermost\n\
             mainstay.toml:4: `release.fingerprint` is `A1`, which is not a fingerprint; allowed: 40 hexadecimal digits, as `gpg \
             --fingerprint` prints them"
        );
        assert!(findings("release = 5\n").contains("is a number, not a table; allowed: [release] with"));
        assert!(findings("\"release.mirror\" = \"http://a\"\n").contains("is not a key"));
    }

    #[test]
    fn a_written_file_parses_back_to_the_same() {
        let wanted = Wanted::default()
            .with("listen", "127.0.0.1:9")
            .and_then(|w| w.with("site_url", "http://localhost:9"));
        let mut wanted = wanted.expect("both values suit their rows");
        let names = [("SiteName".to_owned(), Value::from("a \"quoted\" näme"))];
        wanted.mattermost.insert("TeamSettings".to_owned(), names.into());
        assert_eq!(parse(Path::new("x"), &write(&wanted)).expect("our own file parses"), wanted);
    }

    #[test]
    fn a_switch_is_true_or_false_without_quotes() {
        let said = |text: &str| parse(Path::new("x"), text).expect("valid").get("boot").map(str::to_owned);
        for off in ["boot = false\n", "boot = \"false\"\n", "boot = \"0\"\n"] {
            assert_eq!(said(off).as_deref(), Some("false"), "{off}");
        }
        assert_eq!(said("").as_deref(), None);
        assert!(findings("boot = 0\n").ends_with("`boot` is a number; allowed: true or false"));
        let changes = [("boot", "false".to_owned())].into();
        assert_eq!(
            change(Path::new("x"), "boot = true # why\n", &changes).expect("valid"),
            "boot = false # why\n"
        );
        assert_eq!(change(Path::new("x"), "", &changes).expect("valid"), "boot = false\n");
        let wanted = Wanted::default().with("boot", "f").expect("a switch");
        assert!(write(&wanted).contains("\nboot = false\n"));
    }

    #[test]
    fn a_number_needs_no_quotes() {
        let text = "[backup]\nkeep_last = 3\nkeep_daily = \"7\"\nlimit = \"20MB/s\"\n";
        let wanted = parse(Path::new("x"), text).expect("valid");
        let said = |key: &str| wanted.get(key).map(str::to_owned);
        assert_eq!(said("backup.keep_last").as_deref(), Some("3"));
        assert_eq!(said("backup.keep_daily").as_deref(), Some("7"));
        assert!(write(&wanted).contains("\nkeep_last = 3\n"));
        assert_eq!(parse(Path::new("x"), &write(&wanted)).expect("our own file parses"), wanted);
        assert_eq!(
            findings("[backup]\nkeep_last = true\nkeep_dayly = 7\nrepository = \"../x\"\nkeep_daily = -1\n"),
            "mainstay.toml:2: `backup.keep_last` is true or false, not a number; allowed: a whole number from 0 to 10000\n\
             mainstay.toml:3: `backup.keep_dayly` is not a key of mainstay.toml; did you mean `backup.keep_daily`?\n\
             mainstay.toml:4: `backup.repository` is `../x`, which holds `..`; allowed: a directory without `..`, as in backups or \
             /mnt/backups, or s3://BUCKET/PREFIX, as in s3://company-backups/chat\n\
             mainstay.toml:5: `backup.keep_daily` is -1, which is out of its range; allowed: a whole number from 0 to 10000"
        );
    }

    #[test]
    fn a_list_is_a_list_of_texts_or_one_text_with_commas() {
        let said =
            |text: &str| parse(Path::new("x"), text).expect("valid").get("updates.freeze").map(str::to_owned);
        let days = Some("2026-12-20..2027-01-06, 2027-04-02".to_owned());
        assert_eq!(said("[updates]\nfreeze = [\"2026-12-20..2027-01-06\", \"2027-04-02\"]\n"), days);
        assert_eq!(said("[updates]\nfreeze = \"2026-12-20..2027-01-06, 2027-04-02\"\n"), days);
        assert_eq!(
            findings(
                "[updates]\nfreeze = [\"x\", 5]\nwindow = \"Sat\"\npolicy = [\"patch\"]\ndelay = 2\npolciy = \"esr\"\n"
            ),
            format!(
                "mainstay.toml:2: `updates.freeze` is a list of more than texts in quotes; allowed: {}\n\
                 mainstay.toml:3: `updates.window` has `Sat`, which has no two times; allowed: {}\n\
                 mainstay.toml:4: `updates.policy` is a list, not a text in quotes; allowed: none, security, patch, esr\n\
                 mainstay.toml:5: `updates.delay` is a number, not a text in quotes; allowed: a number of days from 0d to 60d, as in 2d\n\
                 mainstay.toml:6: `updates.polciy` is not a key of mainstay.toml; did you mean `updates.policy`?",
                ::updates::Freeze::ALLOWED,
                ::updates::Windows::ALLOWED
            )
        );
    }

    #[test]
    fn a_change_keeps_comments() {
        let changes = [("listen", "127.0.0.1:2".to_owned())].into();
        let text = change(Path::new("x"), "# mine\nlisten = \"127.0.0.1:1\" # why\n", &changes);
        assert_eq!(text.expect("valid"), "# mine\nlisten = \"127.0.0.1:2\" # why\n");
    }
}
