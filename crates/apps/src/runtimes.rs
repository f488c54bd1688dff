//! The runtimes of AWS Lambda: until when AWS supports each, and until when it takes new functions with it.

use finding::nearest;

/// A runtime, with AWS's dates (`2024-01-08`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runtime {
    /// AWS's identifier.
    pub name: &'static str,
    /// From this day on it gets no security updates and no technical support.
    pub deprecated: &'static str,
    /// From this day on AWS refuses new functions with it.
    pub no_new: &'static str,
    /// The newest runtime of the same language.
    pub instead: &'static str,
}

const fn row(
    name: &'static str,
    deprecated: &'static str,
    no_new: &'static str,
    instead: &'static str,
) -> Runtime {
    Runtime { name, deprecated, no_new, instead }
}

/// The day on which [`RUNTIMES`] was compared with AWS's page "Lambda runtimes". AWS postpones dates, so a later day does not count as
/// passed until the table has been compared again.
const COMPARED: &str = "2026-11-27";

const CUSTOM: &str = "provided.al2023";
const GO: &str = "provided.al2023, with an executable named bootstrap";
const NODE: &str = "nodejs24.x";
const PYTHON: &str = "python3.14";
const JAVA: &str = "java25";
const DOTNET: &str = "dotnet10";
const RUBY: &str = "ruby4.0";

/// Every runtime of zip archives. A test compares the table with the copy of AWS's page that cfn-lint, AWS's checker of templates, has.
const RUNTIMES: [Runtime; 48] = [
    row("provided.al2023", "2029-06-30", "2029-07-31", CUSTOM),
    row("provided.al2", "2026-07-31", "2027-02-01", CUSTOM),
    row("provided", "2024-01-08", "2024-02-08", CUSTOM),
    row("go1.x", "2024-01-08", "2024-02-08", GO),
    row("nodejs24.x", "2028-04-30", "2028-06-01", NODE),
    row("nodejs22.x", "2027-04-30", "2027-06-01", NODE),
    row("nodejs20.x", "2026-04-30", "2027-02-01", NODE),
    row("nodejs18.x", "2025-09-01", "2027-02-01", NODE),
    row("nodejs16.x", "2024-06-12", "2027-02-01", NODE),
    row("nodejs14.x", "2023-12-04", "2024-01-09", NODE),
    row("nodejs12.x", "2023-03-31", "2023-03-31", NODE),
    row("nodejs10.x", "2021-07-30", "2021-07-30", NODE),
    row("nodejs8.10", "2020-03-06", "2020-02-04", NODE),
    row("nodejs6.10", "2019-08-12", "2019-07-12", NODE),
    row("nodejs4.3-edge", "2020-03-05", "2019-03-31", NODE),
    row("nodejs4.3", "2020-03-05", "2020-02-03", NODE),
    row("nodejs", "2016-08-30", "2016-09-30", NODE),
    row("python3.14", "2029-06-30", "2029-07-31", PYTHON),
    row("python3.13", "2029-06-30", "2029-07-31", PYTHON),
    row("python3.12", "2028-10-31", "2028-11-30", PYTHON),
    row("python3.11", "2027-06-30", "2027-07-31", PYTHON),
    row("python3.10", "2026-10-31", "2027-02-01", PYTHON),
    row("python3.9", "2025-12-15", "2027-02-01", PYTHON),
    row("python3.8", "2024-10-14", "2027-02-01", PYTHON),
    row("python3.7", "2023-12-04", "2024-01-09", PYTHON),
    row("python3.6", "2022-07-18", "2022-07-18", PYTHON),
    row("python2.7", "2021-07-15", "2021-07-15", PYTHON),
    row("java25", "2029-06-30", "2029-07-31", JAVA),
    row("java21", "2029-06-30", "2029-07-31", JAVA),
    row("java17", "2027-06-30", "2027-07-31", JAVA),
    row("java11", "2027-06-30", "2027-07-31", JAVA),
    row("java8.al2", "2027-06-30", "2027-07-31", JAVA),
    row("java8", "2024-01-08", "2024-02-08", JAVA),
    row("dotnet10", "2028-11-14", "2028-12-14", DOTNET),
    row("dotnet8", "2026-11-10", "2027-02-01", DOTNET),
    row("dotnet6", "2024-12-20", "2027-02-01", DOTNET),
    row("dotnetcore3.1", "2023-04-03", "2023-04-03", DOTNET),
    row("dotnetcore2.1", "2022-01-05", "2022-01-05", DOTNET),
    row("dotnetcore2.0", "2019-05-30", "2019-04-30", DOTNET),
    row("dotnetcore1.0", "2019-06-27", "2019-06-30", DOTNET),
    row("ruby4.0", "2029-03-31", "2029-04-30", RUBY),
    row("ruby3.4", "2028-03-31", "2028-04-30", RUBY),
    row("ruby3.3", "2027-03-31", "2027-04-30", RUBY),
    row("ruby3.2", "2026-03-31", "2027-02-01", RUBY),
    row("ruby2.7", "2023-12-07", "2024-01-09", RUBY),
    row("ruby2.5", "2021-07-30", "2021-07-30", RUBY),
    // Of images alone: AWS's page has no day for new functions with them.
    row("dotnet7", "2024-05-14", "2024-05-14", DOTNET),
    row("dotnet5.0", "2022-05-10", "2022-05-10", DOTNET),
];

