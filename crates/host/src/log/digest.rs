//! Which lines of a program are written, and which are only counted.
//!
//! A log of bounded size forgets its oldest lines, so whoever can make a program write fast can make it forget. Therefore
//! lines of one kind (the same level and message) are written as they come up to a number, then slowly; what is left out is
//! counted, and the count is written. Of a kind that tells its client, each client has a smaller number of its own, so that
//! a flood from one hides nobody else.
//!
//! The message is without numbers, names and addresses where a program writes JSON, as Mattermost and the built-in server
//! do. In other text, words with a digit do not count.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// How many lines are written.
#[derive(Debug, Clone, Copy)]
struct Budget {
    burst: f64,
    per_second: f64,
}

/// Of one kind from one client. Two kinds at once leave room in what `mainstay logs` shows by default, 50 lines.
const OF_CLIENT: Budget = Budget { burst: 20.0, per_second: 0.1 };

/// Of one kind from all clients together, and of a kind without clients. A line has some 300 bytes: 26 MB a day.
const OF_KIND: Budget = Budget { burst: 1000.0, per_second: 1.0 };

/// The most kinds and clients that are told apart; further ones count as one.
const KINDS: usize = 2000;

/// The longest part of a message that tells its kind, in characters.
const MESSAGE: usize = 80;

/// How often a count is written while a flood lasts.
const PERIOD: Duration = Duration::from_secs(10);

/// Decides about one line after the other.
#[derive(Debug, Default)]
pub(super) struct Digest {
    counters: HashMap<Kind, Counter>,
    /// Whether anything is counted that was not told.
    untold: bool,
    forgot_at: Option<Instant>,
}

/// What lines have in common that count as the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    level: String,
    message: String,
    client: Option<String>,
}

#[derive(Debug)]
struct Counter {
    left: f64,
    at: Instant,
    /// Lines that were left out since the last count, and when that was.
    left_out: u64,
    told_at: Instant,
}

impl Counter {
    fn new(budget: Budget, now: Instant) -> Self {
        Self { left: budget.burst, at: now, left_out: 0, told_at: now }
    }

    fn take(&mut self, budget: Budget, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * budget.per_second).min(budget.burst);
        self.at = now;
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

impl Digest {
    /// Whether `line` is written.
    pub(super) fn admits(&mut self, line: &[u8], now: Instant) -> bool {
        let kind = Kind::of(line);
        let all = Kind { client: None, ..kind.clone() };
        let admitted = (kind.client.is_none() || self.counter(&kind, OF_CLIENT, now).take(OF_CLIENT, now))
            && self.counter(&all, OF_KIND, now).take(OF_KIND, now);
        if !admitted {
            self.counter(&kind, OF_CLIENT, now).left_out += 1;
            self.untold = true;
        }
        admitted
    }

    fn counter(&mut self, kind: &Kind, budget: Budget, now: Instant) -> &mut Counter {
        if self.counters.len() >= KINDS && !self.counters.contains_key(kind) {
            self.forget(now);
        }
        let kind = match self.counters.len() < KINDS || self.counters.contains_key(kind) {
            true => kind.clone(),
            false => Kind { level: kind.level.clone(), message: "lines of many kinds".into(), client: None },
        };
        self.counters.entry(kind).or_insert_with(|| Counter::new(budget, now))
    }

    /// Forgets the kinds that did not come for long.
    fn forget(&mut self, now: Instant) {
        if self.forgot_at.is_some_and(|at| now.saturating_duration_since(at) < PERIOD) {
            return;
        }
        self.forgot_at = Some(now);
        let refilled = Duration::from_secs_f64(OF_CLIENT.burst / OF_CLIENT.per_second);
        self.counters.retain(|_, counter| {
            counter.left_out > 0 || now.saturating_duration_since(counter.at) < refilled
        });
    }

    /// Lines about what was left out, if some time has passed, or at the `end`.
    pub(super) fn notes(&mut self, now: Instant, end: bool) -> Vec<String> {
        if !self.untold {
            return Vec::new();
        }
        let mut notes = Vec::new();
        self.untold = false;
        for (kind, counter) in &mut self.counters {
            if counter.left_out == 0 {
                continue;
            }
            if !end && now.saturating_duration_since(counter.told_at) < PERIOD {
                self.untold = true;
                continue;
            }
            let Kind { level, message, client } = kind;
            let client = client.as_ref().map(|client| format!(" (client {client})")).unwrap_or_default();
            let lines = if counter.left_out == 1 { "line" } else { "lines" };
            notes.push(format!(
                "mainstay: {} more {lines} like this left out: {level} {message}{client}\n",
                counter.left_out
            ));
            counter.left_out = 0;
            counter.told_at = now;
        }
        notes.sort();
        notes
    }
}

/// The parts of a line of JSON that tell its kind: Mattermost's `msg`, or the built-in server's `fields`.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    level: String,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    fields: Fields,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    message: String,
    client: Option<String>,
}

