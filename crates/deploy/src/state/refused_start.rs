//! Why PostgreSQL does not start, from what it says: the message, and the file, line and key that it is about.

use std::path::{Path, PathBuf};

/// What `alter system` writes, in the directory of the data.
pub(crate) const AUTO: &str = "postgresql.auto.conf";

/// Why PostgreSQL does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedStart {
    /// Its own words.
    pub words: String,
    /// The file that is wrong, where that is known.
    pub file: Option<PathBuf>,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// The key of that line.
    pub key: Option<String>,
}

/// A line of PostgreSQL's log: its level and its text.
fn parts(line: &str) -> Option<(&str, &str)> {
    if let Some(text) = line.strip_prefix("postgres: ") {
        return Some(("FATAL", text));
    }
    const LEVELS: [&str; 6] = ["LOG", "FATAL", "PANIC", "ERROR", "CONTEXT", "HINT"];
    let at = |level: &str| line.find(&format!("{level}:  "));
    let (level, at) =
        LEVELS.iter().filter_map(|level| Some((*level, at(level)?))).min_by_key(|(_, at)| *at)?;
    Some((level, line[at + level.len() + 1..].trim()))
}

/// What PostgreSQL says on its way, whatever becomes of it.
fn is_ordinary(text: &str) -> bool {
    const ORDINARY: [&str; 7] = [
        "starting PostgreSQL",
        "listening on",
        "database system",
        "shutting down",
        "terminating any",
        "startup process",
        "creating missing WAL",
    ];
    ORDINARY.iter().any(|begin| text.starts_with(begin))
}

impl RefusedStart {
    /// What the lines of PostgreSQL's log tell, the last start counting; `None` where they tell no reason. `data` is the directory that it
    /// was started on, and `shown` the one that is meant by it.
    pub(crate) fn of(said: &[String], data: &Path, shown: &Path) -> Option<Self> {
        let lines: Vec<_> = said.iter().filter_map(|line| parts(line)).collect();
        let fatal = lines.iter().rposition(|(level, text)| {
            ["FATAL", "PANIC"].contains(level) && !text.starts_with("could not write external PID file")
        })?;
        let begin = lines[..fatal]
            .iter()
            .rposition(|(level, text)| ["FATAL", "PANIC"].contains(level) || is_ordinary(text))
            .map_or(0, |at| at + 1);
        let (earlier, message) = (&lines[begin..fatal], lines[fatal].1);
        // "... contains errors" and "could not load ..." tell less than what was said just before.
        let is_summary = message.ends_with("contains errors") || message.starts_with("could not load pg_");
        let reasons: Vec<&str> = earlier.iter().map(|(_, text)| *text).collect();
        let words = if is_summary && !reasons.is_empty() { reasons.join("; ") } else { message.to_owned() };
        let hints =
            lines[fatal + 1..].iter().take_while(|(level, _)| *level == "HINT").map(|(_, text)| *text);
        let everything = reasons.iter().copied().chain([message]).chain(hints).collect::<Vec<_>>().join(" ");
        let of_data = |path: &str| match Path::new(path).strip_prefix(data) {
            Ok(below) => shown.join(below),
            Err(_) if Path::new(path).is_relative() => shown.join(path),
            Err(_) => path.into(),
        };
        let words = words.replace(&*data.display().to_string(), &shown.display().to_string());
        let named = in_file(&everything).map(|(file, line)| (file.to_owned(), Some(line)));
        let named =
            named.or_else(|| Some((quoted_after(&everything, "configuration file")?.to_owned(), None)));
        let (file, line) = named.map(|(file, line)| (Some(of_data(&file)), line)).unwrap_or_default();
        let mut refused = Self { words, file, line, key: None };
        refused.find_key(&everything, shown);
        Some(refused)
    }

    /// The assignment that the message is about: at its line, or of the parameter or the value that it names.
    fn find_key(&mut self, message: &str, shown: &Path) {
        let auto = shown.join(AUTO);
        let file = self.file.clone().unwrap_or_else(|| auto.clone());
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let all: Vec<_> = text
            .lines()
            .enumerate()
            .filter_map(|(at, line)| {
                let (key, value) = line.trim().split_once('=')?;
                let (key, value) = (key.trim(), value.trim().trim_matches('\''));
                (!key.starts_with('#')).then_some((at + 1, key, value))
            })
            .collect();
        let has_word = |word: &str| {
            let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            !word.is_empty()
                && message.split(|c| !part_of_name(c)).any(|found| found.trim_matches('.') == word)
        };
        let found = match self.line {
            Some(line) => all.iter().find(|(at, ..)| *at == line),
            // The last assignment counts.
            None => (all.iter().rev().find(|(_, key, _)| has_word(key))).or_else(|| {
                all.iter()
                    .rev()
                    .find(|(_, _, value)| has_word(value) || message.contains(&format!("\"{value}\"")))
            }),
        };
        if let Some((line, key, _)) = found {
            (self.file, self.line, self.key) = (Some(file), Some(*line), Some((*key).to_owned()));
        }
    }

