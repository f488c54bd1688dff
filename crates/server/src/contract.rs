//! The release contract: the command line of a release's `bin/mattermost`.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The version of Mattermost's API that the server speaks.
pub const API_VERSION: &str = "11.6.0";

/// This server's own version, given where Mattermost gives its build number.
pub const BUILD_NUMBER: &str = env!("CARGO_PKG_VERSION");

const COMMANDS: [&str; 4] = ["server", "version", "db", "help"];
const FLAGS: [&str; 4] = ["--config", "--dry-run", "--help", "--version"];
const DRY_RUN: &str = "--dry-run";
const DEFAULT_CONFIG: &str = "config/config.json";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Print [`version_text`].
    Version,
    /// Bring the database's schema up to date.
    Migrate {
        /// The config file, relative to the working directory.
        config: PathBuf,
    },
    /// Say whether there is anything to bring up to date, and change nothing.
    MigrateDry {
        /// The config file, relative to the working directory.
        config: PathBuf,
    },
    /// Run the server.
    Serve {
        /// The config file, relative to the working directory.
        config: PathBuf,
    },
    /// Print [`help_text`].
    Help,
}

/// A command line that was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// A word that is not a command.
    #[error(
        "unknown command {given:?}: did you mean {nearest:?}? Commands are server, db migrate, version, help"
    )]
    Command {
        /// What was given.
        given: String,
        /// The command nearest to it.
        nearest: &'static str,
    },
    /// A flag that does not exist.
    #[error(
        "unknown flag {given:?}: did you mean {nearest:?}? Flags are -c, --config PATH, --help, --version, and --dry-run of db migrate"
    )]
    Flag {
        /// What was given.
        given: String,
        /// The flag nearest to it.
        nearest: &'static str,
    },
    /// A flag whose value is missing.
    #[error("{flag} needs a path, as in {flag} config/config.json")]
    Value {
        /// The flag.
        flag: String,
    },
}

/// Parses the words after the program's name. `MM_CONFIG` names the config file unless a flag does.
pub fn parse(args: &[String], env: &BTreeMap<String, String>) -> Result<Invocation, UsageError> {
    let mut config =
        env.get("MM_CONFIG").filter(|path| !path.is_empty()).map_or(DEFAULT_CONFIG, String::as_str);
    let mut words = Vec::new();
    let mut dry = false;
    let mut rest = args.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word {
            "-h" | "--help" => return Ok(Invocation::Help),
            "--version" => return Ok(Invocation::Version),
            "-c" | "--config" => {
                config = rest.next().ok_or_else(|| UsageError::Value { flag: word.to_owned() })?;
            }
            _ => match word.strip_prefix("--config=") {
                Some(path) => config = path,
                None if word == DRY_RUN => dry = true,
                None if word.starts_with('-') => {
                    return Err(UsageError::Flag { given: word.to_owned(), nearest: nearest(word, &FLAGS) });
                }
                None => words.push(word),
            },
        }
    }
    let config = PathBuf::from(config);
    let unknown = |given: &str, among: &[&'static str]| {
        Err(UsageError::Command { given: given.to_owned(), nearest: nearest(given, among) })
    };
    if dry && words.as_slice() != ["db", "migrate"] {
        return Err(UsageError::Flag { given: DRY_RUN.to_owned(), nearest: DRY_RUN });
    }
    match words.as_slice() {
        ["db", "migrate"] if dry => Ok(Invocation::MigrateDry { config }),
        [] | ["server"] => Ok(Invocation::Serve { config }),
        ["version"] => Ok(Invocation::Version),
        ["help"] => Ok(Invocation::Help),
        ["db", "migrate"] => Ok(Invocation::Migrate { config }),
        ["db"] => unknown("db", &["db migrate"]),
        ["db", other, ..] => unknown(&format!("db {other}"), &["db migrate"]),
        ["server" | "version" | "help", extra, ..] => unknown(extra, &COMMANDS),
        [other, ..] => unknown(other, &COMMANDS),
    }
}

/// The lines of `mattermost version`.
pub fn version_text() -> String {
    format!(
        "Version: {API_VERSION}\nBuild Number: {BUILD_NUMBER}\nBuild Date: \nBuild Hash: {}\n\
         Build Enterprise Ready: false\nEdition: builtin\n",
        build_hash()
    )
}

/// The lines of `mattermost help`.
pub fn help_text() -> String {
    "Mattermost's API on SQLite or PostgreSQL.\n\n\
     Usage: mattermost [COMMAND] [-c|--config PATH]\n\n\
     Commands:\n  \
     server      run the server (the default)\n  \
     db migrate  bring the database's schema up to date; --dry-run only says whether it would change\n  \
     version     print the version\n  \
     help        print this\n\n\
     The config file is config/config.json unless --config or MM_CONFIG names another.\n\
     MM_SECTION_KEY variables override it, as in MM_SERVICESETTINGS_SITEURL.\n"
        .to_owned()
}

/// The commit that was built, or an empty text if the build was not given one.
pub(crate) fn build_hash() -> &'static str {
    option_env!("MAINSTAY_BUILD_HASH").unwrap_or_default()
}

/// The member of `names` with the smallest edit distance to `given`.
fn nearest(given: &str, names: &[&'static str]) -> &'static str {
    names.iter().copied().min_by_key(|name| strsim::levenshtein(given, name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<Invocation, UsageError> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parse(&words, &BTreeMap::new())
    }

    #[test]
    fn every_command_is_parsed() {
        let serve = |path: &str| Ok(Invocation::Serve { config: path.into() });
        assert_eq!(run(&[]), serve("config/config.json"));
        assert_eq!(run(&["server", "-c", "x.json"]), serve("x.json"));
        assert_eq!(run(&["--config=x.json"]), serve("x.json"));
        assert_eq!(run(&["db", "migrate"]), Ok(Invocation::Migrate { config: "config/config.json".into() }));
        assert_eq!(
            run(&["db", "migrate", "--dry-run", "-c", "x.json"]),
            Ok(Invocation::MigrateDry { config: "x.json".into() })
        );
        assert!(run(&["server", "--dry-run"]).is_err(), "it would start");
        assert_eq!(run(&["version"]), Ok(Invocation::Version));
        let env = BTreeMap::from([("MM_CONFIG".to_owned(), "/etc/m.json".to_owned())]);
        assert_eq!(parse(&[], &env), serve("/etc/m.json"));
    }

    #[test]
    fn a_wrong_word_gets_the_nearest_name() {
        assert!(matches!(run(&["serve"]), Err(UsageError::Command { nearest: "server", .. })));
        assert!(matches!(run(&["--confg", "x"]), Err(UsageError::Flag { nearest: "--config", .. })));
        assert!(matches!(run(&["db", "migrat"]), Err(UsageError::Command { nearest: "db migrate", .. })));
        assert!(matches!(run(&["-c"]), Err(UsageError::Value { .. })));
    }
}