impl Runtime {
    /// Whether AWS has ended its support.
    pub fn is_deprecated(&self) -> bool {
        self.deprecated <= COMPARED
    }

    /// Whether AWS refuses new functions with it.
    pub fn is_refused(&self) -> bool {
        self.no_new <= COMPARED
    }
}

/// Every runtime of zip archives.
pub fn all() -> &'static [Runtime] {
    &RUNTIMES
}

/// The runtime of this name.
pub fn runtime(name: &str) -> Option<Runtime> {
    RUNTIMES.into_iter().find(|runtime| runtime.name == name)
}

/// Why AWS makes no function with this runtime, and what to write instead.
pub fn refused(name: &str) -> Option<(String, String)> {
    match runtime(name) {
        Some(runtime) if runtime.is_refused() => Some((
            format!("AWS refuses new functions with it since {}", runtime.no_new),
            format!("use {}", runtime.instead),
        )),
        Some(_) => None,
        None => {
            let near = nearest_runtime(name).unwrap_or(CUSTOM);
            Some(("it is not in AWS's list".to_owned(), format!("did you mean `{near}`?")))
        }
    }
}

/// Until when AWS takes a runtime whose support it has ended, and what to write instead.
pub fn deprecated(name: &str) -> Option<(String, String)> {
    let runtime = runtime(name).filter(|runtime| runtime.is_deprecated() && !runtime.is_refused())?;
    Some((
        format!(
            "AWS ended its support on {}, and plans to refuse new functions with it from {} on",
            runtime.deprecated, runtime.no_new
        ),
        format!("use {}", runtime.instead),
    ))
}

/// The supported runtime whose name is nearest to an unknown one.
pub fn nearest_runtime(name: &str) -> Option<&'static str> {
    nearest(name, RUNTIMES.iter().filter(|runtime| !runtime.is_deprecated()).map(|runtime| runtime.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_names_one_that_is_supported() {
        for old in RUNTIMES {
            let instead = old.instead.split(',').next().unwrap_or_default();
            assert!(runtime(instead).is_some_and(|new| !new.is_deprecated()), "{}", old.name);
        }
        assert_eq!(nearest_runtime("nodejs24"), Some("nodejs24.x"));
        assert_eq!(runtime("cobol"), None);
    }

    #[test]
    fn what_aws_still_takes_is_not_refused() {
        assert!(
            refused("go1.x")
                .is_some_and(|(why, fix)| why.contains("2024-02-08") && fix.contains("provided.al2023"))
        );
        assert!(refused("cobol9").is_some() && refused("provided.al2023").is_none());
        // AWS postponed the refusal of these, though it ended their support.
        for name in ["nodejs20.x", "nodejs18.x", "python3.9", "dotnet8", "provided.al2", "ruby3.2"] {
            assert_eq!(refused(name), None, "{name}");
            assert!(deprecated(name).is_some_and(|(why, _)| why.contains("2027-02-01")), "{name}");
        }
        for name in ["nodejs22.x", "python3.11", "java11", "go1.x", "cobol9"] {
            assert_eq!(deprecated(name), None, "{name}");
        }
    }
}
