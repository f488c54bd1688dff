//! Mattermost Apps: what a manifest says, what a bundle holds, what everything is called, and which function answers a call.
//!
//! # Promises
//! - The names of functions and objects are those of Mattermost's own plugin and tool, byte for byte, wherever AWS accepts them.
//! - A bundle is hostile until it has been read: every size, name and count of it is bounded.
//!
//! # Refuses
//! - To know AWS or a deployment: `apps-aws` and the command line stand above.
//!
//! # Rejected designs
//! - The long function names of Mattermost's plugin as they are: with dots in the id or version AWS refuses them.
#![forbid(unsafe_code)]

mod about;
mod archive;
mod bundle;
mod call;
mod checks;
mod convert;
pub mod deployer;
mod error;
pub mod event;
mod file;
mod found;
mod generation;
mod go;
mod located;
mod manifest;
pub mod mattermost;
pub mod names;
mod object;
mod pack;
mod package;
mod reader;
mod reading;
mod route;
mod rules;
pub mod runtime;
pub mod runtimes;
mod section;
pub mod serve;
pub mod source;
mod template;
mod terraform;

pub use about::About;
pub use archive::{ARCHIVE_MAX, Entry};
pub use bundle::{ASSET_MAX, Asset, Bundle};
pub use convert::{Converted, convert, convert_bundle};
pub use error::Error;
pub use file::read_file;
pub use generation::Generation;
pub use manifest::{
    AwsLambda, Call, DeployType, Function, Http, Manifest, OpenFaas, OpenFaasFunction, Plugin,
};
pub use pack::{Packed, pack};
pub use package::{DIRECT_MAX, Package, advice};
pub use reading::{Given, MANIFEST_LIMIT};
pub use route::route;
pub use rules::is_app_id;
pub use template::{TEMPLATES, Template, template};
pub use terraform::terraform_data;
