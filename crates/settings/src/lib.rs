//! What an operator wants, checked and rendered.
//!
//! Promise: one table ([`keys::KEYS`]) says which keys `mainstay.toml` has. The parser, the file that a first
//! `up` writes and the messages about mistakes are all read from it, so a key cannot exist in one of them alone.
//! Every mistake of a file is reported at once, each with its line, what is allowed and the nearest right name.
//!
//! Refused: reading the process environment, the clock or a file. Texts come in, texts and values go out; the
//! caller does the reading and the durable writing.
//!
//! Rejected designs:
//! - `serde` derive for `mainstay.toml`: it stops at the first mistake and knows no nearest name.
//! - `figment` / `config`: string keys, and no place of a value in its file.
//! - rewriting `mainstay.toml` from data: the comments are the operator's; changes go through `toml_edit`.

mod finding;
mod keys;
mod nearest;
mod rendered;
mod secrets;
mod wanted;

pub use finding::{Finding, Findings};
pub use keys::{KEYS, Key, Kind};
pub use nearest::nearest;
pub use rendered::{Declared, render};
pub use secrets::Secrets;
pub use wanted::{Wanted, change, parse, write};
