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

mod call;
mod checks;
pub mod deployer;
mod error;
pub mod event;
mod file;
mod found;
mod generation;
mod located;
mod manifest;
pub mod mattermost;
pub mod names;
mod object;
mod reading;
mod route;
mod rules;
mod section;
pub mod source;

pub use error::Error;
pub use file::read_file;
pub use generation::Generation;
pub use manifest::{
    AwsLambda, Call, DeployType, Function, Http, Manifest, OpenFaas, OpenFaasFunction, Plugin,
};
pub use reading::MANIFEST_LIMIT;
pub use route::route;
