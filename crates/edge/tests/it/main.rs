//! The edge between real sockets, with clients and upstreams that behave well and that do not.

// All of this is test code, but clippy recognises only functions marked with `#[test]`.
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
