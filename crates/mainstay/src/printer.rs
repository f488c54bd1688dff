//! The one place that writes to the terminal: data to stdout, talk to stderr.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the place")]

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use deploy::{Commands, Error};
use finding::Hint;
use serde::Serialize;
use serde_json::{Value, json};

/// Where things are said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    /// Data as JSON on stdout, one document a line.
    pub json: bool,
    /// Also the cause chains.
    pub verbose: bool,
    /// How the commands that messages name are typed where the deployment lives.
    pub commands: &'static Commands,
}

impl Printer {
    /// What the command was asked for, for people; nothing with `--json`, which has its own form.
    pub(crate) fn show(self, text: &str) {
        if !self.json {
            out(&paragraphs(&self.commands.message(text), std::io::stdout().is_terminal().then(columns)));
        }
    }

    /// The same as data; nothing without `--json`.
    pub(crate) fn data(self, value: &impl Serialize) {
        if self.json {
            match serde_json::to_string(value) {
                // Every command in a message stands between back-ticks.
                Ok(text) if text.contains('`') => {
                    let mut value: Value = serde_json::from_str(&text).unwrap_or_default();
                    self.typed_here(&mut value);
                    out(&value.to_string());
                }
                Ok(text) => out(&text),
                Err(error) => self.say(&format!("cannot print as JSON: {error}")),
            }
        }
    }

    /// Text that is the same in both worlds: a log line.
    pub(crate) fn raw(self, text: &str) {
        out(text);
    }

    /// A text for another program, such as a script or a manual page: as it is, or inside a JSON document.
    pub(crate) fn text(self, text: &str) {
        self.data(&json!({ "text": text }));
        if !self.json {
            out(text.trim_end());
        }
    }

    /// A JSON document: on one line with `--json`, otherwise laid out for people.
    pub(crate) fn document(self, value: &impl Serialize) {
        self.data(value);
        if !self.json {
            out(&serde_json::to_string_pretty(value).unwrap_or_default());
        }
    }

    /// Talk.
    pub(crate) fn say(self, text: &str) {
        let text = self.commands.message(text);
        anstream::eprintln!("{}", paragraphs(&text, std::io::stderr().is_terminal().then(columns)));
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
        self.data(
            &json!({"type": "error", "what": error.what, "hint": error.hint, "detail": error.detail, "exit_code": code}),
        );
    }

    /// Everything in it that says what to do, with the commands as they are typed here, and the commands alone beside it.
    fn typed_here(self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.typed_here(item)),
            Value::Object(fields) => {
                fields.values_mut().for_each(|field| self.typed_here(field));
                let mut lines = Vec::new();
                for name in ["what", "hint", "fix"] {
                    let Some(Value::String(text)) = fields.get_mut(name) else { continue };
                    let hint = Hint::from(text.as_str());
                    if name != "what" {
                        lines.extend(self.commands.lines(&hint));
                    }
                    *text = self.commands.hint(&hint);
                }
                if !lines.is_empty() && !fields.contains_key("commands") {
                    fields.insert("commands".to_owned(), lines.into());
                }
            }
            _ => {}
        }
    }

    /// Whether bars can be drawn.
    pub(crate) fn draws(self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }
}

/// How wide the terminal is, in columns.
fn columns() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0))
}

/// The text with what cannot be seen in it escaped, in colour, and with lines that break at words where it is for a terminal of so many columns. A line that is broken goes on
/// two columns further in. The writers take colour away where there is no terminal, or where NO_COLOR is set.
fn paragraphs(text: &str, columns: Option<usize>) -> String {
    let text = finding::visible_lines(text);
    let lines = text.split('\n').map(|line| match columns.filter(|most| line.chars().count() > *most) {
        Some(columns) => broken(line, columns),
        None => line.to_owned(),
    });
    lines.map(|line| coloured(&line)).collect::<Vec<_>>().join("\n")
}

fn broken(line: &str, columns: usize) -> String {
    let indent = " ".repeat(line.len() - line.trim_start_matches(' ').len() + 2);
    let options = textwrap::Options::new(columns.max(20))
        .subsequent_indent(&indent)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(line, options)
}

/// What a line may begin with, and in which colour that is shown.
const COLOURS: [(&str, AnsiColor); 7] = [
    ("error:", AnsiColor::Red),
    ("warning:", AnsiColor::Yellow),
    ("note:", AnsiColor::Cyan),
    ("hint:", AnsiColor::Green),
    ("✓", AnsiColor::Green),
    ("✗", AnsiColor::Red),
    ("↶", AnsiColor::Yellow),
];

fn coloured(line: &str) -> String {
    let text = line.trim_start_matches(' ');
    let Some((start, colour)) = COLOURS.iter().find(|(start, _)| text.starts_with(start)) else {
        return line.to_owned();
    };
    let style = Style::new().fg_color(Some((*colour).into())).bold();
    let (indent, rest) = (&line[..line.len() - text.len()], &text[start.len()..]);
    format!("{indent}{style}{start}{style:#}{rest}")
}

/// Why stdout did not take what was printed.
static LOST: OnceLock<String> = OnceLock::new();

/// Why stdout did not take everything that was printed; `None` = it did.
pub(crate) fn lost() -> Option<Error> {
    let why = LOST.get()?;
    Some(
        Error::not_ready(format!("cannot write to stdout: {why}"))
            .hint("what is printed there is not complete"),
    )
}

fn out(text: &str) {
    let mut stdout = anstream::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        // A reader that has gone away (`| head`) has had enough: that is no error.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = LOST.set(finding::disk::reason(&error));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::paragraphs;

    #[test]
    fn long_lines_break_at_words() {
        let text = "State      degraded: the server is not healthy; run `mainstay up`\n  short";
        let broken = "State      degraded: the\n  server is not healthy; run\n  `mainstay up`\n  short";
        assert_eq!(paragraphs(text, Some(28)), broken);
        assert_eq!(paragraphs(text, None), text);
    }

    #[test]
    fn an_address_is_never_broken() {
        let text = "  see https://chat.example.com/a/very/long/address";
        assert_eq!(paragraphs(text, Some(20)), "  see\n    https://chat.example.com/a/very/long/address");
    }

    #[test]
    fn a_value_cannot_give_the_terminal_orders() {
        assert_eq!(paragraphs("it is `\u{1b}[2J\r`\n\u{feff}b", None), "it is `\\u{1b}[2J\\r`\n\\u{feff}b");
    }

    #[test]
    fn labels_and_marks_have_colours() {
        assert_eq!(paragraphs("  ✓ done", None), "  \u{1b}[1m\u{1b}[32m✓\u{1b}[0m done");
        assert_eq!(paragraphs("no error: here", None), "no error: here");
    }
}
