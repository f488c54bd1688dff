//! What to do next: words, with the commands in them as data.

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer};

/// Stands for the arguments of the command that was typed: `mainstay SAME` is that command again.
pub const SAME: &str = "SAME";

/// The programs whose names begin a command. What else stands between back-ticks is a name, a value or a key.
const PROGRAMS: [&str; 24] = [
    "apt-get",
    "chmod",
    "chown",
    "cp",
    "curl",
    "docker",
    "echo",
    "groupadd",
    "kill",
    "loginctl",
    "ls",
    "mainstay",
    "mkdir",
    "mount",
    "mv",
    "openssl",
    "printf",
    "rm",
    "ss",
    "sudo",
    "systemctl",
    "umount",
    "useradd",
    "zip",
];

/// What to do next.
///
/// It is written for a machine with one deployment, where commands are `mainstay up`. Whoever shows it [renders](Hint::rendered) the
/// commands as they are typed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    parts: Vec<Part>,
    /// All of it, as it was written.
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Words(String),
    Command(Command),
}

/// A command line as a shell reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    line: String,
}

impl Command {
    /// The line.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The program and the rest of the line.
    pub fn split(&self) -> (&str, &str) {
        self.line.split_once(' ').unwrap_or((&self.line, ""))
    }
}

impl Hint {
    /// A text whose `{}` are filled in, in their order. Within back-ticks a value is quoted for the shell.
    ///
    /// ```
    /// use finding::hint;
    ///
    /// let hint = hint!("of {}: `rm -r {}`", "it's", "/srv/my chat");
    /// assert_eq!(hint.to_string(), "of it's: `rm -r '/srv/my chat'`");
    /// ```
    pub fn filled(template: &str, values: &[&dyn fmt::Display]) -> Self {
        let mut text = String::with_capacity(template.len() + 64);
        let mut values = values.iter();
        let mut is_command = false;
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{}") {
            is_command ^= before.matches('`').count() % 2 == 1;
            text.push_str(before);
            let value = values.next().map(ToString::to_string).unwrap_or_default();
            text.push_str(&if is_command { quoted(&value) } else { value });
            rest = after;
        }
        text.push_str(rest);
        text.into()
    }

    /// The text with each command as `typed` says it; `None`: as it is.
    pub fn rendered(&self, typed: impl Fn(&Command) -> Option<String>) -> String {
        let mut text = String::with_capacity(self.text.len());
        for part in &self.parts {
            match part {
                Part::Words(words) => text.push_str(words),
                Part::Command(command) => {
                    let line = typed(command);
                    text.push('`');
                    text.push_str(line.as_deref().unwrap_or(&command.line));
                    text.push('`');
                }
            }
        }
        text
    }

    /// The commands in it.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.parts.iter().filter_map(|part| match part {
            Part::Words(_) => None,
            Part::Command(command) => Some(command),
        })
    }
}

/// A [`Hint`] from a template and the values of its `{}`.
#[macro_export]
macro_rules! hint {
    ($template:expr $(, $value:expr)* $(,)?) => {
        $crate::Hint::filled($template, &[$(&$value),*])
    };
}

/// A word of a command as a shell reads it: quoted where it must be.
pub fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.replace('\0', ""), std::borrow::Cow::into_owned)
}

/// What stands between back-ticks, if it is a command, and what follows.
fn command_at(text: &str) -> Option<(Command, &str)> {
    let program = text.split([' ', '`']).next().unwrap_or_default();
    if !PROGRAMS.contains(&program) {
        return None;
    }
    // A back-tick within single quotes belongs to a word.
    let is_quoted = |end: usize| text[..end].matches('\'').count() % 2 == 1;
    let ends = || text.match_indices('`').map(|(end, _)| end);
    let end = ends().find(|end| !is_quoted(*end)).or_else(|| ends().next())?;
    let line = &text[..end];
    line.contains(' ').then(|| (Command { line: line.to_owned() }, &text[end + 1..]))
}

impl From<&str> for Hint {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        let mut parts = Vec::new();
        let (mut words, mut rest) = (String::new(), &*text);
        // A back-tick that begins no command is followed by other text, where the next command may begin.
        while let Some((before, after)) = rest.split_once('`') {
            words.push_str(before);
            rest = after;
            match command_at(after) {
                Some((command, after)) => {
                    parts.push(Part::Words(std::mem::take(&mut words)));
                    parts.push(Part::Command(command));
                    rest = after;
                }
                None => words.push('`'),
            }
        }
        words.push_str(rest);
        parts.push(Part::Words(words));
        Self { parts, text }
    }
}

impl PartialEq<&str> for Hint {
    fn eq(&self, other: &&str) -> bool {
        self.text == *other
    }
}

impl From<Hint> for String {
    fn from(hint: Hint) -> Self {
        hint.text
    }
}

/// As it was written.
impl Deref for Hint {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Hint {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Hint {
    /// As it was written.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(hint: &Hint) -> Vec<&str> {
        hint.commands().map(Command::line).collect()
    }

    #[test]
    fn commands_are_found_among_names() {
        let hint = Hint::from(
            "it's `a name`; run `mainstay up`, or `--dir`, then `rm -r '/a b'` and ` or `mainstay`",
        );
        assert_eq!(lines(&hint), ["mainstay up", "rm -r '/a b'"]);
        let shouted = hint.rendered(|command| Some(command.line().to_uppercase()));
        assert_eq!(
            shouted,
            "it's `a name`; run `MAINSTAY UP`, or `--dir`, then `RM -R '/A B'` and ` or `mainstay`"
        );
        assert_eq!(hint.rendered(|_| None), hint.to_string());
    }

    #[test]
    fn a_value_stays_one_word_of_its_command_and_plain_text_elsewhere() {
        for value in ["/srv/my chat", "a`b", "$HOME", "it's", "-x; rm -r /", "~/a", "*", "\"", "plain"] {
            let hint = hint!("{}: `mv {} {}/old`, said {}", value, value, "/x y", value);
            assert!(hint.starts_with(value) && hint.ends_with(&format!("said {value}")), "{hint}");
            let command = hint.commands().next().expect("a command");
            let words = shlex::split(command.line()).expect("words");
            assert_eq!(words, ["mv", value, "/x y/old"], "{hint}");
        }
    }
}
