//! `[schedule]` of `mainstay.toml`: which operations begin by themselves, and when.

use std::collections::BTreeMap;
use std::path::Path;

use cronexpr::{FallbackTimezoneOption, MakeTimestamp, ParseOptions, parse_crontab_with};
use toml::de::DeValue;

use crate::finding::line_at;
use crate::nearest;

/// An operation that may be scheduled.
#[derive(Debug)]
pub struct Schedulable {
    /// Its name in `[schedule]`.
    pub name: &'static str,
    /// The command.
    pub words: &'static [&'static str],
    /// What an entry may say besides when.
    pub options: &'static [ScheduleOption],
    /// Of these options an entry must say one; none: it needs none.
    pub needs_one_of: &'static [&'static str],
}

/// What an entry may say of its operation. All are texts.
#[derive(Debug)]
pub struct ScheduleOption {
    /// Its key in the entry.
    pub key: &'static str,
    /// The flag that it becomes.
    pub flag: &'static str,
    /// What it is.
    pub meaning: &'static str,
    /// Whether it names a file: absolute, because the operation runs in another directory.
    pub is_path: bool,
}

/// A row of the options.
const fn option(
    key: &'static str,
    flag: &'static str,
    meaning: &'static str,
    is_path: bool,
) -> ScheduleOption {
    ScheduleOption { key, flag, meaning, is_path }
}

/// The operations that may be scheduled.
pub const SCHEDULABLE: &[Schedulable] = &[
    Schedulable { name: "verify", words: &["verify"], options: &[], needs_one_of: &[] },
    Schedulable {
        name: "backup",
        words: &["backup", "create", "--why", "on schedule"],
        options: &[],
        needs_one_of: &[],
    },
    Schedulable {
        name: "drill",
        words: &["backup", "drill", "--why", "on schedule"],
        options: &[],
        needs_one_of: &[],
    },
    Schedulable {
        name: "apps-deployer",
        words: &["apps", "deployer", "--once"],
        options: &[
            option("bucket", "--bucket", "The bucket that bundles are put into.", false),
            option("prefix", "--prefix", "Only objects whose keys begin with this.", false),
            option("environment", "--environment", "The name of the environment.", false),
            option("apps_bucket", "--apps-bucket", "The bucket of all apps.", false),
            option("region", "--region", "The region.", false),
            option("settings", "--settings", "A file with variables: credentials, region, webhooks.", true),
            option("notifications_hook", "--notifications-hook", "A file with a webhook's address.", true),
            option("alerts_hook", "--alerts-hook", "A file with a webhook's address.", true),
        ],
        // A file of settings may name the bucket.
        needs_one_of: &["bucket", "settings"],
    },
];

/// The keys of every entry that is a table.
const KEYS: [&str; 3] = ["cron", "jitter", "catch_up"];

/// The longest jitter, in seconds: a day.
pub(crate) const LONGEST_JITTER: u32 = 86_400;

/// An operation that begins by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledOperation {
    /// Which, by its name in [`SCHEDULABLE`].
    pub operation: &'static str,
    /// When: minute, hour, day of the month, month, day of the week, in the machine's time.
    pub cron: String,
    /// How many seconds after that at most.
    pub jitter: u32,
    /// Whether one run makes up for those that nothing was there to begin.
    pub catch_up: bool,
    /// What the entry says of its operation, by key.
    pub options: BTreeMap<&'static str, String>,
}

impl ScheduledOperation {
    /// The operation and its arguments, as on the command line.
    pub fn arguments(&self) -> Vec<String> {
        let Some(row) = SCHEDULABLE.iter().find(|row| row.name == self.operation) else { return Vec::new() };
        let flags = row
            .options
            .iter()
            .filter_map(|option| Some(format!("{}={}", option.flag, self.options.get(option.key)?)));
        row.words.iter().map(|word| (*word).to_owned()).chain(flags).collect()
    }
}

/// A mistake: its line, its key, what is wrong, what is allowed.
pub(crate) type Mistake = (usize, String, String, String);

