//! Runs other programs and prints each command line first.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Why a command failed, in words for the developer who ran it.
pub struct Failure(pub String);

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// The target directory that this xtask was built into.
#[expect(clippy::disallowed_methods, reason = "a developer may choose it in the environment")]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs a program in the workspace's root and waits for its success.
pub fn run(program: &str, args: &[&str]) -> Result<(), Failure> {
    run_with(program, args, &[])
}

/// The same, with these variables set.
fn run_with(program: &str, args: &[&str], variables: &[(&str, &str)]) -> Result<(), Failure> {
    let set: String = variables.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
    println!("$ {set}{program} {}", args.join(" "));
    let status =
        Command::new(program).args(args).envs(variables.iter().copied()).current_dir(root()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure(format!("`{program} {}` ended with {status}", args.join(" ")))),
        Err(error) => Err(Failure(format!("cannot run `{program}`: {error}"))),
    }
}

/// The cargo that started xtask.
#[expect(clippy::disallowed_methods, reason = "cargo names itself in the environment")]
pub fn cargo_program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Runs cargo.
pub fn cargo(args: &[&str]) -> Result<(), Failure> {
    run(&cargo_program(), args)
}

/// The same, with these variables set.
pub fn cargo_with(args: &[&str], variables: &[(&str, &str)]) -> Result<(), Failure> {
    run_with(&cargo_program(), args, variables)
}

/// Runs a program and returns what it prints on stdout.
pub fn output(program: &Path, args: &[&str]) -> Result<String, Failure> {
    let output = Command::new(program).args(args).current_dir(root()).output();
    let output = output.map_err(|error| Failure(format!("cannot run `{}`: {error}", program.display())))?;
    if !output.status.success() {
        let talk = String::from_utf8_lossy(&output.stderr);
        return Err(Failure(format!(
            "`{} {}` ended with {}\n{talk}",
            program.display(),
            args.join(" "),
            output.status
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program exists: by name on the path, or at this absolute path.
#[expect(clippy::disallowed_methods, reason = "programs are found on the path")]
pub fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    dirs.into_iter().any(|dir| dir.join(program).is_file())
}
