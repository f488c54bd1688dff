//! What a server does with a setting that it is given: it follows it, it does nothing with it, or the value is refused, because
//! with it people would be locked out, a protection would be missing, or data would be where nobody looks for it.
//!
//! Which keys a *version* has is in [`crate::known`]; this is what the *code* of a server does with them. A test of `mainstay`
//! compares [`followed_by_builtin`] with the keys that the built-in server reads.

mod builtin;
mod refusals;

use serde_json::Value;

use crate::known;
use crate::row::Row;
use crate::server::{Line, Server};
use refusals::REFUSALS;

pub use builtin::followed as followed_by_builtin;

/// What a server does with a value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "does")]
pub enum Effect {
    /// It does what the setting says.
    Followed,
    /// Nothing.
    Nothing {
        /// Why.
        why: String,
    },
    /// Mainstay does not start it with that value.
    Refused {
        /// What would happen.
        why: String,
        /// What to do.
        instead: String,
    },
}

/// What that server does with that value of a key that its version has.
pub fn effect(server: Server, section: &str, key: &str, value: &Value) -> Effect {
    if let Some(refusal) =
        REFUSALS.iter().find(|refusal| refusal.is_about(server, section, key) && refusal.values.hold(value))
    {
        return Effect::Refused { why: refusal.why(server.line), instead: refusal.instead(server.line) };
    }
    match does_nothing(server, section, key) {
        Some(why) if server.line != Line::Builtin || !builtin::does_so_anyway(section, key, value) => {
            Effect::Nothing { why }
        }
        _ => Effect::Followed,
    }
}

/// Whether that value may follow from another setting, where nobody gave it: the server can be started with it.
pub(crate) fn may_follow(server: Server, section: &str, key: &str, value: &Value) -> bool {
    match effect(server, section, key, value) {
        Effect::Refused { .. } => false,
        Effect::Nothing { .. } | Effect::Followed => true,
    }
}

/// Why no value of that key does anything.
fn does_nothing(server: Server, section: &str, key: &str) -> Option<String> {
    if server.line == Line::Builtin {
        return builtin::why_nothing(section, key);
    }
    // What cannot be turned on has settings without effect.
    let refusal = REFUSALS.iter().find(|refusal| {
        refusal.whole_section && refusal.section.eq_ignore_ascii_case(section) && refusal.holds_for(server)
    });
    refusal.map(|refusal| refusal.lacking(server.line))
}

/// What that server does with a key, whatever its value, in words: `None` = it does what the setting says.
pub fn in_words(server: Server, section: &str, key: &str) -> Option<String> {
    known::find(section, key, server.version)?;
    if let Some(refusal) = REFUSALS.iter().find(|refusal| refusal.is_about(server, section, key)) {
        return Some(format!("refuses {}: {}", refusal.values.in_words(), refusal.why(server.line)));
    }
    does_nothing(server, section, key).map(|why| format!("has no effect: {why}"))
}

/// The same for a row of the table.
pub(crate) fn of_row(server: Server, row: &Row) -> Option<String> {
    let place = row.place(server.version)?;
    in_words(server, place.section, place.key)
}
