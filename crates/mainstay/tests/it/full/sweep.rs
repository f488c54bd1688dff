//! Every documented setting with its values: `up` ends verified, or refuses before its first step, as `settings check` does.
//!
//! What the built-in server follows is tried value by value, everything else together, and random combinations on top; their seed is
//! printed. `cargo xtask sweep` tries 200 combinations.

#![expect(clippy::print_stdout, reason = "tells which case is running, and the seed of the combinations")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use settings::known::{self, KnownKey, Shape};
use settings::{Defaults, Kind, Line, Row, Server, Sources, capability, table};
use version::Series;

use crate::place::{Place, Ran};

const BUILTIN: Server = Server { version: Series::new(11, 6), line: Line::Builtin };

/// Rows that need a database server: the tests of external databases give them.
const WITH_A_DATABASE: &str = "DB_";

/// A case: the variables of one `up`.
type Case = Vec<(String, String)>;

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The values of a row that are tried: every word, both booleans, the ends of each range, and each form of a text.
fn values(row: &Row) -> Vec<String> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    match (row.name, row.kind) {
        ("MATTERMOST_CORS_DOMAINS", _) => texts(&[
            "*",
            "https://a.example.com",
            "https://a.example.com http://b.example.com:8080",
            "chat.example.com",
            "https://",
            "a,b",
        ]),
        ("MATTERMOST_LOCALES", _) => texts(&["en", "en,de", "de", "xx"]),
        ("MATTERMOST_SERVER_LOCALE" | "MATTERMOST_CLIENT_LOCALE", _) => texts(&["de", "en", "xx"]),
        (_, Kind::Word(words)) => {
            let synonyms = row.synonyms.iter().map(|(word, _)| *word);
            words.iter().copied().filter(|word| !word.is_empty()).chain(synonyms).map(str::to_owned).collect()
        }
        (_, Kind::Bool) => texts(&["true", "false"]),
        (_, Kind::Int(least, most)) => vec![least.to_string(), most.to_string()],
        (_, Kind::Port) => texts(&["1", "65535"]),
        (_, Kind::Host) => texts(&["chat.example.com", "192.0.2.7", "::1", "localhost"]),
        (_, Kind::SiteUrl) => texts(&[
            "https://chat.example.com",
            "https://example.com/company/chat",
            "http://192.0.2.7:8065",
            "http://[::1]",
        ]),
        (_, Kind::Url) => texts(&["https://other.example.com/a/b"]),
        (_, Kind::Email) => texts(&["chat@example.com"]),
        (_, Kind::Sites) => texts(&["https://mirror.example.com/mattermost"]),
        (_, Kind::Fingerprint) => vec!["A1B2".repeat(10)],
        (_, Kind::Repository) => texts(&["backups", "/mnt/backups"]),
        (_, Kind::Rate) => texts(&["20MB/s"]),
        (_, Kind::Windows) => texts(&["Sat 02:00-05:00"]),
        (_, Kind::Days) => texts(&["2026-12-20..2027-01-06"]),
        (_, Kind::Delay) => texts(&["2d"]),
        (_, Kind::Source) => texts(&["/srv/feed.json"]),
        (_, Kind::Networks) => texts(&["none", "10.0.0.0/8, 192.0.2.7"]),
        (_, Kind::Name(most)) => vec!["x".to_owned(), "n".repeat(most)],
        (_, Kind::Origins) => texts(&["*"]),
        (_, Kind::Salt) => vec!["s3".repeat(16), "s4".repeat(40)],
        (_, Kind::Link) => texts(&["https://other.example.com/a/b", "/help"]),
        (_, Kind::Endpoint) => texts(&["minio.example.com:9000"]),
        (_, Kind::Domains) => texts(&["example.com", "corp.example, partner.example", "@corp.example"]),
        (_, Kind::Path) => texts(&["/srv/ca.pem"]),
        (_, Kind::Bucket) => texts(&["chat-files"]),
        (_, Kind::Text | Kind::Line | Kind::Anything | Kind::Address) => texts(&["text"]),
    }
}

/// Whether a value of that row can change what the built-in server or Mainstay does.
fn is_followed(row: &Row) -> bool {
    match row.place(BUILTIN.version) {
        Some(place) => capability::in_words(BUILTIN, place.section, place.key).is_none(),
        None => row.places.is_empty() && row.change.is_none(),
    }
}

fn rows() -> impl Iterator<Item = &'static Row> {
    table::rows().filter(|row| !row.name.starts_with(WITH_A_DATABASE))
}

/// What needs a database server, or is decided by Mainstay, whatever a variable says.
const DECIDED: [(&str, &str); 2] = [("SqlSettings", "DriverName"), ("SqlSettings", "DataSource")];

