//! The settings of a deployment: read, checked, explained and written to config.json.
//!
//! Promise: one table ([`table::AREAS`], beside it [`KEYS`] for Mainstay's own and [`known`] for every key of the
//! server's config.json) says which settings there are. Environment, `mainstay.toml`, config.json for any release,
//! `explain`, JSON Schema and reference page are all read from it, so that a setting cannot exist in one of them alone.
//! Every mistake is reported at once, each with its place, what is allowed and the nearest right name; no message shows a
//! secret. A setting without effect in the chosen release is reported, never dropped silently.
//!
//! The order of work: [`parse`] reads `mainstay.toml`; [`resolve`] collects the layers of every setting and checks them;
//! [`reconcile`] decides what config.json becomes, and who decides each key; [`explain`], [`Reconciled::drift`], [`schema`] and
//! [`reference`] describe the result.
//!
//! Refused: reading the process environment, the clock or a file. Texts and maps come in, texts and values go out; the
//! caller does the reading and the durable writing.
//!
//! Rejected designs:
//! - `serde` derive for `mainstay.toml`: it stops at the first mistake and knows no nearest name.
//! - `figment` / `config`: string keys, and no place of a value in its file.
//! - text substitution in a template (docker-mattermost's way): a quote breaks the file, and values are expanded twice.
//! - a macro for the table: `const` rows read as well, and the compiler's messages stay readable.
//! - a three-way merge of whole files: it cannot tell whose a key is, and `explain` must.
//! - a mark beside each key in config.json: the server drops keys that it does not know.
//! - rewriting `mainstay.toml` from data: the comments are the operator's; changes go through `toml_edit`.

pub mod capability;
mod check;
mod config;
mod declared;
mod derive;
mod environment;
mod explain;
mod finding;
mod format;
mod kept;
mod keys;
mod kind;
pub mod known;
mod layering;
mod libpq;
mod memory;
mod origin;
mod ownership;
mod placeholder;
mod published;
mod reference;
mod required;
mod resolve;
mod resolved;
mod row;
mod schedule;
mod schema;
mod secrets;
mod server;
pub mod table;
mod toml_error;
mod toml_value;
mod unusable;
mod updates;
mod wanted;

pub use ::finding::nearest;
pub use config::{in_text, mask};
pub use declared::Declared;
pub use environment::{ReadFile, as_meant, in_file, of_file, of_settings};
pub use explain::{Entry, Explanation, Held, InForce, explain, list};
pub use finding::{Finding, Findings, HIDDEN, Notice, in_lines};
pub use kept::{keeping_salts, lost_salts};
pub use keys::{KEYS, Key};
pub use kind::{Kind, rate};
pub use memory::{Memory, MemoryError};
pub use origin::Origin;
pub use ownership::{Drift, Owner, Present, Reason, Reconciled, State, Undeclared, reconcile, render};
pub use published::{Published, published};
pub use reference::reference;
pub use resolve::{Defaults, Sources, resolve};
pub use resolved::{Layer, Resolved, Setting};
pub use row::{Change, Form, Place, Row};
pub use schedule::{SCHEDULABLE, Schedulable, ScheduleOption, ScheduledOperation, check_cron};
pub use schema::schema;
pub use secrets::{
    DATABASE_PASSWORD, Rotated, SALTS, Salt, Secrets, VERIFIER, random_password, rotatable, rotated,
};
pub use server::{Line, Server};
pub use unusable::{Unusable, unusable};
pub use wanted::{Wanted, change, parse, write};
