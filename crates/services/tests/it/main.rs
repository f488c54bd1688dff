//! The checks against real servers on loopback: aiosmtpd, oauth2-mock-server, nginx; and scripted ones for what a
//! real one does only on bad days.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod authority;
mod child;
mod front;
mod gitlab;
mod mail;
mod scripted;
