//! Findings: what was seen, why, what to do, how bad it is and where. Every check, diagnosis and preflight reports in this form.
//!
//! # Promises
//! - One [`Finding`], one [`Report`]: the same facts as text, as Markdown and as JSON. Text from elsewhere cannot add a line, a
//!   column or markup to them.
//! - [`Exit`] is the only table of exit codes: the command line ends with them, and the reference page is generated from it.
//! - A [`Hint`] holds its commands as data, each word quoted for a shell. Whoever shows it says how they are typed where the reader is.
//! - [`Unreached`] classifies failures of DNS, the network and TLS, and [`disk`] those of files, once for every crate. Each has
//!   words for an operator. A caller that knows more about its service (a setting's name, a proxy's directive) replaces the cause
//!   or the fix; it does not classify again.
//!
//! # Refuses
//! - To depend on another crate of the workspace, a network stack or a runtime: every crate may use this one. The types of
//!   rustls and hyper are known behind the features of these names, for the crates that link them anyway.
//! - To guess: an error that is not recognized is [`Unreached::Other`], with the library's own words.
//!
//! # Rejected designs
//! - *miette* and *ariadne*: they draw source code for compiler users; a finding is about a machine and has to exist as JSON.
//! - *A trait `Explain` that every error implements*: each crate then invents its own struct for the answer again.
//! - *Reading the libraries' messages*: they change with each version. The one exception is a failed look-up of a host name,
//!   for which neither the standard library nor hyper has a type.
//! - *Severity as a number*: nobody knows whether 3 is bad. A finding either stops its reader or does not.
#![forbid(unsafe_code)]

pub mod disk;

mod certificate;
mod check;
mod exit;
mod finding;
mod hint;
mod location;
mod nearest;
mod network;
mod peer;
mod report;
mod text;

pub use certificate::CertificateFlaw;
pub use check::{Check, Verdict};
pub use exit::Exit;
pub use finding::{Finding, Severity};
pub use hint::{Command, Hint, SAME, quoted};
pub use location::Location;
pub use nearest::nearest;
pub use network::Unreached;
pub use peer::Peer;
pub use report::Report;
pub use text::{counted, in_markdown, moment, one_line, visible, visible_lines};