/// Values of keys that have no row, where their ends are more than those of their type.
const ENDS: [(&str, &[&str]); 8] = [
    ("MinimumLength", &["4", "5", "30", "72", "73"]),
    ("MaximumPayloadSizeBytes", &["1", "1023", "1024"]),
    ("MaximumURLLength", &["1", "511", "512"]),
    ("CollapsedThreads", &["disabled", "default_off", "default_on", "x"]),
    ("TeammateNameDisplay", &["username", "nickname_full_name", "full_name", "x"]),
    ("UniqueEmojiReactionLimitPerPost", &["-1", "0", "1", "500", "501"]),
    ("PostEditTimeLimit", &["-2", "-1", "0", "1"]),
    ("MaxIdleConns", &["0", "1", "2147483647"]),
];

/// Every key without a row that the built-in server follows, with its values.
fn keys() -> Vec<(String, String)> {
    let has_row = |key: &KnownKey| {
        let is_it = |place: &settings::Place| (place.section, place.key) == (key.section, key.key);
        table::rows().any(|row| row.place(BUILTIN.version).is_some_and(is_it))
    };
    let of_key = |key: &'static KnownKey| {
        let variable = format!("MM_{}_{}", key.section, key.key).to_uppercase();
        let ends = ENDS.iter().find(|(name, _)| *name == key.key).map(|(_, values)| *values);
        let values = ends.unwrap_or(match key.shape {
            // The other value is its default, which every other case has.
            Shape::Bool if key.default == "true" => &["false"],
            Shape::Bool => &["true"],
            Shape::Int => &["-1", "0", "1", "2147483647"],
            _ => &["text", "https://other.example.com/a/b"],
        });
        values.iter().map(move |value| pair(&variable, value))
    };
    known::of(BUILTIN.version)
        .filter(|key| capability::in_words(BUILTIN, key.section, key.key).is_none())
        .filter(|key| !has_row(key) && !DECIDED.contains(&(key.section, key.key)))
        .flat_map(of_key)
        .collect()
}

/// What matters while an installation makes its first accounts.
const FIRST: [(&str, &str); 7] = [
    ("MATTERMOST_ENABLE_EMAIL_SIGNUP", "false"),
    ("MATTERMOST_CREATE_USERS", "false"),
    ("MATTERMOST_USER_DOMAINS", "corp.example"),
    ("MATTERMOST_EMAIL_SIGNIN", "false"),
    ("MATTERMOST_USERNAME_SIGNIN", "false"),
    ("MATTERMOST_MAX_USERS", "1"),
    ("MM_PASSWORDSETTINGS_MINIMUMLENGTH", "72"),
];

/// How an `up` ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Verified,
    Refused,
}

/// No command may take longer, with any settings.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs the binary with these variables; one that takes too long is killed, and its code is -9.
fn run(place: &Place, args: &[&str], case: &Case) -> Ran {
    let mut command = place.command(args);
    let variables = case.iter().map(|(name, value)| (name, value));
    command.envs(variables).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary runs");
    let pid = rustix::process::Pid::from_child(&child);
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = ended.recv_timeout(LONGEST).unwrap_or_else(|_| {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        ended.recv().expect("the thread that waits")
    });
    output.expect("its output").into()
}

/// Runs `up` with these variables; an `Err` says what it should not have done.
fn up(place: &Place, case: &Case) -> Result<End, String> {
    let start = Instant::now();
    println!("{case:?}");
    let end = judge(place, case);
    let told = end.as_ref().map_or_else(|told| told.clone(), |end| format!("{end:?}"));
    println!("{:.1} s: {told}", start.elapsed().as_secs_f32());
    end
}

fn judge(place: &Place, case: &Case) -> Result<End, String> {
    let args = place.up_args();
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--json"]).collect();
    let up = run(place, &args, case);
    let check = run(place, &["settings", "check"], case);
    let begun = up.stdout.contains("\"run-started\"");
    let told = format!("{case:?}: up {}, check {}\n{}", up.code, check.code, up.stderr);
    match up.code {
        0 if check.code == 0 && up.json()["verified_at"].is_i64() => Ok(End::Verified),
        // Only what the settings themselves show is known to `settings check`.
        3 | 8 if !begun && check.code == up.code => Ok(End::Refused),
        _ => Err(told),
    }
}

