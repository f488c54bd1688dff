//! What `.ci/run` runs: every check, also after one that failed, and a table of them at the end.

use std::time::{Duration, Instant};

use xtask::run::{Failure, cargo, run};

use crate::{docs, suite, tools};

/// One check, done.
struct Check {
    name: &'static str,
    took: Duration,
    outcome: Result<(), Failure>,
}

fn check(name: &'static str, check: impl FnOnce() -> Result<(), Failure>) -> Check {
    println!("\n== {name}");
    let started = Instant::now();
    let outcome = check();
    if let Err(Failure(why)) = &outcome {
        println!("{why}");
    }
    Check { name, took: started.elapsed(), outcome }
}

/// Runs every check, the quick ones first.
pub(crate) fn all() -> Result<(), Failure> {
    let mut tally = None;
    let checks = [
        check("format", || cargo(&["fmt", "--all", "--check"])),
        check("dependencies", dependencies),
        check("lints", || cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])),
        check("what the tests need", crate::prepare_tests),
        check("tests", || {
            let done = tally.insert(suite::run(&crate::ALL_TESTS)?);
            if done.passed() { Ok(()) } else { Err(Failure("some tests failed".to_owned())) }
        }),
        check("generated pages", docs::check_built),
    ];
    println!("\n{:<32}{:>8}  result", "check", "seconds");
    for Check { name, took, outcome } in &checks {
        let result = if outcome.is_ok() { "passed" } else { "FAILED" };
        println!("{name:<32}{:>8.0}  {result}", took.as_secs_f64());
    }
    if let Some(tally) = &tally {
        println!("\n{tally}");
    }
    let failed: Vec<&str> =
        checks.iter().filter(|check| check.outcome.is_err()).map(|check| check.name).collect();
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    if let Some(tally) = &tally {
        println!("{}", tally.closing_line());
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure(format!("failed: {}", failed.join(", ")))) }
}

/// Licences, sources and banned crates (`deny.toml`), and dependencies that no code uses. Security advisories are not checked: their
/// database comes from the network.
fn dependencies() -> Result<(), Failure> {
    let [deny, shear] = tools::dependency_checkers()?;
    run(&deny.to_string_lossy(), &["--locked", "check", "bans", "licenses", "sources"])?;
    run(&shear.to_string_lossy(), &["--locked", "--deny-warnings"])
}
