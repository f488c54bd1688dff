//! Golden files: shell sessions with the output that they must have.
//!
//! A file in `tests/golden` holds commands (`$ ` lines, continued by `> ` lines) and what each of them prints: lines on stdout as they are,
//! lines on stderr after `2> `, and an exit code other than 0 after `? `. [`Session::check`] runs the commands again and compares.
//! What differs from run to run, such as a port or a time, stands in the file as `[PORT]` or `[TIME]`. `$ # text` is a comment.
//!
//! To add a case, write its `$ ` line. To write what the commands print now into the files:
//! `SNAPSHOTS=overwrite cargo test --package mainstay --test it golden`. Read the difference before you commit it.
//!
//! Commands run as an ordinary user, also when root runs the tests, so that everybody gets the same output.
//!
//! Rejected: `trycmd`, which has this form of file, but runs one program and no shell, so a case could not make the file that is wrong in
//! it; `insta`, whose files hold the output without the input.

use std::fmt::Write as _;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;
use snapbox::{Assert, Data};

use crate::place::{MAINSTAY, Place, Ran, is_root};

/// The user `nobody`, which runs the commands when root runs the tests.
const NOBODY: u32 = 65_534;

/// A JSON document that is longer than this gets a line for each value.
const WIDTH: usize = 110;

/// A directory in which a file's commands run. `$MAINSTAY_DIR` is `chat` in it, and `$PORT` is a free port.
pub(crate) struct Session {
    pub place: Place,
    variables: Vec<(String, String)>,
    /// What differs from run to run, and what stands for it; in this order.
    redactions: Vec<(Regex, String)>,
}

impl Session {
    pub(crate) fn new() -> Self {
        let place = Place::new();
        let mut session = Self { variables: Vec::new(), redactions: Vec::new(), place };
        let bin = session.dir().join("bin");
        std::fs::create_dir(&bin).expect("a directory for the binary");
        // The user who runs it may not be able to enter the directory of the build.
        let linked = std::fs::hard_link(MAINSTAY, bin.join("mainstay"));
        linked.or_else(|_| std::fs::copy(MAINSTAY, bin.join("mainstay")).map(drop)).expect("the binary");
        if is_root() {
            chown(session.dir(), Some(NOBODY), Some(NOBODY)).expect("the user's own directory");
        }
        let dir = session.dir().display().to_string();
        session.redact(&regex::escape(&dir), "[WORK]");
        session.redact(&format!(r"\b{}\b", session.place.port), "[PORT]");
        let user = session.shell("id -un").stdout;
        session.redact(&format!(r"\b{}\b", regex::escape(user.trim())), "[USER]");
        session
    }

    /// Sets a variable of the commands.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces what matches `pattern`; `$1` in the replacement is the pattern's first group.
    pub(crate) fn redact(&mut self, pattern: &str, replacement: &str) {
        self.redactions.push((Regex::new(pattern).expect("a pattern"), replacement.to_owned()));
    }

    /// Runs the commands of `tests/golden/NAME.console`, and compares what they print.
    pub(crate) fn check(&self, name: &str) {
        let commands = commands(name);
        assert!(!commands.is_empty(), "{name}.console has no `$ ` line");
        self.compare(
            name,
            commands.into_iter().map(|command| {
                let ran = self.shell(&command);
                (command, ran)
            }),
        );
    }

    /// Compares commands that were run already, and what they printed, with the file.
    pub(crate) fn compare(&self, name: &str, ran: impl Iterator<Item = (String, Ran)>) {
        let blocks = ran.map(|(command, ran)| self.block(&command, &ran)).collect::<Vec<_>>();
        same(&path(name), blocks.join("\n"));
    }

    /// A command and what it printed, as they stand in the file.
    fn block(&self, command: &str, ran: &Ran) -> String {
        let mut printed = String::new();
        for line in ran.stdout.lines() {
            // Writing to a string cannot fail.
            let _ = writeln!(printed, "{}", readable(line).trim_end());
        }
        for line in ran.stderr.lines() {
            let _ = writeln!(printed, "{}", format!("2> {line}").trim_end());
        }
        if ran.code != 0 {
            let _ = writeln!(printed, "? {}", ran.code);
        }
        format!("$ {}\n{}", command.replace('\n', "\n> "), self.redacted(printed))
    }

    fn redacted(&self, text: String) -> String {
        let replace = |text: String, (pattern, replacement): &(Regex, String)| {
            pattern.replace_all(&text, replacement.as_str()).into_owned()
        };
        let text = self.redactions.iter().fold(text, replace);
        GENERAL.iter().fold(text, replace)
    }

