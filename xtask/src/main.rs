//! Everything a developer runs: `cargo xtask test`, `ci`, `bench NAME`, `docs`, `static`, `dist`.
//!
//! Promise: each command sets up what it needs by itself and says what it runs, so that any line can be repeated by hand.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks to its developer")]

mod docs;
mod standalone;
mod tools;

use std::path::Path;
use std::process::ExitCode;

use xtask::run::{self, Failure, cargo, target};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [ARGS]      install what the tests need, then run them all (ARGS go to `cargo test`)
  ci               format, clippy, cargo-deny where present, generated docs, tests
  bench NAME       up, server, settings, image, edge: a table of ratios, both sides in one run
  docs [--check]   write the generated pages, or fail where one is out of date
  static           a Mainstay for container images, quickly: without shared libraries, to try
  dist             the binaries that are shipped, in target/dist: mainstay, and mainstay-static for images";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test", rest @ ..] => test(rest),
        ["ci"] => ci(),
        ["bench", name @ ("up" | "server" | "settings")] => {
            bench(name, &["--package", "mainstay"], "release/mainstay")
        }
        ["bench", "image"] => standalone::released().and_then(|program| measure("image", &program)),
        ["bench", "edge"] => tools::for_edge_bench().and_then(|()| {
            bench("edge", &["--package", "edge", "--example", "relay"], "release/examples/relay")
        }),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["static"] => standalone::quick().map(|program| println!("{}", program.display())),
        ["dist"] => cargo(&["build", "--profile", "dist", "--package", "mainstay"])
            .and_then(|()| standalone::shipped()),
        ["bench", ..] => Err(Failure("bench wants one of: up, server, settings, image, edge".to_owned())),
        _ => Err(Failure(USAGE.to_owned())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(what)) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}

fn test(rest: &[&str]) -> Result<(), Failure> {
    tools::for_tests()?;
    // The tests of container images run it. Its crates are compiled a second time: minutes once, seconds from then on.
    standalone::quick()?;
    let mut args = vec!["test", "--workspace"];
    args.extend(rest);
    cargo(&args)
}

/// Builds what is measured as it is shipped by the README's first command, then measures it.
fn bench(name: &str, build: &[&str], program: &str) -> Result<(), Failure> {
    cargo(&[&["build", "--release"], build].concat())?;
    measure(name, &target().join(program))
}

fn measure(name: &str, program: &Path) -> Result<(), Failure> {
    cargo(&["run", "--release", "--quiet", "--package", "bench", "--", name, &program.to_string_lossy()])
}

fn ci() -> Result<(), Failure> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    if run::exists("cargo-deny") {
        // Advisories need a database from the network: they are checked where there is one.
        cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"])?;
    } else {
        println!("cargo-deny is not installed: dependencies are not checked against deny.toml");
    }
    docs::check()?;
    test(&[])
}
