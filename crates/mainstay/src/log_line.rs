//! A line of a log, for people.
//!
//! Agent, edge and built-in server write JSON of one form, Mattermost of another; what neither is stays as it is. A log holds what
//! strangers sent, so control characters, which could move a terminal's cursor, are shown and not passed on.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogLine {
    /// When it was written, if it says so.
    pub at: Option<Timestamp>,
    level: String,
    client: Option<String>,
    message: String,
    /// What else it says, in its own order.
    more: Vec<(String, String)>,
}

/// Fields that say nothing to an operator.
const LEFT_OUT: [&str; 4] = ["target", "caller", "complete", "span"];

/// Where the client's address stands.
const CLIENTS: [&str; 4] = ["client", "ip_addr", "ip_address", "remote_addr"];

impl LogLine {
    /// The line, or `None` where it is no JSON of a form that is known.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let Value::Object(mut line) = serde_json::from_str(text).ok()? else { return None };
        let at = line.remove("timestamp").as_ref().and_then(Value::as_str).and_then(time);
        let level = line.remove("level").as_ref().and_then(Value::as_str)?.to_ascii_uppercase();
        let mut fields = match line.remove("fields") {
            Some(Value::Object(fields)) => fields,
            _ => std::mem::take(&mut line),
        };
        let mut take = |keys: &[&str]| {
            let found = keys.iter().find_map(|key| fields.remove(*key))?;
            Some(plain(&found))
        };
        let message = take(&["message", "msg"])?;
        let client = take(&CLIENTS);
        let request = take(&["status"]).filter(|_| client.is_some());
        let message = match request {
            Some(status) => request_of(&message, &status, &mut fields),
            None => message,
        };
        let more = fields.into_iter().chain(line).filter(|(key, _)| !LEFT_OUT.contains(&key.as_str()));
        let more = more.map(|(key, value)| (key, plain(&value))).collect();
        Some(Self { at, level, client, message, more })
    }

    /// One line of text; colours are for a terminal, and the printer takes them out elsewhere.
    pub(crate) fn shown(&self, zone: &TimeZone) -> String {
        let at = self.at.map_or_else(String::new, |at| {
            at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
        });
        let (on, off) = match self.level.as_str() {
            "ERROR" | "CRITICAL" | "FATAL" | "PANIC" => ("\x1b[31m", "\x1b[0m"),
            "WARN" | "WARNING" => ("\x1b[33m", "\x1b[0m"),
            "DEBUG" | "TRACE" => ("\x1b[2m", "\x1b[0m"),
            _ => ("", ""),
        };
        let client = self.client.as_ref().map(|client| format!("{client:<15}  ")).unwrap_or_default();
        let mut text = format!(
            "{at:<19}  {on}{:<5}{off}  {}{}",
            printable(&self.level),
            printable(&client),
            printable(&self.message)
        );
        for (key, value) in &self.more {
            let quoted = value.is_empty() || value.contains(' ');
            let value = printable(value);
            text += &if quoted {
                format!("  {}=\"{value}\"", printable(key))
            } else {
                format!("  {}={value}", printable(key))
            };
        }
        text
    }
}

/// A request in the access log: `GET /path 200, 1234 bytes, 5 ms`.
fn request_of(message: &str, status: &str, fields: &mut Map<String, Value>) -> String {
    if let Some(count) = fields.remove("count") {
        let last = fields.remove("last").map(|last| plain(&last)).filter(|last| !last.is_empty());
        let such = last.map(|last| format!(", such as {last} {status}")).unwrap_or_default();
        return format!("{count} {message}{such}");
    }
    let mut text = format!("{message} {status}");
    for (key, unit) in [("bytes", "bytes"), ("ms", "ms")] {
        if let Some(value) = fields.remove(key) {
            text += &format!(", {} {unit}", plain(&value));
        }
    }
    if fields.get("complete") == Some(&Value::Bool(false)) {
        text += ", cut off";
    }
    text
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// RFC 3339, or as Mattermost writes it: `2026-11-27 01:30:59.123 Z`.
fn time(text: &str) -> Option<Timestamp> {
    text.parse().or_else(|_| text.replacen(' ', "T", 1).replace(' ', "").parse()).ok()
}

/// Without control characters.
pub(crate) fn printable(text: &str) -> String {
    let shown =
        |c: char| if c.is_control() && c != '\t' { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        LogLine::read(text).map_or_else(|| text.to_owned(), |line| line.shown(&TimeZone::UTC))
    }

    #[test]
    fn each_form_becomes_a_line() {
        for (line, expected) in [
            (
                r#"{"timestamp":"2026-11-27T01:30:59.123Z","level":"INFO","fields":{"message":"the edge is open","port":80},"target":"deploy"}"#,
                "2026-11-27 01:30:59  INFO   the edge is open  port=80",
            ),
            (
                r#"{"timestamp":"2026-11-27T01:30:59Z","level":"INFO","fields":{"message":"GET /a","client":"192.0.2.7","status":200,"bytes":12,"ms":3,"complete":true},"target":"edge::access"}"#,
                "2026-11-27 01:30:59  INFO   192.0.2.7        GET /a 200, 12 bytes, 3 ms",
            ),
            (
                r#"{"timestamp":"2026-11-27T01:30:59Z","level":"WARN","fields":{"message":"more requests","client":"192.0.2.7","count":40,"status":401,"last":"POST /login"}}"#,
                "2026-11-27 01:30:59  \u{1b}[33mWARN \u{1b}[0m  192.0.2.7        40 more requests, such as POST /login 401",
            ),
            (
                r#"{"timestamp":"2026-11-27 01:30:59.123 Z","level":"error","msg":"Failed","caller":"app/x.go:1","error":"no such user","ip_addr":"::1"}"#,
                "2026-11-27 01:30:59  \u{1b}[31mERROR\u{1b}[0m  ::1              Failed  error=\"no such user\"",
            ),
            ("mainstay: 3 log lines were lost: disk full", "mainstay: 3 log lines were lost: disk full"),
            (r#"{"type":"run-started"}"#, r#"{"type":"run-started"}"#),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn what_strangers_sent_cannot_write_to_the_terminal() {
        let line = r#"{"level":"info","msg":"name \u001b[2J\u0007\r\nx","user":"\u001b]0;x"}"#;
        let text = shown(line);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\r', '\n']), "{text:?}");
    }
}
