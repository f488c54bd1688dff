//! The cloud deployer: deploys every new bundle of a bucket, once, and says so.
//!
//! # Promises
//! - A bundle is marked as deployed (a tag of the object, with the environment's name) after it is deployed, and for the content that was
//!   deployed: what is put under the same key later is deployed again, whatever happens in between. Other tags stay.
//! - A bundle that fails does not keep the next one from being deployed. It is tried again after a wait that doubles, and at once
//!   when its content changes.
//! - One instance of an environment works at a time: it holds a lease, which is an object of the bucket and written under a condition. An
//!   instance that was killed loses it five minutes after it last wrote it.
//! - A notification is sent at least once, also if this process is killed or Mattermost is away.
//!
//! # Rejected designs
//! - Remembering deployed bundles in a file or database: the bucket outlives both, and people see tags.
//! - A tag of one value, as Mattermost's own deployer sets it, alone: a bundle that is replaced while it is deployed would count as
//!   deployed. Theirs is read and set; a second tag says which content it was.

mod choice;
mod environment;
mod lease;
mod metrics;
mod notice;
mod pass;

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::Error;
pub use environment::{Environment, Tags};
pub use metrics::{Metrics, serve};
pub use notice::Hooks;
pub use pass::{Deployer, Done, Failed, Pass, Waiting};

/// An object of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// What its content is recognized by.
    pub etag: String,
    /// How large it is, in bytes.
    pub size: u64,
    /// When it was written.
    pub modified: Timestamp,
}

/// Some objects, and where the next ones begin.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// In the order of their keys.
    pub objects: Vec<Object>,
    /// What [`Bucket::list`] is asked with for the next page.
    pub next: Option<String>,
}

/// A small object that instances share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Its content.
    pub bytes: Vec<u8>,
    /// What its content is recognized by.
    pub etag: String,
    /// How long ago it was written, by the bucket's own clock.
    pub age: std::time::Duration,
}

/// The bucket that bundles are put into. This crate knows no AWS: the one that does implements it.
pub trait Bucket: Sync {
    /// The bucket's name.
    fn name(&self) -> &str;

    /// A page of the objects whose keys begin with `prefix`.
    fn list(&self, prefix: &str, next: Option<&str>) -> impl Future<Output = Result<Page, Error>> + Send;

    /// The tags of an object; `None`: it is gone.
    fn tags(&self, key: &str) -> impl Future<Output = Result<Option<Tags>, Error>> + Send;

    /// Replaces the tags of an object.
    fn set_tags(&self, key: &str, tags: &Tags) -> impl Future<Output = Result<(), Error>> + Send;

    /// Writes an object's content into a new file, if it still is that content and has no more bytes than `most`.
    fn download(
        &self,
        object: &Object,
        into: &Path,
        most: u64,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Reads a small object; `None`: there is none.
    fn read_shared(&self, key: &str) -> impl Future<Output = Result<Option<Shared>, Error>> + Send;

    /// Writes a small object if its content is the expected one (`None`: if there is none). Its new etag; `None`: somebody else
    /// wrote it.
    fn write_shared(
        &self,
        key: &str,
        bytes: Vec<u8>,
        expected: Option<&str>,
    ) -> impl Future<Output = Result<Option<String>, Error>> + Send;
}

/// Deploys bundles.
pub trait Deploy {
    /// Deploys the bundle in this file. `from` is where it came from, as it may be shown.
    fn deploy(&self, bundle: &Path, from: &str) -> impl Future<Output = Result<Deployed, Error>>;
}

/// An app that was deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Deployed {
    /// The app.
    pub app_id: String,
    /// Its version.
    pub version: String,
    /// What people see.
    pub display_name: String,
    /// Where it is described.
    pub homepage_url: String,
}
