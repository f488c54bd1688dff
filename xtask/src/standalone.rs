//! Mainstay without shared libraries: what a container image made from scratch needs. The normal build stays dynamic, because a machine's
//! own name services (LDAP, mDNS) are shared libraries.

use std::path::PathBuf;

use xtask::run::{Failure, cargo_with, target};

/// This machine's target by name: with it the flags below reach no build script and no procedural macro.
fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Builds it under a profile; returns where it is.
fn build(profile: &str, directory: &str, settings: &[(&str, &str)]) -> Result<PathBuf, Failure> {
    let triple = triple();
    let flags = [("RUSTFLAGS", "-C target-feature=+crt-static")];
    cargo_with(
        &["build", "--profile", profile, "--package", "mainstay", "--target", &triple],
        &[&flags[..], settings].concat(),
    )?;
    Ok(target().join(triple).join(directory).join("mainstay"))
}

/// One to try, and for the tests: quick to build, without what only a debugger reads.
pub(crate) fn quick() -> Result<PathBuf, Failure> {
    build("dev", "debug", &[("CARGO_PROFILE_DEV_DEBUG", "false"), ("CARGO_PROFILE_DEV_STRIP", "true")])
}

/// The one that is measured.
pub(crate) fn released() -> Result<PathBuf, Failure> {
    build("release", "release", &[])
}

/// The one that is shipped, beside the dynamic one.
pub(crate) fn shipped() -> Result<(), Failure> {
    let built = build("dist", "dist", &[])?;
    // Under another name first: a copy cut short must not be taken for a program.
    let (staged, there) = (target().join("dist/.mainstay-static"), target().join("dist/mainstay-static"));
    std::fs::copy(built, &staged)?;
    Ok(std::fs::rename(staged, there)?)
}
