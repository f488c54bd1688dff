//! The tests of `main.rs` on PostgreSQL, and tests of failures that only a database server has.

mod account;
mod bad_input;
mod bounds;
mod channel;
mod command;
mod durability;
mod effects;
#[path = "engine_postgres.rs"]
mod engine;
mod erasure;
mod files;
mod gitlab;
mod hooks;
mod limits;
/// What needs programs other than our own: `cargo xtask test --quick` skips it.
mod full {
    mod mail;
}
mod local_channel;
mod lock;
mod login;
mod outage;
mod post;
mod receiver;
mod refusal;
mod search;
mod site;
mod socket;
mod system;
mod team;
mod thread;
mod token;
mod web;