/// Whether this is an expression of five fields.
///
/// # Errors
/// What is wrong with it.
pub fn check_cron(cron: &str) -> Result<(), String> {
    let fields = cron.split_whitespace().count();
    if fields != 5 {
        let noun = if fields == 1 { "field" } else { "fields" };
        return Err(format!("has {fields} {noun}, not five"));
    }
    let mut options = ParseOptions::default();
    options.fallback_timezone_option = FallbackTimezoneOption::UTC;
    let crontab = parse_crontab_with(cron, options).map_err(|error| {
        // The lines before the last repeat the expression.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches([' ', '^']);
        format!("cannot be read: {reason}")
    })?;
    // From any moment: what never comes after one, as the 31st of February, never comes at all.
    let comes = MakeTimestamp::from_second(0).is_ok_and(|start| crontab.find_next(start).is_ok());
    if comes { Ok(()) } else { Err("names a day that never comes".to_owned()) }
}

/// Reads the table.
pub(crate) fn read(
    table: &DeValue<'_>,
    line: usize,
    text: &str,
    lines: &mut BTreeMap<String, usize>,
) -> Result<Vec<ScheduledOperation>, Vec<Mistake>> {
    let DeValue::Table(table) = table else {
        let allowed = "allowed: [schedule] with OPERATION = \"CRON\"".to_owned();
        return Err(vec![(line, "schedule".to_owned(), "is not a table".to_owned(), allowed)]);
    };
    let (mut entries, mut mistakes) = (Vec::new(), Vec::new());
    for (name, value) in table {
        let line = line_at(text, name.span().start);
        let name = name.get_ref().as_ref();
        let key = format!("schedule.{name}");
        lines.insert(key.clone(), line);
        let Some(operation) = SCHEDULABLE.iter().find(|row| row.name == name) else {
            let names: Vec<&str> = SCHEDULABLE.iter().map(|row| row.name).collect();
            let allowed = match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("allowed: {}", names.join(", ")),
            };
            mistakes.push((line, key, "is not an operation that can be scheduled".to_owned(), allowed));
            continue;
        };
        match entry(operation, value.get_ref()) {
            Ok(entry) => entries.push(entry),
            Err((problem, allowed)) => mistakes.push((line, key, problem, allowed)),
        }
    }
    if mistakes.is_empty() { Ok(entries) } else { Err(mistakes) }
}

fn entry(
    operation: &'static Schedulable,
    value: &DeValue<'_>,
) -> Result<ScheduledOperation, (String, String)> {
    let example = || {
        "allowed: five fields for minute, hour, day, month and weekday, as in \"0 3 * * *\"; or \
         { cron = \"0 3 * * *\", jitter = 600, catch_up = true }"
            .to_owned()
    };
    let wrong = |problem: &str| (problem.to_owned(), example());
    let mut entry = ScheduledOperation {
        operation: operation.name,
        cron: String::new(),
        jitter: 0,
        catch_up: false,
        options: BTreeMap::new(),
    };
    let option = |key: &str| operation.options.iter().find(|option| option.key == key);
    match value {
        DeValue::String(cron) => entry.cron = cron.to_string(),
        DeValue::Table(table) => {
            for (key, value) in table {
                match (key.get_ref().as_ref(), value.get_ref()) {
                    ("cron", DeValue::String(cron)) => entry.cron = cron.to_string(),
                    ("jitter", DeValue::Integer(seconds)) => {
                        let seconds =
                            seconds.as_str().parse().ok().filter(|jitter| *jitter <= LONGEST_JITTER);
                        entry.jitter = seconds.ok_or_else(|| {
                            let allowed = format!("allowed: seconds from 0 to {LONGEST_JITTER}");
                            ("has a `jitter` that is out of range".to_owned(), allowed)
                        })?;
                    }
                    ("catch_up", DeValue::Boolean(catch_up)) => entry.catch_up = *catch_up,
                    (key, DeValue::String(text)) if let Some(option) = option(key) => {
                        check_option(option, text)?;
                        entry.options.insert(option.key, text.to_string());
                    }
                    (key, _) if option(key).is_some() => {
                        let allowed = "allowed: a text in quotes".to_owned();
                        return Err((format!("has a `{key}` of the wrong type"), allowed));
                    }
                    (key, _) if KEYS.contains(&key) => {
                        return Err(wrong(&format!("has a `{key}` of the wrong type")));
                    }
                    (key, _) => {
                        let keys = KEYS.into_iter().chain(operation.options.iter().map(|option| option.key));
                        let keys: Vec<&str> = keys.collect();
                        let allowed = match nearest(key, keys.iter().copied()) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!("allowed: {}", keys.join(", ")),
                        };
                        return Err((format!("has an unknown key `{key}`"), allowed));
                    }
                }
            }
        }
        _ => return Err(wrong("is neither a text in quotes nor a table")),
    }
    if entry.cron.is_empty() && matches!(value, DeValue::Table(_)) {
        return Err(wrong("has no `cron`"));
    }
    check_cron(&entry.cron).map_err(|problem| wrong(&format!("is `{}`, which {problem}", entry.cron)))?;
    let needed = operation.needs_one_of;
    if !needed.is_empty() && !needed.iter().any(|key| entry.options.contains_key(key)) {
        let example = format!("allowed: {{ cron = \"{}\", {} = \"...\" }}", entry.cron, needed[0]);
        return Err((format!("says neither {}", needed.join(" nor ")), example));
    }
    Ok(entry)
}