/// Whether a line tells of an error, or is text without a level, as of a program that breaks down: nobody but the program itself
/// makes it write those.
pub(super) fn is_error(line: &[u8]) -> bool {
    let level = Kind::of(line).level.to_ascii_lowercase();
    matches!(&*level, "" | "error" | "critical" | "fatal" | "panic")
}

impl Kind {
    fn of(line: &[u8]) -> Self {
        let cut = |text: &str| text.chars().take(MESSAGE).collect::<String>();
        match serde_json::from_slice::<Entry>(line) {
            Ok(Entry { level, msg, fields }) => Self {
                level: cut(&level),
                message: cut(if msg.is_empty() { &fields.message } else { &msg }),
                client: fields.client.as_deref().map(cut),
            },
            Err(_) => {
                let text = String::from_utf8_lossy(&line[..line.len().min(4 * MESSAGE)]);
                let words =
                    text.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
                let message = cut(&words.collect::<Vec<_>>().join(" "));
                Self { level: String::new(), message, client: None }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(client: &str) -> String {
        format!(r#"{{"level":"INFO","fields":{{"message":"a request was refused","client":"{client}"}}}}"#)
    }

    fn admitted(digest: &mut Digest, line: &str, times: usize, now: Instant) -> usize {
        (0..times).filter(|_| digest.admits(line.as_bytes(), now)).count()
    }

    #[test]
    fn a_flood_is_counted_and_hides_nobody_else() {
        let (mut digest, now) = (Digest::default(), Instant::now());
        assert_eq!(admitted(&mut digest, &refused("203.0.113.9"), 48_000, now), 20);
        assert_eq!(admitted(&mut digest, &refused("198.51.100.1"), 1, now), 1, "another client");
        let error = r#"{"level":"ERROR","fields":{"message":"a batch of writes was not committed"}}"#;
        assert_eq!(admitted(&mut digest, error, 1, now), 1, "another kind");
        assert!(digest.notes(now, false).is_empty(), "not so soon");
        let later = now + PERIOD;
        let told = [
            "mainstay: 47980 more lines like this left out: INFO a request was refused (client 203.0.113.9)\n",
        ];
        assert_eq!(digest.notes(later, false), told);
        assert!(digest.notes(later + PERIOD, true).is_empty(), "told once");
        assert_eq!(admitted(&mut digest, &refused("203.0.113.9"), 10, later), 1, "one more after a while");
        assert_eq!(digest.notes(later, true).len(), 1, "all is told at the end");
    }

    #[test]
    fn a_flood_from_any_number_of_clients_is_one_flood() {
        let (mut digest, now) = (Digest::default(), Instant::now());
        let written: usize =
            (0..48_000).map(|n| admitted(&mut digest, &refused(&format!("2001:db8::{n:x}")), 1, now)).sum();
        assert_eq!(written, 1000);
        assert!(digest.counters.len() <= KINDS + 1, "{}", digest.counters.len());
        let told: u64 = digest
            .notes(now, true)
            .iter()
            .filter_map(|note| note.split(' ').nth(1)?.parse::<u64>().ok())
            .sum();
        assert_eq!(told, 47_000);
    }

    #[test]
    fn mattermosts_lines_and_plain_text_have_kinds_too() {
        for (one, other, same) in [
            (
                r#"{"level":"error","msg":"Invalid","id":1}"#,
                r#"{"level":"error","msg":"Invalid","id":2}"#,
                true,
            ),
            (r#"{"level":"error","msg":"Invalid"}"#, r#"{"level":"warn","msg":"Invalid"}"#, false),
            ("12:01:02 [77] FATAL: no", "12:01:03 [78] FATAL: no", true),
            ("panic: one", "panic: two", false),
            (r#"{"level":7}"#, r#"{"level":7}"#, true),
        ] {
            assert_eq!(Kind::of(one.as_bytes()) == Kind::of(other.as_bytes()), same, "{one} {other}");
        }
    }
}
