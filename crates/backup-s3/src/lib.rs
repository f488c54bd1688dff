//! A backup repository in S3, or in other storage that speaks its protocol.
//!
//! # Promises
//! - A file is written whole or not at all, and looked at afterwards: what the storage says that it has is what was sent.
//! - A call that the storage throttles or fails is tried again, five times in all; no call waits for ever.
//! - Every failure is in words: which permission is missing, which region is right, what to do.
//! - No key or secret is shown, logged or put into an error.
//!
//! # Refuses
//! - To make a bucket: who may read it, how long it keeps what, and what it costs are its owner's decisions.
//! - A file of credentials that others may read.
//!
//! # Rejected designs
//! - *`object_store`*: a second client of S3 beside the one that apps use, with its own TLS settings and credentials.
//! - *Uploads in parts*: the files of a repository have some megabytes; a single call is whole or not at all.
//! - *A runtime of the caller's*: the engine of backups calls from threads of its own.
#![forbid(unsafe_code)]

mod bucket;
mod connect;
mod failure;

pub use bucket::Bucket;
pub use connect::Place;
