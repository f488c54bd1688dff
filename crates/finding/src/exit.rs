//! The exit codes: a contract that scripts depend on.

use std::fmt;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;

/// What a command ends with. A code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Exit {
    /// The command did what it was asked to do.
    Done = 0,
    /// A bug in Mainstay.
    Bug = 1,
    /// The command line cannot be used.
    Usage = 2,
    /// A settings file or variable cannot be used.
    Settings = 3,
    /// The machine is not ready, or something that the command needs cannot be reached.
    NotReady = 4,
    /// A check ran and did not pass.
    NotVerified = 5,
    /// The operation failed and was undone.
    Undone = 6,
    /// The operation failed half-way; an operator must act.
    NeedsYou = 7,
    /// A rule forbids it.
    Refused = 8,
    /// Another operation is running.
    Busy = 9,
}

/// What a row of the table says, beside the code.
struct Row {
    name: &'static str,
    meaning: &'static str,
    advice: &'static str,
}

impl Exit {
    /// Every code, in ascending order.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Bug,
        Self::Usage,
        Self::Settings,
        Self::NotReady,
        Self::NotVerified,
        Self::Undone,
        Self::NeedsYou,
        Self::Refused,
        Self::Busy,
    ];

    const fn row(self) -> Row {
        let (name, meaning, advice) = match self {
            Self::Done => ("done", "the command did what it was asked to do", ""),
            Self::Bug => {
                ("bug", "a bug in Mainstay", "run it again with `--verbose` and report what it prints")
            }
            Self::Usage => (
                "usage",
                "the command line has an unknown flag or a value that makes no sense",
                "read the message; it names the nearest valid one",
            ),
            Self::Settings => (
                "settings",
                "a settings file or variable is invalid; nothing has been changed",
                "correct the line that the message names",
            ),
            Self::NotReady => (
                "not ready",
                "the machine is not ready: a port is taken, the disk is full, the directory belongs to something else, nothing is installed, the database is away",
                "remove the cause; nothing has been changed",
            ),
            Self::NotVerified => (
                "not verified",
                "a check ran and did not pass",
                "read the cause and the fix of the failed check",
            ),
            Self::Undone => (
                "undone",
                "the operation failed, and its steps were undone",
                "remove the cause, then run the command again",
            ),
            Self::NeedsYou => (
                "needs you",
                "the operation failed and could not be undone: an undo failed, or the journal could not be written",
                "do what the message says, then run the same command: it continues from there",
            ),
            Self::Refused => (
                "refused",
                "a rule forbids it: a downgrade, an unsupported upgrade path",
                "do what the message suggests instead",
            ),
            Self::Busy => (
                "busy",
                "another operation is running, or another server uses the database; the message says which, who started it, when and why",
                "wait until it ends, or stop it",
            ),
        };
        Row { name, meaning, advice }
    }

    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The exit with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    /// One or two words, such as `not ready`.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// What it means, in one sentence.
    pub const fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// What an operator does next; empty for [`Done`](Self::Done).
    pub const fn advice(self) -> &'static str {
        self.row().advice
    }

    /// All codes in one line, for the end of `--help`: `0 done, 1 bug, 2 usage, ...`.
    pub fn summary() -> String {
        Self::ALL.map(|exit| format!("{} {exit}", exit.code())).join(", ")
    }

    /// The reference page (`docs/reference/exit-codes.md`): a row for each code, and what else a script may rely on.
    pub fn reference() -> String {
        let mut page = String::from(PAGE_HEAD);
        for exit in Self::ALL {
            let Row { name, meaning, advice } = exit.row();
            // Writing to a string cannot fail.
            let _ = writeln!(page, "| {} | {name} | {meaning} | {advice} |", exit.code());
        }
        page.push_str(PAGE_END);
        page
    }
}

const PAGE_HEAD: &str = "# Exit codes

Scripts may depend on these.

| code | name | means | what to do |
|---:|---|---|---|
";

const PAGE_END: &str = "
With `--json` the last line on stdout of a failed command, a mistyped command line included, is
`{\"type\":\"error\",\"what\":...,\"hint\":...,\"exit_code\":...}`. Checks that ran and did not pass are a result, not an error:
`verify --json`, `settings test-gitlab --json` and `settings test-https --json` then print their report and end with 5.

What is asked for and is so already is done: `down` of what is down, `apps undeploy` of an app that is gone, here or on AWS, and `up` of what is up end with 0. A port that another program has ends
with 4, whatever wanted it.

`up --foreground` ends with 0 when it was told to stop, by a signal or by `mainstay down`, and with 4 when the agent died.
";

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> Self {
        exit.code()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts depend on these: a line may be added, none may change.
    #[test]
    fn each_code_keeps_its_name() {
        assert_eq!(
            Exit::summary(),
            "0 done, 1 bug, 2 usage, 3 settings, 4 not ready, 5 not verified, 6 undone, 7 needs you, 8 refused, 9 busy"
        );
        for exit in Exit::ALL {
            assert_eq!(Exit::from_code(exit.code()), Some(exit));
        }
        assert_eq!(Exit::from_code(10), None);
        assert_eq!(serde_json::to_value(Exit::NeedsYou).unwrap(), "needs-you");
    }

    #[test]
    fn each_code_has_a_meaning_and_advice_that_fit_into_a_row() {
        for exit in Exit::ALL {
            assert!(!exit.meaning().is_empty());
            assert_eq!(exit.advice().is_empty(), exit == Exit::Done);
            assert!(!exit.meaning().contains(['|', '\n']) && !exit.advice().contains(['|', '\n']));
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the page is a file")]
    fn the_reference_page_is_the_table() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/exit-codes.md");
        assert_eq!(std::fs::read_to_string(page).unwrap(), Exit::reference());
    }
}
