//! A statically linked Mainstay, because a container image made from scratch has no libraries. The normal build is dynamic: a machine's
//! name services (LDAP, mDNS) are shared libraries.

use std::path::PathBuf;

use xtask::run::{Failure, cargo_with, target};

/// This machine's target. Named explicitly, so that the flags below do not apply to build scripts and procedural macros.
fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Builds it with a profile; returns its path.
fn build(profile: &str, directory: &str, settings: &[(&str, &str)]) -> Result<PathBuf, Failure> {
    let triple = triple();
    let flags = [("RUSTFLAGS", "-C target-feature=+crt-static")];
    cargo_with(
        &["build", "--profile", profile, "--package", "mainstay", "--target", &triple],
        &[&flags[..], settings].concat(),
    )?;
    Ok(target().join(triple).join(directory).join("mainstay"))
}

/// For the tests, and to try: quick to build, without debug information. Its version is the next one after this workspace's, so that
/// the tests have two programs of different versions.
pub(crate) fn quick() -> Result<PathBuf, Failure> {
    let settings = [
        ("CARGO_PROFILE_DEV_DEBUG", "false"),
        ("CARGO_PROFILE_DEV_STRIP", "true"),
        ("MAINSTAY_VERSION", &*next_version()),
    ];
    build("dev", "debug", &settings)
}

/// The patch version after this workspace's.
fn next_version() -> String {
    let (series, patch) = env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap_or(("0.0", "0"));
    format!("{series}.{}", patch.parse::<u32>().unwrap_or_default() + 1)
}

/// For benchmarks.
pub(crate) fn released() -> Result<PathBuf, Failure> {
    build("release", "release", &[])
}

/// For users, beside the dynamic one in `target/dist`.
pub(crate) fn shipped() -> Result<(), Failure> {
    let built = build("dist", "dist", &[])?;
    // Copied under another name first, so that an interrupted copy is not taken for the program.
    let (staged, there) = (target().join("dist/.mainstay-static"), target().join("dist/mainstay-static"));
    std::fs::copy(built, &staged)?;
    Ok(std::fs::rename(staged, there)?)
}
