//! Our container image: what is in it, how it is built and pushed, and the Compose file that runs it.
//!
//! Promise: an image holds one release and a static `mainstay`, and starts without a shell or a loader. It appears in its place when it
//! is complete, and an interrupted build leaves nothing behind. The Compose file says what `mainstay.toml` and the environment say, for
//! Compose 1.29 and 2.x alike; secrets stand in env-files that only their owner may read, and no file is ever overwritten.
//!
//! Refused: an image that could not start (wrong processor, missing loader, no certificates); a secret that the two readers of env-files
//! would read differently.
//!
//! Nothing of a deployment is read or changed here: the caller passes the release, the resolved settings and the secrets as data. What the
//! deployment in the container relies on is in `container-contract`.
//!
//! Rejected designs:
//! - A plan with steps and a journal for a build: the last step is one rename, so there is nothing to undo.
//! - `docker build` as the only way: it needs a daemon, and the same sources give other bytes each time. [`Output::Context`] still writes a
//!   Dockerfile for those who want to add lines to it.
//! - The name `image`, as the house's first plan had it: a registry crate that two other rooms use has this name.

mod build;
pub mod compose;
mod context;
mod credentials;
mod error;
mod name;
mod output;
mod program;
mod push;
mod scratch;

pub use build::{Built, Recipe, Stage, build, open};
pub use credentials::login_for;
pub use error::Error;
pub use name::{default_name, familiar, parse_name};
pub use output::Output;
pub use program::static_mainstay;
pub use push::{Push, push};
pub use scratch::Scratch;
