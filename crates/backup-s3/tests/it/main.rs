//! Repositories in a real server of S3 on loopback, which checks signatures, and every way it can fail.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[allow(dead_code, reason = "the tests of directories use all of it")]
#[path = "../../../backup/tests/it/place.rs"]
mod place;
mod server;

mod calls;
mod faults;

mod full {
    mod restic;
}
