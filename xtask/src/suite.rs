//! Runs `cargo test` to its end, whatever fails on the way, and says at the end what ran, what failed and what was slow.
//!
//! Rejected: nextest. It starts a process for each test, and many tests share one PostgreSQL or MariaDB server per process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Command;

use xtask::run::{Failure, cargo_program, root, target};

use crate::tally::Tally;

/// Runs `cargo test` with these arguments and passes on what it prints. `Err` if it cannot be run at all.
pub(crate) fn run(args: &[&str]) -> Result<Tally, Failure> {
    let cargo = cargo_program();
    println!("$ {cargo} {}", args.join(" "));
    // One pipe for both streams: cargo names the executable on stderr, the executable reports on stdout.
    let (reader, writer) = std::io::pipe()?;
    let mut child = Command::new(&cargo)
        .args(args)
        .current_dir(root())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .map_err(|error| Failure(format!("cannot run `{cargo}`: {error}")))?;
    let mut tally = Tally::default();
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        tally.read(String::from_utf8_lossy(&line).trim_end(), package_of);
        line.clear();
    }
    tally.end(child.wait()?.success());
    Ok(tally)
}

/// The package of a test executable: the directory of its first source file, which rustc notes beside the executable.
fn package_of(executable: &str) -> Option<String> {
    // `CARGO_TARGET_DIR` can be anywhere, so cargo's path is taken by its last part.
    let name = std::path::Path::new(executable).file_name()?;
    let notes = target().join("debug/deps").join(name).with_extension("d");
    let notes = std::fs::read_to_string(notes).ok()?;
    let first = notes.split_once(": ")?.1.split_whitespace().next()?;
    let source = first.strip_prefix(&format!("{}/", root().display())).unwrap_or(first);
    let mut parts = source.split('/');
    let package = parts.next()?;
    Some(if package == "crates" { parts.next()? } else { package }.to_owned())
}
