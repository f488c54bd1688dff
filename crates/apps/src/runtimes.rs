//! The runtimes of AWS Lambda: which there are, and which AWS has retired.

use finding::nearest;

/// A runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runtime {
    /// AWS's identifier.
    pub name: &'static str,
    /// When AWS ended its support, where it has: as a date, `2024-01-08`.
    pub retired: Option<&'static str>,
    /// What to use instead of a retired one.
    pub instead: &'static str,
}

const fn supported(name: &'static str) -> Runtime {
    Runtime { name, retired: None, instead: "" }
}

const fn retired(name: &'static str, date: &'static str, instead: &'static str) -> Runtime {
    Runtime { name, retired: Some(date), instead }
}

/// Every runtime, as AWS's page "Lambda runtimes" lists them. AWS moves dates, and never to an earlier day: only those stand here as retired
/// whose day had passed.
const RUNTIMES: [Runtime; 47] = [
    supported("provided.al2023"),
    supported("provided.al2"),
    retired("provided", "2024-01-08", "provided.al2023"),
    retired("go1.x", "2024-01-08", "provided.al2023, with an executable named bootstrap"),
    supported("nodejs24.x"),
    supported("nodejs22.x"),
    retired("nodejs20.x", "2026-04-30", "nodejs24.x"),
    retired("nodejs18.x", "2025-09-01", "nodejs24.x"),
    retired("nodejs16.x", "2024-06-12", "nodejs24.x"),
    retired("nodejs14.x", "2023-12-04", "nodejs24.x"),
    retired("nodejs12.x", "2023-03-31", "nodejs24.x"),
    retired("nodejs10.x", "2021-07-30", "nodejs24.x"),
    retired("nodejs8.10", "2020-03-06", "nodejs24.x"),
    retired("nodejs6.10", "2019-08-12", "nodejs24.x"),
    retired("nodejs4.3-edge", "2019-04-30", "nodejs24.x"),
    retired("nodejs4.3", "2020-03-05", "nodejs24.x"),
    retired("nodejs", "2016-10-31", "nodejs24.x"),
    supported("python3.14"),
    supported("python3.13"),
    supported("python3.12"),
    supported("python3.11"),
    supported("python3.10"),
    retired("python3.9", "2025-12-15", "python3.14"),
    retired("python3.8", "2024-10-14", "python3.14"),
    retired("python3.7", "2023-12-04", "python3.14"),
    retired("python3.6", "2022-07-18", "python3.14"),
    retired("python2.7", "2021-07-15", "python3.14"),
    supported("java25"),
    supported("java21"),
    supported("java17"),
    supported("java11"),
    supported("java8.al2"),
    retired("java8", "2024-01-08", "java21"),
    supported("dotnet10"),
    supported("dotnet8"),
    retired("dotnet7", "2024-05-14", "dotnet10"),
    retired("dotnet6", "2024-12-20", "dotnet10"),
    retired("dotnet5.0", "2022-05-10", "dotnet10"),
    retired("dotnetcore3.1", "2023-04-03", "dotnet10"),
    retired("dotnetcore2.1", "2022-01-05", "dotnet10"),
    retired("dotnetcore2.0", "2019-05-30", "dotnet10"),
    retired("dotnetcore1.0", "2019-06-27", "dotnet10"),
    supported("ruby3.4"),
    supported("ruby3.3"),
    retired("ruby3.2", "2026-03-31", "ruby3.4"),
    retired("ruby2.7", "2023-12-07", "ruby3.4"),
    retired("ruby2.5", "2021-07-30", "ruby3.4"),
];

/// The runtime of this name.
pub fn runtime(name: &str) -> Option<Runtime> {
    RUNTIMES.into_iter().find(|runtime| runtime.name == name)
}

/// Why AWS makes no function with this runtime, and what to write instead.
pub fn refused(name: &str) -> Option<(String, String)> {
    match runtime(name) {
        Some(Runtime { retired: Some(date), instead, .. }) => Some((
            format!("AWS ended its support on {date} and refuses new functions with it"),
            format!("use {instead}"),
        )),
        Some(_) => None,
        None => {
            let near = nearest_runtime(name).unwrap_or("provided.al2023");
            Some(("it is not in AWS's list".to_owned(), format!("did you mean `{near}`?")))
        }
    }
}

/// The supported runtime whose name is nearest to an unknown one.
pub fn nearest_runtime(name: &str) -> Option<&'static str> {
    nearest(name, RUNTIMES.iter().filter(|runtime| runtime.retired.is_none()).map(|runtime| runtime.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_runtime_names_one_that_is_supported() {
        for old in RUNTIMES.iter().filter(|runtime| runtime.retired.is_some()) {
            let instead = old.instead.split(',').next().unwrap_or_default();
            assert!(runtime(instead).is_some_and(|new| new.retired.is_none()), "{}", old.name);
            let date = old.retired.unwrap_or_default();
            assert!(date.len() == 10 && date.split('-').all(|part| part.parse::<u16>().is_ok()), "{date}");
        }
        assert_eq!(runtime("go1.x").and_then(|runtime| runtime.retired), Some("2024-01-08"));
        assert_eq!(nearest_runtime("nodejs24"), Some("nodejs24.x"));
        assert_eq!(runtime("cobol"), None);
        assert!(
            refused("go1.x")
                .is_some_and(|(why, fix)| why.contains("2024-01-08") && fix.contains("provided.al2023"))
        );
        assert!(refused("cobol9").is_some() && refused("provided.al2023").is_none());
    }
}