    /// Where the fault is, and what PostgreSQL says of it.
    pub(crate) fn what(&self) -> String {
        let place = match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{}:{line}: ", file.display()),
            (Some(file), None) => format!("{}: ", file.display()),
            (None, _) => String::new(),
        };
        let key = self.key.as_ref().map(|key| format!("`{key}`: ")).unwrap_or_default();
        format!("{place}{key}{}", self.words)
    }
}

/// The file and line in `... in file "F" line N` and `line N of configuration file "F"`.
fn in_file(message: &str) -> Option<(&str, usize)> {
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    if let Some(file) = quoted_after(message, "in file") {
        let rest = message.split_once(&format!("\"{file}\" line "))?.1;
        return Some((file, number(rest)?));
    }
    let (before, _) = message.split_once(" of configuration file \"")?;
    let line = number(before.rsplit_once("line ")?.1)?;
    Some((quoted_after(message, "of configuration file")?, line))
}

fn quoted_after<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    let rest = message.split_once(&format!("{words} \""))?.1;
    rest.split_once('"').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(auto: &str, said: &[&str]) -> String {
        let shown = tempfile::tempdir().expect("a directory");
        std::fs::write(shown.path().join(AUTO), auto).expect("written");
        let said: Vec<String> =
            said.iter().map(|line| format!("2026-11-27 11:51:51.065 UTC [7] {line}")).collect();
        let refused = RefusedStart::of(&said, Path::new("/srv/trial-1"), shown.path()).expect("a reason");
        refused.what().replace(&*shown.path().display().to_string(), "DATA")
    }

    /// Words of PostgreSQL 15.
    #[test]
    fn file_line_and_key_are_told_however_postgresql_says_it() {
        const STARTING: &str = "LOG:  starting PostgreSQL 15.18 on x86_64";
        const ERRORS: &str =
            "FATAL:  configuration file \"/srv/trial-1/postgresql.auto.conf\" contains errors";
        let auto = "# Do not edit\nwork_mem = '4MB'\nshared_buffers = '900GB'\nshared_preload_libraries = 'nothing'\n";
        assert_eq!(
            of(
                auto,
                &[
                    "LOG:  unrecognized configuration parameter \"work_mem\" in file \"/srv/trial-1/postgresql.auto.conf\" line 2",
                    ERRORS
                ]
            ),
            "DATA/postgresql.auto.conf:2: `work_mem`: unrecognized configuration parameter \"work_mem\" in file \
             \"DATA/postgresql.auto.conf\" line 2"
        );
        assert_eq!(
            of(auto, &["LOG:  invalid value for parameter \"work_mem\": \"4MB\"", ERRORS]),
            "DATA/postgresql.auto.conf:2: `work_mem`: invalid value for parameter \"work_mem\": \"4MB\""
        );
        let memory = [
            STARTING,
            "FATAL:  could not map anonymous shared memory: Cannot allocate memory",
            "HINT:  ... perhaps by reducing shared_buffers or max_connections.",
            "LOG:  database system is shut down",
        ];
        assert_eq!(
            of(auto, &memory),
            "DATA/postgresql.auto.conf:3: `shared_buffers`: could not map anonymous shared memory: Cannot allocate memory"
        );
        assert_eq!(
            of(auto, &["FATAL:  could not access file \"nothing\": No such file or directory"]),
            "DATA/postgresql.auto.conf:4: `shared_preload_libraries`: could not access file \"nothing\": No such file or directory"
        );
        let access = [
            STARTING,
            "LOG:  invalid authentication method \"nonsense\"",
            "CONTEXT:  line 3 of configuration file \"/srv/chat/postgres/pg_hba.conf\"",
            "FATAL:  could not load pg_hba.conf",
        ];
        assert!(
            of(auto, &access).starts_with("/srv/chat/postgres/pg_hba.conf:3: invalid authentication method")
        );
        assert_eq!(of("", &["FATAL:  something else"]), "something else");
    }

    #[test]
    fn one_that_started_and_the_programs_own_words_are_told_apart() {
        let said =
            ["x LOG:  starting PostgreSQL 15.18", "x LOG:  database system is ready to accept connections"];
        assert_eq!(RefusedStart::of(&said.map(str::to_owned), Path::new("/a"), Path::new("/b")), None);
        let own = ["postgres: superuser_reserved_connections (200) must be less than max_connections (100)"
            .to_owned()];
        let refused = RefusedStart::of(&own, Path::new("/a"), Path::new("/b")).expect("a reason");
        assert!(refused.words.starts_with("superuser_reserved_connections (200)"), "{refused:?}");
    }
}
