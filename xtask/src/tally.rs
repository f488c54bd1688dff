//! What `cargo test` reported, read from what it prints.

use std::fmt;

/// At most this many executables are listed as slow.
const SLOWEST: usize = 12;

/// At most this many lines of a failure's message are repeated at the end: the place and the beginning.
const CAUSE: usize = 12;

/// What one test executable reported.
#[derive(Debug, Default, Clone, PartialEq)]
struct Executable {
    name: String,
    passed: u64,
    ignored: u64,
    seconds: f64,
    failed: Vec<Failed>,
    /// Whose output is being read, by its place in `failed`.
    told: Option<usize>,
    /// Whether it printed its result. One that crashed did not.
    finished: bool,
}

/// A test that failed.
#[derive(Debug, Default, Clone, PartialEq)]
struct Failed {
    test: String,
    /// Where it panicked, and with which message.
    cause: Vec<String>,
}

impl Failed {
    fn named(test: &str) -> Self {
        Self { test: test.to_owned(), cause: Vec::new() }
    }
}

/// The sum of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    executables: Vec<Executable>,
    /// Whether cargo itself succeeded; it also fails when something does not compile.
    cargo_succeeded: bool,
}

impl Tally {
    /// Reads the next line of `cargo test`. `package_of` tells the package of an executable.
    pub(crate) fn read(&mut self, line: &str, package_of: impl Fn(&str) -> Option<String>) {
        if let Some(name) = started(line, package_of) {
            self.executables.push(Executable { name, ..Executable::default() });
        }
        let Some(executable) = self.executables.last_mut() else { return };
        if let Some(test) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            executable.failed.push(Failed::named(test.trim_end_matches(" - should panic")));
        } else if let Some(test) =
            line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            executable.told = executable.failed.iter().position(|failed| failed.test == test);
        } else if let Some(result) = line.strip_prefix("test result: ") {
            executable.finish(result);
        } else {
            executable.note_cause(line);
        }
    }

    /// Ends the run. An executable without a result counts as one failure.
    pub(crate) fn end(&mut self, cargo_succeeded: bool) {
        self.cargo_succeeded = cargo_succeeded;
        for executable in self.executables.iter_mut().filter(|executable| !executable.finished) {
            executable.failed.push(Failed::named("(ended before it reported its result)"));
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.cargo_succeeded && self.sum(|executable| executable.failed.len() as u64) == 0
    }

    fn sum(&self, count: impl Fn(&Executable) -> u64) -> u64 {
        self.executables.iter().map(count).sum()
    }

    /// The last line of a run, as test runners print it.
    pub(crate) fn closing_line(&self) -> String {
        let failed = self.sum(|executable| executable.failed.len() as u64);
        let skipped = match self.sum(|executable| executable.ignored) {
            0 => String::new(),
            ignored => format!(", {ignored} skipped"),
        };
        format!("{} passed, {failed} failed{skipped}", self.sum(|executable| executable.passed))
    }
}

/// The name of the executable or of the documentation tests that cargo starts, if this line says so.
fn started(line: &str, package_of: impl Fn(&str) -> Option<String>) -> Option<String> {
    let line = line.trim_start();
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{package} (documentation)"));
    }
    let (what, executable) = line.strip_prefix("Running ")?.strip_suffix(')')?.rsplit_once(" (")?;
    let stem = executable.rsplit('/').next()?.rsplit_once('-')?.0;
    let package = package_of(executable).unwrap_or_default();
    Some(match what.strip_prefix("unittests ") {
        Some("src/lib.rs") => format!("{package} (unit)"),
        Some(_) if stem == package => format!("{package} (unit)"),
        Some(_) => format!("{package} {stem} (unit)"),
        None => format!("{package} {stem}"),
    })
}

impl Executable {
    /// Reads `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s`.
    fn finish(&mut self, result: &str) {
        self.finished = true;
        let mut failed = 0;
        for part in result.split([';', '.']).map(str::trim) {
            let Some((number, what)) = part.split_once(' ') else { continue };
            match what {
                "passed" => self.passed = number.parse().unwrap_or(0),
                "failed" => failed = number.parse().unwrap_or(0),
                "ignored" => self.ignored = number.parse().unwrap_or(0),
                _ => {}
            }
        }
        let seconds =
            result.rsplit("finished in ").next().and_then(|rest| rest.trim_end_matches('s').parse().ok());
        self.seconds = seconds.unwrap_or(0.0);
        // Output of a test can hide the line with its name; the count is right all the same.
        while self.failed.len() < failed {
            self.failed.push(Failed::named("(a test whose name was not printed on a line of its own)"));
        }
    }

