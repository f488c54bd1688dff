//! Apps: time to check a bundle of 20 MB, compared with `unzip -t`, which only compares checksums; calls of functions here; calls of
//! AWS that a deployment makes.

use std::path::Path;
use std::process::{Command, Stdio};

use xtask::run::Failure;

use crate::up::wall;
use crate::{Spread, row};

const RUNS: usize = 40;
pub(crate) const FUNCTIONS: usize = 10;
pub(crate) const FILES: usize = 200;
/// The size of each function's program, which does not compress.
const PROGRAM: usize = 2_000_000;

pub(crate) fn run(mainstay: &Path) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let bundle = dir.path().join("app.zip");
    app(&dir.path().join("app"))?;
    let mut make = Command::new(mainstay);
    make.args(["apps", "bundle"])
        .arg(dir.path().join("app"))
        .arg("--output")
        .arg(&bundle)
        .stdin(Stdio::null());
    let made = wall(&mut make)?;
    let mut validate = Command::new(mainstay);
    validate.args(["apps", "validate"]).arg(&bundle).stdin(Stdio::null());
    let mut unzip = Command::new("unzip");
    unzip.arg("-tqq").arg(&bundle);
    let (mut ours, mut theirs, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(wall(&mut validate)?);
        theirs.push(wall(&mut unzip)?);
        nothing.push(wall(Command::new(mainstay).arg("--help"))?);
    }
    let (ours, theirs) = (Spread::of(ours), Spread::of(theirs));
    let size = std::fs::metadata(&bundle)?.len() / 1_000_000;
    println!("\n{:<44} {:<34} aim", "median (least to most)", "");
    row(&format!("validate {size} MB, {FUNCTIONS} functions, {FILES} files, ms"), &ours, "<= 10");
    row("unzip -t of the same, ms", &theirs, "");
    row("mainstay --help, ms", &Spread::of(nothing), "");
    row("ratio validate : unzip", &format!("{:>10.2}", ours.median / theirs.median), "");
    row("bundle of the directory, once, ms", &format!("{made:>10.1}"), "");
    Ok(())
}

/// Writes the directory of an app.
pub(crate) fn app(dir: &Path) -> Result<(), Failure> {
    let mut functions = Vec::new();
    std::fs::create_dir_all(dir.join("static"))?;
    for index in 0..FUNCTIONS {
        let name = format!("function{index}");
        std::fs::create_dir_all(dir.join(&name))?;
        let program = dir.join(&name).join("bootstrap");
        std::fs::write(&program, noise(PROGRAM, index as u64 + 1))?;
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        functions.push(serde_json::json!({
            "path": format!("/{index}"), "name": name, "handler": "bootstrap", "runtime": "provided.al2023",
        }));
    }
    for index in 0..FILES {
        std::fs::write(dir.join(format!("static/file{index}.txt")), "some text\n".repeat(50))?;
    }
    let manifest = serde_json::json!({
        "app_id": "com.example.bench", "version": "1.0.0", "display_name": "Bench",
        "homepage_url": "https://example.org", "aws_lambda": {"functions": functions},
    });
    Ok(std::fs::write(dir.join("manifest.json"), manifest.to_string())?)
}

/// Bytes that do not compress, the same in every run: xorshift.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes
}
