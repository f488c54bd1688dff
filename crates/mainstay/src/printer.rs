//! The one place that writes to the terminal: data to stdout, talk to stderr.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the place")]

use std::io::{IsTerminal as _, Write as _};

use deploy::Error;
use serde::Serialize;
use serde_json::json;

/// Where things are said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    /// Data as JSON on stdout, one document a line.
    pub json: bool,
    /// Also the cause chains.
    pub verbose: bool,
}

impl Printer {
    /// What the command was asked for, for people; nothing with `--json`, which has its own form.
    pub(crate) fn show(self, text: &str) {
        if !self.json {
            out(text);
        }
    }

    /// The same as data; nothing without `--json`.
    pub(crate) fn data(self, value: &impl Serialize) {
        if self.json {
            match serde_json::to_string(value) {
                Ok(text) => out(&text),
                Err(error) => self.say(&format!("cannot print as JSON: {error}")),
            }
        }
    }

    /// Text that is the same in both worlds: a log line, a generated page.
    pub(crate) fn raw(self, text: &str) {
        out(text);
    }

    /// Talk.
    pub(crate) fn say(self, text: &str) {
        anstream::eprintln!("{text}");
    }

    /// Why it was not done, and what to do next.
    pub(crate) fn error(self, error: &Error) {
        self.failure(error);
        self.say(&format!("error: {}", error.what));
        if let Some(detail) = error.detail.as_ref().filter(|detail| self.verbose && !detail.is_empty()) {
            self.say(&format!("cause: {detail}"));
        }
        if let Some(hint) = &error.hint {
            self.say(&format!("\nhint: {hint}"));
        }
    }

    /// The same as data; nothing without `--json`.
    pub(crate) fn failure(self, error: &Error) {
        let code = error.exit.code();
        self.data(&json!({"type": "error", "what": error.what, "hint": error.hint, "detail": error.detail, "exit_code": code}));
    }

    /// Whether bars can be drawn.
    pub(crate) fn draws(self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }
}

/// A reader that has gone away (`| head`) has had enough: that is no error.
fn out(text: &str) {
    let mut stdout = anstream::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
