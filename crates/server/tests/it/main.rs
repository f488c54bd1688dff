//! The server on loopback with SQLite. The tests use HTTP and websockets, as any client does.

mod account;
mod bad_input;
mod bounds;
mod channel;
mod command;
mod durability;
mod effects;
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
mod post;
mod receiver;
mod search;
mod site;
mod socket;
mod sqlite;
mod system;
mod team;
mod thread;
mod token;
mod web;