    /// Compares a page of the documentation with what `mainstay reference NAME` prints.
    pub(crate) fn check_page(&self, name: &str, page: &str) {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
        let printed = self.shell(&format!("env -u MAINSTAY_DIR mainstay reference {name}")).expect(0).stdout;
        same(&page, printed);
    }

    fn dir(&self) -> &Path {
        self.place.root.parent().expect("a directory above")
    }

    /// Runs a line of shell.
    pub(crate) fn shell(&self, line: &str) -> Ran {
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(self.dir())
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.dir().join("bin").display()))
            .env("HOME", self.dir())
            .env("MAINSTAY_DIR", &self.place.root)
            .env("MAINSTAY_CACHE", self.place.cache())
            .env("PORT", self.place.port.to_string())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let ran: Ran = command.output().expect("sh runs").into();
        let crashed = ran.stderr.contains("panicked") || ran.stderr.contains("RUST_BACKTRACE");
        assert!(!crashed, "{line}: {}", ran.stderr);
        if line.starts_with("mainstay --json ") && !line.contains('|') {
            let data = ran.stdout.lines().all(|line| serde_json::from_str::<Value>(line).is_ok());
            assert!(data, "{line} prints something else than a JSON document a line: {}", ran.stdout);
        }
        ran
    }
}

/// The file must hold this text; with `SNAPSHOTS=overwrite` it gets it.
fn same(path: &Path, text: String) {
    let expected = Data::read_from(path, None);
    Assert::new().action_env("SNAPSHOTS").normalize_paths(false).eq(text, expected);
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension("console")
}

/// The commands of a golden file.
pub(crate) fn commands(name: &str) -> Vec<String> {
    let path = path(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut commands: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push(command.to_owned());
        } else if let (Some(rest), Some(command)) = (line.strip_prefix("> "), commands.last_mut()) {
            command.push('\n');
            command.push_str(rest);
        }
    }
    commands
}

/// A long JSON document with a line for each value; everything else as it is.
fn readable(line: &str) -> String {
    let document = || serde_json::from_str::<Value>(line).ok().filter(|_| line.starts_with(['{', '[']));
    let long = (line.len() > WIDTH).then(document).flatten();
    long.and_then(|document| serde_json::to_string_pretty(&document).ok()).unwrap_or_else(|| line.to_owned())
}

/// What differs in every session.
static GENERAL: LazyLock<Vec<(Regex, String)>> = LazyLock::new(|| {
    let release = regex::escape(&release::builtin().to_string());
    let server = regex::escape(&release::builtin().version.to_string());
    let version = regex::escape(env!("CARGO_PKG_VERSION"));
    let patterns = [
        (&*release, "[RELEASE]"),
        // In the tag of an image.
        (&release.replace(r"\+", "_"), "[RELEASE]"),
        (r"/lib\S*/ld-[^,\s]+", "[LOADER]"),
        (&server, "[SERVER]"),
        (&format!(r#"([Mm]ainstay |"(?:build_number|version)": ?"){version}"#), "${1}[VERSION]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "[TIME]"),
        (r"\b\d{8}T\d{6}\.\d{3}Z", "[TIME]"),
        (r"\b1\d{12}\b", "[MILLISECONDS]"),
        (r"acceptance-[a-z0-9]{12}\b", "[TEAM]"),
        // A deployment's.
        (r"\b[0-9a-f]{32}\b", "[ID]"),
        // A step shows its duration only when it is long.
        (r"(?m) \(\d+(\.\d+)? m?s\)$", ""),
        (r"in \d+(\.\d+)? (m?s)\b", "in [DURATION] $2"),
        (r#"(ms": ?)\d+"#, "${1}[MS]"),
        (r#"(process |pid |pid": ?)\d+"#, "${1}[PID]"),
        (r#"("build": ?")[0-9a-f]{16,}"#, "${1}[BUILD]"),
        (r#"(requests": ?)\d+"#, "${1}[COUNT]"),
        (r"\d+ (requests|answers)\b", "[COUNT] $1"),
        (r"In use     \d+ connections", "In use     [COUNT] connections"),
        (r"\d+ [KM]B\b", "[SIZE]"),
        (r#"(bytes": ?)\d+"#, "${1}[SIZE]"),
        // The server's own port.
        (r"127\.0\.0\.1:\d{5}\b", "127.0.0.1:[INNER]"),
        (r"its addresses are [0-9a-f:., ]+\.", "its addresses are [ADDRESSES]."),
    ];
    patterns
        .map(|(pattern, replacement)| (Regex::new(pattern).expect("a pattern"), replacement.to_owned()))
        .into()
});