/// Whether an option can be passed on.
fn check_option(option: &ScheduleOption, text: &str) -> Result<(), (String, String)> {
    let (key, meaning) = (option.key, option.meaning.trim_end_matches('.').to_lowercase());
    if text.trim().is_empty() || text.contains(char::is_control) {
        return Err((
            format!("has a `{key}` that is empty or has more than one line"),
            format!("allowed: {meaning}"),
        ));
    }
    if option.is_path && !Path::new(text).is_absolute() {
        let allowed = format!("allowed: an absolute path; {meaning}");
        return Err((format!("has the `{key}` `{text}`, which is not absolute"), allowed));
    }
    Ok(())
}

/// The table for a `mainstay.toml`; an example where nothing is scheduled.
pub(crate) fn write(entries: &[ScheduledOperation]) -> String {
    let mut text = String::from("\n# What begins by itself: minute, hour, day, month, weekday.\n");
    if entries.is_empty() {
        text.push_str("# [schedule]\n# verify = \"0 3 * * *\"\n");
        return text;
    }
    text.push_str("[schedule]\n");
    for ScheduledOperation { operation, cron, jitter, catch_up, options } in entries {
        let cron = toml::Value::from(cron.as_str());
        if (*jitter, *catch_up, options.is_empty()) == (0, false, true) {
            text.push_str(&format!("{operation} = {cron}\n"));
            continue;
        }
        text.push_str(&format!("{operation} = {{ cron = {cron}, jitter = {jitter}, catch_up = {catch_up}"));
        for (key, value) in options {
            text.push_str(&format!(", {key} = {}", toml::Value::from(value.as_str())));
        }
        text.push_str(" }\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::wanted::{parse, write};

    fn said(text: &str) -> String {
        parse(Path::new("mainstay.toml"), text).map(|_| ()).expect_err("must be refused").to_string()
    }

    #[test]
    fn what_is_written_parses_back_to_the_same() {
        let text = "[schedule]\nverify = { cron = \"30 2 * * MON-FRI\", jitter = 600, catch_up = true }\n";
        let wanted = parse(Path::new("x"), text).expect("valid");
        let [entry] = &wanted.schedule[..] else { panic!("{:?}", wanted.schedule) };
        assert_eq!(
            (entry.operation, &*entry.cron, entry.jitter, entry.catch_up),
            ("verify", "30 2 * * MON-FRI", 600, true)
        );
        assert_eq!(parse(Path::new("x"), &write(&wanted)).expect("our own file"), wanted);
        let short = parse(Path::new("x"), "[schedule]\nverify = \"0 3 * * *\"\n").expect("valid");
        assert_eq!((short.schedule[0].jitter, short.schedule[0].catch_up), (0, false));
        assert_ne!(short, wanted);
    }

    #[test]
    fn the_cloud_deployer_gets_what_its_entry_says() {
        let text = "[schedule]\napps-deployer = { cron = \"*/15 * * * *\", bucket = \"bundles\", settings = \"/etc/deployer.env\" }\n";
        let wanted = parse(Path::new("x"), text).expect("valid");
        let arguments = ["apps", "deployer", "--once", "--bucket=bundles", "--settings=/etc/deployer.env"];
        assert_eq!(wanted.schedule[0].arguments(), arguments);
        assert_eq!(parse(Path::new("x"), &write(&wanted)).expect("our own file"), wanted);
    }

    #[test]
    fn a_mistake_is_found_with_its_line_and_its_key() {
        for (line, says) in [
            (
                "apps-deployer = { cron = \"0 * * * *\", settings = \"deployer.env\" }",
                "mainstay.toml:2: `schedule.apps-deployer` has the `settings` `deployer.env`, which is not absolute; allowed: an absolute path",
            ),
            (
                "apps-deployer = { cron = \"0 * * * *\", bucket = 5 }",
                "mainstay.toml:2: `schedule.apps-deployer` has a `bucket` of the wrong type; allowed: a text in quotes",
            ),
            (
                "apps-deployer = \"0 * * * *\"",
                "mainstay.toml:2: `schedule.apps-deployer` says neither bucket nor settings; allowed: { cron = \"0 * * * *\", bucket = \"...\" }",
            ),
            (
                "verify = { cron = \"0 * * * *\", bucket = \"b\" }",
                "mainstay.toml:2: `schedule.verify` has an unknown key `bucket`; allowed: cron, jitter, catch_up",
            ),
            (
                "verfy = \"0 3 * * *\"",
                "mainstay.toml:2: `schedule.verfy` is not an operation that can be scheduled; did you mean `verify`?",
            ),
            (
                "verify = \"0 3 * *\"",
                "mainstay.toml:2: `schedule.verify` is `0 3 * *`, which has 4 fields, not five; allowed: five fields",
            ),
            (
                "verify = \"0 25 * * *\"",
                "mainstay.toml:2: `schedule.verify` is `0 25 * * *`, which cannot be read: ",
            ),
            (
                "verify = 5",
                "mainstay.toml:2: `schedule.verify` is neither a text in quotes nor a table; allowed: five fields",
            ),
            (
                "verify = { cron = \"0 3 * * *\", jiter = 5 }",
                "mainstay.toml:2: `schedule.verify` has an unknown key `jiter`; did you mean `jitter`?",
            ),
            (
                "verify = { cron = \"0 3 * * *\", jitter = -1 }",
                "mainstay.toml:2: `schedule.verify` has a `jitter` that is out of range; allowed: seconds from 0 to 86400",
            ),
            (
                "verify = { cron = \"0 3 * * *\", catch_up = 1 }",
                "mainstay.toml:2: `schedule.verify` has a `catch_up` of the wrong type",
            ),
            (
                "verify = { jitter = 1 }",
                "mainstay.toml:2: `schedule.verify` has no `cron`; allowed: five fields",
            ),
            (
                "verify = \"0 3 31 2 *\"",
                "mainstay.toml:2: `schedule.verify` is `0 3 31 2 *`, which names a day that never comes",
            ),
            (
                "verify = \"daily\"",
                "mainstay.toml:2: `schedule.verify` is `daily`, which has 1 field, not five",
            ),
        ] {
            let said = said(&format!("[schedule]\n{line}\n"));
            assert!(said.starts_with(says), "{said}");
        }
        assert!(
            said("schedule = 5\n")
                .starts_with("mainstay.toml:1: `schedule` is not a table; allowed: [schedule]")
        );
    }
}
