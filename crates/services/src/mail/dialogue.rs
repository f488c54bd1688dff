//! What the two sides of an SMTP dialogue sent (RFC 5321).

use std::fmt;

use serde::Serialize;

/// Who sent a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// This machine.
    Client,
    /// The mail server.
    Server,
    /// Neither: something happened.
    Event,
}

/// One line of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Who sent it.
    pub by: Speaker,
    /// The line without its end, with passwords masked.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.by {
            Speaker::Client => "C:",
            Speaker::Server => "S:",
            Speaker::Event => "*",
        };
        write!(f, "{mark} {}", self.text)
    }
}

/// All lines, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Dialogue {
    /// The lines.
    pub lines: Vec<Line>,
}

impl fmt::Display for Dialogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A server's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The text after the code, masked, line by line.
    pub text: Vec<String>,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text.join(" "))
    }
}
