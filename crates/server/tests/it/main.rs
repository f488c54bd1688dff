//! The server on loopback, with SQLite, spoken to over HTTP and websockets as any client speaks to it.

mod account;
mod bad_input;
mod channel;
mod durability;
mod engine;
mod files;
mod login;
mod post;
mod site;
mod socket;
mod sqlite;
mod system;
mod team;
mod thread;
mod web;
