//! The address of a database: read from any form that operators write, written for Mattermost's drivers.
//!
//! [`DataSource`] is what an address names: a file, or a database on a [`Server`]. It is read with `str::parse`, and
//! [`Server::data_source`] writes `SqlSettings.DataSource`.
//!
//! # Promises
//! - What is written is read back as the same server, but for two modes of TLS. Mattermost's MySQL driver has no
//!   `verify-ca`: the stricter `verify-full` is written. And `disable` is that driver's default, which is not written.
//! - No password is shown: addresses that cannot be read are not repeated in the error, `Debug` and `Display` mask.
//!
//! # Refuses
//! - To repair: an address that could be read in two ways is an error.
//! - Addresses with several hosts: failover is for a proxy or DNS, and no check could say which host failed.
//!
//! # Rejected designs
//! - The `url` crate: it refuses a user without a host (sockets), and repairs what should be refused.
//! - One type for SQLite and servers: a file has no host, no user and nothing to wait for.
#![forbid(unsafe_code)]

mod engine;
mod error;
mod host;
mod read;
mod server;
mod source;
mod tls;
mod write;

pub use engine::Engine;
pub use error::{AddressError, Part, Unwritable};
pub use host::Host;
pub use server::Server;
pub use source::DataSource;
pub use tls::{Tls, TlsMode};
