//! The edge between real sockets: clients that behave and clients that do not, upstreams that answer and upstreams that break.

// All of this is test code; clippy only knows the functions marked so.
#![allow(clippy::unwrap_used)]

mod drain;
mod faults;
mod handover;
mod limits;
mod messages;
mod parts;
mod smuggling;
mod streaming;
mod tls;
mod websocket;
