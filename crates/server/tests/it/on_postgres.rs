//! The tests of `main.rs` on PostgreSQL, and those of what can happen to a database server only.

mod account;
mod bad_input;
mod channel;
mod durability;
#[path = "engine_postgres.rs"]
mod engine;
mod files;
mod login;
mod outage;
mod post;
mod refusal;
mod site;
mod socket;
mod system;
mod team;
mod thread;
mod web;
