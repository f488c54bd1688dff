//! Apps on AWS: each function of a bundle as a Lambda function, its static files and manifest in a bucket of S3.
//!
//! # Promises
//! - A deployment is a plan of calls as data. It is on record in the bucket before the first call changes anything, and after the
//!   last: killed anywhere, the next run continues from there. Nothing that a run made stays behind unknown.
//! - A deployment that fails is undone: the version has the code, configuration, files and manifest that it had before.
//! - Only what differs is written. Unchanged: reading calls only.
//! - Nothing of another app is touched, and nothing of another tool unless somebody says so: functions carry tags, objects are on
//!   record, names that two apps share are refused.
//! - No secret is in a message or a record. Variables of functions stay with Lambda.
//!
//! # Refuses
//! - To deploy without the record: a bucket without conditional writes would let two runs overwrite each other.
//! - To know the command line or a deployment of Mattermost.
//!
//! # Rejected designs
//! - *A journal on the machine*: the next run may be another job of a pipeline, on another machine.
//! - *Aliases and published versions of Lambda*: Mattermost calls functions by their plain name.
//! - *Archives sent to Lambda directly*: they would have to be fetched back to undo a deployment. They go through the bucket, which
//!   also lifts the limit of 50 MB.
//! - *Locks in DynamoDB*: one more service, and one more permission, for what a conditional write does.
//! - *Reading the environment through the SDK alone*: `--plan` could not say where a value came from.
#![forbid(unsafe_code)]

mod account;
mod attach;
mod aws;
mod bundle;
mod bundles;
mod call;
mod check;
mod clean;
mod clock;
mod deploy;
mod desired;
mod digest;
mod failure;
mod holder;
mod init;
mod job;
mod lease;
mod list;
mod observed;
mod perform;
mod plan;
mod policy;
pub mod record;
mod settings;
mod store;
mod undeploy;
mod verify;

pub use account::Names;
pub use aws::Aws;
pub use bundle::Opened;
pub use bundles::{Bundles, Objects};
pub use call::Shown;
pub use check::check;
pub use clean::Clean;
pub use deploy::{Deployed, Deployment, Package, Turn};
pub use desired::{Desired, Item, Options, POLICY, ROLE, variable};
pub use digest::sha256;
pub use holder::Holder;
pub use init::{AccessKey, Init, handed_over};
pub use list::{Listed, listed};
pub use perform::{Contents, Watch};
pub use settings::{Flags, Keys, Settings, Settled, partition};
pub use undeploy::{Done, Step, versions};
pub use verify::Seen;
