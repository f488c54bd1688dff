//! `golden/VERSION[-LINE]/CASE.env` and `.toml` in; `.json`, `.notices.txt` or `.error.txt` out.
//!
//! A case with an environment has docker-mattermost's defaults, one without has the release's. `GOLDEN=write` writes
//! what comes out instead of comparing it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use settings::{Defaults, Line, Server, Sources};

/// A file whose variables are `NAME=value`, as docker reads them: no quotes, no escapes.
fn variables(text: &str) -> BTreeMap<String, String> {
    let lines = text.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn secret_file(path: &Path) -> io::Result<String> {
    match path.to_str() {
        Some("/run/secrets/smtp") => Ok("from a file\n".to_owned()),
        Some("/run/secrets/blank-lines") => Ok("pw\n\n".to_owned()),
        Some("/run/secrets/byte-order-mark") => Ok("\u{feff}pw\r\n".to_owned()),
        Some("/run/secrets/nul") => Ok("pw\0\n".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

/// `11.7`, `11.7-team` or `11.6-builtin`.
fn server(name: &str) -> Option<Server> {
    let (version, line) = match name.split_once('-') {
        None => (name, Line::Enterprise),
        Some((version, "team")) => (version, Line::Team),
        Some((version, "builtin")) => (version, Line::Builtin),
        Some(_) => return None,
    };
    Some(Server { version: version.parse().ok()?, line })
}

/// What a case must come to: extension and text.
fn outcome(server: Server, case: &Path) -> BTreeMap<&'static str, String> {
    let read = |extension| fs::read_to_string(case.with_extension(extension)).ok();
    let environment = read("env");
    let defaults = if environment.is_some() { Defaults::DockerMattermost } else { Defaults::Release };
    let environment = variables(&environment.unwrap_or_default());
    let wanted = match settings::parse(Path::new("mainstay.toml"), &read("toml").unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(findings) => return [("error.txt", format!("{findings}\n"))].into(),
    };
    let sources = Sources {
        defaults,
        secrets: None,
        wanted: Some(&wanted),
        environment: &environment,
        flags: &BTreeMap::new(),
        site_url: None,
        read_file: &secret_file,
    };
    match settings::resolve(server, &sources) {
        Ok(resolved) => {
            let config = settings::render(&resolved, &serde_json::json!({}));
            let config = serde_json::to_string_pretty(&config).expect("JSON can be written");
            let notices: String = resolved.notices().iter().map(|notice| format!("{notice}\n")).collect();
            [("json", config + "\n"), ("notices.txt", notices)].into()
        }
        Err(findings) => {
            let exit = if findings.policy_only() { 8 } else { 3 };
            [("error.txt", format!("{findings}\nexit {exit}\n"))].into()
        }
    }
}

fn cases(folder: &Path) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(folder).expect("the golden files are there");
    let paths = files.map(|file| file.expect("a readable folder").path());
    let inputs = paths.filter(|path| path.extension().is_some_and(|end| end == "env" || end == "toml"));
    inputs.map(|path| path.with_extension("")).collect()
}

#[test]
fn every_case_comes_to_what_is_written_beside_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let write = std::env::var("GOLDEN").is_ok_and(|mode| mode == "write");
    let mut differences = Vec::new();
    let mut count = 0;
    let folders = fs::read_dir(&root).expect("the golden files are there");
    for folder in folders.map(|folder| folder.expect("a readable folder").path()) {
        let server = folder.file_name().and_then(|name| name.to_str()).and_then(server);
        let server = server.unwrap_or_else(|| panic!("{} is named after no server", folder.display()));
        for case in cases(&folder) {
            count += 1;
            let outcome = outcome(server, &case);
            for extension in ["json", "notices.txt", "error.txt"] {
                let file = case.with_extension(extension);
                let text = outcome.get(extension).filter(|text| !text.is_empty());
                match (write, text) {
                    (true, Some(text)) => fs::write(&file, text).expect("the folder can be written"),
                    (true, None) => drop(fs::remove_file(&file)),
                    (false, text) => {
                        if fs::read_to_string(&file).ok().as_ref() != text {
                            differences.push(format!(
                                "{}\n{}",
                                file.display(),
                                text.map_or("(nothing)", String::as_str)
                            ));
                        }
                    }
                }
            }
        }
    }
    assert!(count >= 14, "only {count} cases were found");
    assert!(differences.is_empty(), "run with GOLDEN=write where this is right:\n{}", differences.join("\n"));
}
