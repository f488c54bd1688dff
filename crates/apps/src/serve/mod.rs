//! An app that answers by HTTP: its manifest, its static files, and its calls, by functions that run here or by a program that
//! listens on a port of its own.
//!
//! # Promises
//! - With a secret, no call is answered without a valid token.
//! - Without one, no web page of another site calls the app.
//! - A static file is one that the bundle lists: what a path says is looked up, and never joined to a directory.
//! - Requests, answers, connections and their times are bounded, and callers who send nothing keep nobody out.

mod client;
mod front;
mod paced;
mod page;
mod token;
mod unit;
mod wire;

pub use client::Running;
pub use front::{Backend, Front, Program, installable};
pub use token::{HEADER as TOKEN_HEADER, SECRET_MIN, Secret};
pub use unit::Unit;
pub use wire::{bind, may_listen, serve};
