//! The server on loopback, spoken to over HTTP and websockets as any client speaks to it.

mod account;
mod bad_input;
mod channel;
mod durability;
mod files;
mod login;
mod post;
mod site;
mod socket;
mod system;
mod team;
mod thread;
mod web;
