//! The edge between real sockets, with clients and upstreams that behave well and that do not.

// All of this is test code, but clippy recognises only functions marked with `#[test]`.
#![allow(clippy::unwrap_used)]

mod access;
mod addresses;
mod drain;
mod early;
mod faults;
mod handover;
mod heads;
mod hold;
mod limits;
mod local;
mod messages;
mod parts;
mod slow;
mod smuggling;
mod streaming;
mod tls;
mod unix;
mod websocket;