    /// Reads a line of the output of a test that failed: the first panic counts, up to its backtrace.
    fn note_cause(&mut self, line: &str) {
        let Some(place) = self.told else { return };
        let cause = &mut self.failed[place].cause;
        if line == "stack backtrace:"
            || line.starts_with("note: run with `RUST_BACKTRACE")
            || cause.len() == CAUSE
        {
            self.told = None;
        } else if let Some((_, at)) = line.split_once(" panicked at ").filter(|_| cause.is_empty()) {
            cause.push(at.trim_end_matches(':').to_owned());
        } else if !cause.is_empty() {
            cause.push(line.to_owned());
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut slowest: Vec<&Executable> = self.executables.iter().collect();
        slowest.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        writeln!(f, "{:<32}{:>8}{:>8}{:>10}", "tests, slowest first", "passed", "failed", "seconds")?;
        let (shown, rest): (Vec<_>, Vec<_>) = slowest
            .into_iter()
            .enumerate()
            .partition(|(place, executable)| *place < SLOWEST || !executable.failed.is_empty());
        for (_, executable) in &shown {
            let Executable { name, passed, failed, seconds, .. } = executable;
            writeln!(f, "{name:<32}{passed:>8}{:>8}{seconds:>10.1}", failed.len())?;
        }
        if !rest.is_empty() {
            let (passed, seconds) = rest.iter().fold((0, 0.0), |(passed, seconds), (_, executable)| {
                (passed + executable.passed, seconds + executable.seconds)
            });
            let name = format!("{} more", rest.len());
            writeln!(f, "{name:<32}{passed:>8}{:>8}{seconds:>10.1}", 0)?;
        }
        for (_, executable) in &shown {
            for Failed { test, cause } in &executable.failed {
                writeln!(f, "FAILED  {}  {test}", executable.name)?;
                for line in cause {
                    writeln!(f, "        {line}")?;
                }
            }
        }
        if !self.cargo_succeeded && self.sum(|executable| executable.failed.len() as u64) == 0 {
            writeln!(f, "FAILED  cargo test: the first error above says why")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
   Compiling plan v0.1.0
     Running unittests src/lib.rs (target/debug/deps/plan-0a1b)

running 2 tests
test one ... ok
test two ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s

     Running tests/it/main.rs (target/debug/deps/it-2c3d)
test runs::it_resumes ... FAILED
test runs::it_panics - should panic ... FAILED
test runs::it_waits ... ignored

failures:

---- runs::it_resumes stdout ----
a line that the test printed

thread 'runs::it_resumes' (7) panicked at crates/plan/tests/it/runs.rs:9:5:
assertion failed: resumed
twice
stack backtrace:
   0: __rustc::rust_begin_unwind

failures:
    runs::it_resumes
    runs::it_panics

test result: FAILED. 7 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 12.25s

error: test failed, to rerun pass `-p plan --test it`
     Running unittests src/main.rs (target/debug/deps/bench-4e5f)
running 1 test
error: test failed, to rerun pass `-p bench --bin bench`
   Doc-tests plan
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

    fn read(output: &str, succeeded: bool) -> Tally {
        let mut tally = Tally::default();
        for line in output.lines() {
            tally.read(line, |executable| {
                Some(if executable.contains("bench") { "bench" } else { "plan" }.to_owned())
            });
        }
        tally.end(succeeded);
        tally
    }

    #[test]
    fn every_executable_is_counted_and_every_failure_named() {
        let tally = read(OUTPUT, false);
        assert!(!tally.passed());
        assert_eq!(tally.closing_line(), "10 passed, 3 failed, 1 skipped");
        assert_eq!(
            tally.to_string(),
            "\
tests, slowest first              passed  failed   seconds
plan it                                7       2      12.2
plan (unit)                            2       0       0.5
plan (documentation)                   1       0       0.1
bench (unit)                           0       1       0.0
FAILED  plan it  runs::it_resumes
        crates/plan/tests/it/runs.rs:9:5
        assertion failed: resumed
        twice
FAILED  plan it  runs::it_panics
FAILED  bench (unit)  (ended before it reported its result)
"
        );
    }

    #[test]
    fn a_run_that_does_not_compile_is_no_success() {
        let tally = read("error[E0425]: cannot find value `x` in this scope\n", false);
        assert!(!tally.passed());
        assert!(tally.to_string().contains("FAILED  cargo test"), "{tally}");
    }

    #[test]
    fn a_run_without_failures_passes() {
        let whole = OUTPUT.split("     Running tests").next().unwrap();
        let tally = read(whole, true);
        assert!(tally.passed());
        assert_eq!(tally.closing_line(), "2 passed, 0 failed");
    }
}