/// What the settings alone decide, in this process.
fn is_accepted(case: &Case) -> bool {
    let environment: BTreeMap<String, String> = case.iter().cloned().collect();
    let sources = Sources {
        defaults: Defaults::Release,
        secrets: None,
        wanted: None,
        environment: &environment,
        flags: &BTreeMap::new(),
        site_url: Some("http://localhost:8065"),
        read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    match settings::resolve(BUILTIN, &sources) {
        Ok(_) => true,
        Err(findings) => {
            for finding in &findings.0 {
                assert!(finding.allowed.is_some(), "{case:?}: {finding} says no way out");
            }
            false
        }
    }
}

/// One after the other on one deployment, each replacing what the one before declared.
fn converge(cases: &[Case]) {
    let place = Place::new();
    let mut wrong = String::new();
    let (mut verified, mut refused) = (0, 0);
    for case in cases {
        match up(&place, case) {
            Ok(End::Verified) => verified += 1,
            Ok(End::Refused) => refused += 1,
            Err(told) => drop(writeln!(wrong, "{told}\n")),
        }
    }
    println!("{verified} verified, {refused} refused");
    assert!(wrong.is_empty(), "{wrong}");
    assert!(verified > 0);
}

#[test]
fn every_value_that_the_server_follows() {
    let rows = rows().filter(|row| is_followed(row));
    let of_rows = rows.flat_map(|row| values(row).into_iter().map(|value| pair(row.name, &value)));
    converge(&of_rows.map(|pair| vec![pair]).collect::<Vec<Case>>());
}

#[test]
fn every_value_of_the_keys_without_a_row() {
    converge(&keys().into_iter().map(|pair| vec![pair]).collect::<Vec<Case>>());
}

/// The n-th case gives every row its n-th value. What is refused is left out; a test of the settings has it.
#[test]
fn every_value_that_has_no_effect() {
    let rows: Vec<&Row> = rows().filter(|row| !is_followed(row)).collect();
    let most = rows.iter().map(|row| values(row).len()).max().unwrap_or(0);
    let case = |n: usize| {
        let of_row = |row: &&Row| {
            let values = values(row);
            pair(row.name, &values[n % values.len()])
        };
        let is_partner = |name: &str| name.starts_with("GITLAB_") || name.starts_with("SMTP_");
        let kept = |pair: &(String, String)| is_partner(&pair.0) || is_accepted(&vec![pair.clone()]);
        rows.iter().map(of_row).filter(kept).collect::<Case>()
    };
    let cases: Vec<Case> = (0..most).map(case).collect();
    assert!(cases.iter().all(is_accepted));
    converge(&cases);
}

#[test]
fn every_value_that_matters_to_the_first_accounts() {
    let mut wrong = String::new();
    for (name, value) in FIRST {
        if let Err(told) = up(&Place::new(), &vec![pair(name, value)]) {
            let _ = writeln!(wrong, "{told}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Numbers that look random, from a seed that can be given again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        // Splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((number ^ (number >> 31)) % limit.max(1) as u64) as usize
    }
}

/// Combinations of up to eight settings.
fn combinations(seed: u64, count: usize) -> Vec<Case> {
    let mut numbers = Numbers(seed);
    let rows: Vec<&Row> = rows().collect();
    let keys = keys();
    let mut case = || -> Case {
        let size = 1 + numbers.below(8);
        let mut case: BTreeMap<String, String> = BTreeMap::new();
        for _ in 0..size {
            let row = rows[numbers.below(rows.len())];
            let values = values(row);
            case.insert(row.name.to_owned(), values[numbers.below(values.len())].clone());
        }
        if numbers.below(4) == 0 {
            let (name, value) = keys[numbers.below(keys.len())].clone();
            case.insert(name, value);
        }
        case.into_iter().collect()
    };
    (0..count).map(|_| case()).collect()
}

/// Gives the seed of an earlier run again.
const SEED: &str = "MAINSTAY_TEST_SEED";

/// The seed that is given, otherwise one of this moment.
#[expect(clippy::disallowed_methods, reason = "whoever repeats a run gives its seed")]
fn seed() -> u64 {
    if let Ok(text) = std::env::var(SEED) {
        return text.parse().unwrap_or_else(|_| {
            panic!("{SEED} is {text:?}, which is not a seed: a number as a failure prints it")
        });
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| now.as_nanos() as u64)
}

/// Prints how to repeat what was random, however the test ends; a test that fails shows it.
struct Repeat(String);

impl Drop for Repeat {
    fn drop(&mut self) {
        println!("to repeat it: {}", self.0);
    }
}

/// All of them are decided; some of those that are accepted are run.
#[test]
fn random_combinations() {
    let seed = seed();
    let _repeat = Repeat(format!(
        "{SEED}={seed} cargo test --package mainstay --test it full::sweep::random_combinations -- --exact --nocapture"
    ));
    let mut cases = combinations(seed, 200);
    cases.retain(is_accepted);
    println!("{} of 200 are accepted", cases.len());
    cases.truncate(20);
    converge(&cases);
}

#[test]
#[ignore = "takes long: `cargo xtask sweep`"]
fn every_random_combination() {
    let seed = seed();
    let _repeat = Repeat(format!("cargo xtask sweep {seed}"));
    converge(&combinations(seed, 200));
}

#[test]
fn a_seed_gives_the_same_combinations_again() {
    assert_eq!(combinations(7, 20), combinations(7, 20));
    assert_ne!(combinations(7, 20), combinations(8, 20));
}
