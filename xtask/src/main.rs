//! Everything a developer runs: `cargo xtask test`, `ci`, `bench NAME`, `docs`, `static`, `dist`.
//!
//! Promise: each command installs what it needs by itself and prints each program that it runs, so that any line can be repeated by hand.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks to its developer")]

mod ci;
mod docs;
mod standalone;
mod suite;
mod tally;
mod tools;

use std::path::Path;
use std::process::ExitCode;

use xtask::run::{Failure, cargo, cargo_with, target};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test             install what the tests need and run all of them, as root
  test ARGS        the same with ARGS for `cargo test`: `test --package edge`, `test -- NAME`
  test --quick     the tests that need no root, no other program and no network
  ci               format, dependencies, lints, all tests, generated pages; a table at the end
  sweep [SEED]     `up` with 200 random combinations of settings; takes some minutes. SEED repeats an earlier run
  bench NAME       up, upgrade, server, settings, image, edge, apps, release, backup: ratios, both sides in one run
  docs [--check]   write the generated pages, or fail if one is out of date
  static           build a statically linked mainstay for container images, quickly, to try
  dist             build what is shipped, in target/dist: mainstay, and mainstay-static for images";

const ALL_TESTS: [&str; 3] = ["test", "--workspace", "--no-fail-fast"];

/// Unit tests, and the integration tests that need no root and no other programs. Those that do are in a module named `full`, or in a
/// test target whose name is not `it` (`it_postgres`).
const QUICK_TESTS: [&str; 10] =
    ["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--test", "it", "--", "--skip", "full::"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => all_tests(),
        ["test", "--quick"] => quick_tests(),
        ["test", rest @ ..] => prepare_tests().and_then(|()| tests(&[&ALL_TESTS[..], rest].concat())),
        ["sweep"] => sweep(None),
        ["sweep", seed] => sweep(Some(seed)),
        ["ci"] => ci::all(),
        ["bench", name @ ("up" | "upgrade" | "server" | "settings" | "apps" | "release")] => {
            bench(name, &["--package", "mainstay"], "release/mainstay")
        }
        ["bench", "backup"] => tools::for_backup_bench()
            .and_then(|()| bench("backup", &["--package", "mainstay"], "release/mainstay")),
        ["bench", "image"] => standalone::released().and_then(|program| measure("image", &program)),
        ["bench", "edge"] => tools::for_edge_bench().and_then(|()| {
            bench("edge", &["--package", "edge", "--example", "relay"], "release/examples/relay")
        }),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["static"] => standalone::quick().map(|program| println!("{}", program.display())),
        ["dist"] => cargo(&["build", "--profile", "dist", "--package", "mainstay"])
            .and_then(|()| standalone::shipped()),
        ["bench", ..] => Err(Failure(
            "bench takes one of: up, upgrade, server, settings, image, edge, apps, release, backup"
                .to_owned(),
        )),
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

/// `up` with random combinations of settings: those of a seed, or new ones.
fn sweep(seed: Option<&str>) -> Result<(), Failure> {
    const TEST: [&str; 9] = [
        "test",
        "--package",
        "mainstay",
        "--test",
        "it",
        "sweep::every_random_combination",
        "--",
        "--ignored",
        "--nocapture",
    ];
    match seed {
        None => cargo(&TEST),
        Some(seed) if seed.parse::<u64>().is_err() => {
            Err(Failure(format!("`{seed}` is not a seed: write the number that an earlier run printed")))
        }
        Some(seed) => cargo_with(&TEST, &[("MAINSTAY_TEST_SEED", seed)]),
    }
}

/// Every test there is. Without root some would return at once and count as passed.
fn all_tests() -> Result<(), Failure> {
    if !tools::is_root() {
        return Err(Failure(
            "some tests need root: users, mounts, namespaces, Docker\n\
             hint: run `cargo xtask test` as root, or `cargo xtask test --quick` without"
                .to_owned(),
        ));
    }
    prepare_tests()?;
    tests(&ALL_TESTS)
}

fn quick_tests() -> Result<(), Failure> {
    // A test starts an example, which cargo builds by itself only when no kind of target is named.
    cargo(&["build", "--workspace", "--examples"])?;
    tests(&QUICK_TESTS)
}

/// Installs and builds what the tests run beside our own binary.
fn prepare_tests() -> Result<(), Failure> {
    tools::for_tests()?;
    // For the tests of container images. The first build compiles every crate a second time, which takes minutes.
    standalone::quick().map(drop)
}

fn tests(args: &[&str]) -> Result<(), Failure> {
    let tally = suite::run(args)?;
    println!("\n{tally}");
    println!("{}", tally.closing_line());
    if tally.passed() { Ok(()) } else { Err(Failure("some tests failed".to_owned())) }
}

/// Builds what the README's first command builds, then measures it.
fn bench(name: &str, build: &[&str], program: &str) -> Result<(), Failure> {
    cargo(&[&["build", "--release"], build].concat())?;
    measure(name, &target().join(program))
}

fn measure(name: &str, program: &Path) -> Result<(), Failure> {
    cargo(&["run", "--release", "--quiet", "--package", "bench", "--", name, &program.to_string_lossy()])
}
