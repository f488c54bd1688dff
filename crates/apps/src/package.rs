//! The archives of a bundle's functions: which belongs to which, and whether AWS can run it.

use std::collections::BTreeSet;

use finding::{Finding, nearest};

use crate::archive::{self, Archive, Entry};
use crate::found::shown;
use crate::runtimes::{deprecated, refused};
use crate::{Function, Manifest};

/// What AWS takes of a function in one request, in bytes. What is larger goes by way of S3.
pub const DIRECT_MAX: u64 = 50 << 20;
/// What a function may have unpacked, in bytes.
const UNPACKED_MAX: u64 = 250 << 20;

/// A function and its archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The function, as in the manifest.
    pub function: Function,
    /// Its archive in the bundle.
    pub entry: Entry,
    /// The archive's size, in bytes.
    pub size: u64,
    /// Whether it is a .jar.
    pub is_jar: bool,
}

impl Package {
    /// Whether AWS takes it only by way of S3.
    pub fn is_staged(&self) -> bool {
        self.size > DIRECT_MAX
    }
}

/// The name that an entry has as a function's archive; `None`: it is none. What is below static/ is a static file.
pub(crate) fn archive_name(entry: &str) -> Option<&str> {
    let name = entry.strip_suffix(".zip").or_else(|| entry.strip_suffix(".jar"))?;
    (!name.is_empty() && !name.ends_with('/') && !entry.starts_with("static/")).then_some(name)
}

/// The archive of each function: by its exact name, or, with a warning, as the only one whose name ends with the function's.
pub(crate) fn matched(functions: &[Function], entries: &[Entry]) -> (Vec<Package>, Vec<Finding>) {
    let archives: Vec<(&str, &Entry)> =
        entries.iter().filter_map(|entry| Some((archive_name(&entry.name)?, entry))).collect();
    let mut findings = Vec::new();
    let mut packages = Vec::new();
    let mut used = BTreeSet::new();
    for function in functions.iter().filter(|function| !function.name.is_empty()) {
        match of(function, functions, &archives) {
            Ok((entry, remark)) => {
                used.insert(entry.name.as_str());
                findings.extend(remark);
                packages.push(Package {
                    function: function.clone(),
                    entry: entry.clone(),
                    size: entry.size,
                    is_jar: entry.name.ends_with(".jar"),
                });
            }
            Err(finding) => findings.push(*finding),
        }
    }
    for (_, entry) in archives {
        if !used.contains(entry.name.as_str()) {
            let what = format!("{} belongs to no function", shown(&entry.name));
            findings.push(Finding::warning(
                what,
                "no function of the manifest has its name",
                "remove it, or name it after a function",
            ));
        }
    }
    (packages, findings)
}

fn of<'e>(
    function: &Function,
    functions: &[Function],
    archives: &[(&str, &'e Entry)],
) -> Result<(&'e Entry, Option<Finding>), Box<Finding>> {
    let name = function.name.as_str();
    let base = |archive: &str| archive.rsplit('/').next().unwrap_or_default().to_owned();
    let exact: Vec<&(&str, &Entry)> =
        archives.iter().filter(|(archive, _)| *archive == name || base(archive) == name).collect();
    let fix = format!("put one archive {} at the top of the bundle", shown(&format!("{name}.zip")));
    match exact.as_slice() {
        [(_, entry)] => return Ok((entry, None)),
        [first, second, ..] => {
            let what = format!(
                "function {} has two archives: {} and {}",
                shown(name),
                shown(&first.1.name),
                shown(&second.1.name)
            );
            return Err(Box::new(Finding::error(what, "it is not clear which one is meant", fix)));
        }
        [] => {}
    }
    // Other tools take an archive whose name ends with the function's; not one that is another function's own.
    let is_own =
        |archive: &str| functions.iter().any(|other| other.name == archive || other.name == base(archive));
    let ends: Vec<&(&str, &Entry)> =
        archives.iter().filter(|(archive, _)| archive.ends_with(name) && !is_own(archive)).collect();
    match ends.as_slice() {
        [(_, entry)] => {
            let what = format!("function {} is taken from {}", shown(name), shown(&entry.name));
            let cause = "no archive has exactly its name, and this one ends with it";
            Ok((
                entry,
                Some(Finding::warning(
                    what,
                    cause,
                    format!("rename it to {}", shown(&format!("{name}.zip"))),
                )),
            ))
        }
        [first, second, ..] => {
            let what = format!("function {} has no archive", shown(name));
            let cause =
                format!("{} and {} both end with its name", shown(&first.1.name), shown(&second.1.name));
            Err(Box::new(Finding::error(what, cause, fix)))
        }
        [] => {
            let what = format!("function {} has no archive", shown(name));
            let cause = match nearest(name, archives.iter().map(|(archive, _)| *archive)) {
                Some(near) => format!("the nearest name is {}", shown(near)),
                None if archives.is_empty() => "there is no .zip and no .jar in the bundle".to_owned(),
                None => format!("the bundle has {}", list(archives)),
            };
            Err(Box::new(Finding::error(what, cause, fix)))
        }
    }
}

fn list(archives: &[(&str, &Entry)]) -> String {
    let names: Vec<String> = archives.iter().take(5).map(|(_, entry)| shown(&entry.name)).collect();
    let more = if archives.len() > 5 { ", and more" } else { "" };
    format!("{}{more}", names.join(", "))
}

fn runtime_of(function: &Function) -> Option<Finding> {
    let (cause, fix) = refused(&function.runtime).or_else(|| deprecated(&function.runtime))?;
    let what = format!("function {} uses the runtime {}", shown(&function.name), shown(&function.runtime));
    Some(Finding::warning(what, cause, fix))
}

/// What a deployment to AWS would refuse of a manifest, or no call would reach. A bundle has more to say.
pub fn advice(manifest: &Manifest) -> Vec<Finding> {
    let functions = manifest.aws_lambda.as_ref().map_or(&[][..], |section| &section.functions);
    let mut findings = Vec::new();
    for (index, function) in functions.iter().enumerate() {
        let name = shown(&function.name);
        findings.extend(runtime_of(function));
        if functions.iter().take(index).any(|other| other.name == function.name) {
            let what = format!("two functions have the name {name}");
            let cause = "AWS has one name for both, and a deployment is refused";
            findings.push(Finding::warning(what, cause, "rename one of them"));
        }
        if !function.path.is_empty() && !function.path.starts_with('/') {
            let what = format!("the path of function {name} is {}", shown(&function.path));
            let cause = "the paths of all calls begin with `/`: none reaches the function";
            let fix = format!("write {}", shown(&format!("/{}", function.path)));
            findings.push(Finding::warning(what, cause, fix));
        }
    }
    findings
}

/// What AWS would refuse about a function, or could not run.
pub(crate) fn check(package: &Package, bundle: &Archive) -> Vec<Finding> {
    let mut findings = Vec::new();
    let function = &package.function;
    let name = shown(&function.name);
    findings.extend(runtime_of(function));
    if package.is_staged() {
        let what = format!("the archive of function {name} has {} MB", package.size >> 20);
        let cause = format!("AWS takes more than {} MB only by way of S3", DIRECT_MAX >> 20);
        findings.push(Finding::warning(what, cause, "nothing: a deployment uploads it there first"));
    }
    match bundle.inner(&package.entry) {
        Err(error) if error.findings.is_empty() => {
            let what = format!("the archive of function {name} cannot be read");
            findings.push(Finding::error(what, error.what, "make it again"));
        }
        Err(error) => findings.extend(error.findings),
        Ok(code) => content(function, &code, &mut findings),
    }
    findings
}

/// Whether the runtime finds in an archive what it calls.
fn content(function: &Function, code: &Archive, findings: &mut Vec<Finding>) {
    let name = shown(&function.name);
    let unpacked: u64 = code.entries.iter().map(|entry| entry.size).sum();
    if unpacked > UNPACKED_MAX {
        let what = format!("function {name} has {} MB unpacked", unpacked >> 20);
        let cause = format!("AWS takes at most {} MB", UNPACKED_MAX >> 20);
        findings.push(Finding::error(what, cause, "leave out what it does not need"));
    }
    if let Some(entry) = code.entries.iter().find(|entry| archive::is_too_long_for_disk(&entry.name)) {
        let what = format!("the archive of function {name} cannot be unpacked: {}", shown(&entry.name));
        let cause = format!("a file or directory in this path has more than {} bytes", archive::NAME_MAX);
        findings.push(Finding::error(what, cause, "shorten it"));
    }
    let file = |wanted: &str| code.entries.iter().find(|entry| entry.name == wanted);
    if function.runtime.starts_with("provided") {
        let what = format!("the archive of function {name} has no executable `bootstrap`");
        match file("bootstrap") {
            None => {
                let cause = format!("the runtime {} starts a file of this name at its top", function.runtime);
                findings.push(Finding::error(
                    what,
                    cause,
                    "name the program bootstrap, and zip it without a directory",
                ));
            }
            Some(entry) if entry.mode.is_none_or(|mode| mode & 0o111 == 0) => {
                let cause = match entry.mode {
                    Some(mode) => format!("its mode is {mode:o}"),
                    None => "the archive says nothing about modes: it was made on another system than Unix"
                        .to_owned(),
                };
                findings.push(Finding::error(what, cause, "make it executable (chmod +x bootstrap) and zip it again, or let `mainstay apps bundle DIR` do it"));
            }
            Some(_) => {}
        }
        return;
    }
    let extensions: &[&str] = match &function.runtime {
        runtime if runtime.starts_with("nodejs") => &["js", "mjs", "cjs"],
        runtime if runtime.starts_with("python") => &["py"],
        _ => return,
    };
    let Some((module, _)) = function.handler.rsplit_once('.') else {
        let what = format!("the handler of function {name} is {}", shown(&function.handler));
        findings.push(Finding::warning(
            what,
            "the runtime wants FILE.FUNCTION",
            "write for example \"index.handler\"",
        ));
        return;
    };
    // Python takes `package/module` for `package.module`, and a directory for its __init__.py.
    let paths = [module.to_owned(), module.replace('.', "/")];
    let is_there = paths.iter().any(|path| {
        extensions.iter().any(|extension| {
            file(&format!("{path}.{extension}")).is_some()
                || file(&format!("{path}/__init__.{extension}")).is_some()
        })
    });
    if !is_there {
        let what = format!(
            "the archive of function {name} has no `{}.{}`",
            finding::one_line(module, 60),
            extensions[0]
        );
        let cause = format!("its handler is {}", shown(&function.handler));
        findings.push(Finding::warning(
            what,
            cause,
            "correct the handler, or zip the files without a directory",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_alone_says_what_a_deployment_would_refuse() {
        let function = |name: &str, path: &str, runtime: &str| Function {
            path: path.into(),
            name: name.into(),
            handler: "h".into(),
            runtime: runtime.into(),
        };
        let functions = vec![
            function("a", "/", "provided.al2023"),
            function("a", "b", "go1.x"),
            function("c", "/c", "cobol9"),
        ];
        let manifest = Manifest { aws_lambda: Some(crate::AwsLambda { functions }), ..Manifest::default() };
        let said: Vec<String> = advice(&manifest).into_iter().map(|finding| finding.what).collect();
        assert_eq!(
            said,
            [
                "function `a` uses the runtime `go1.x`",
                "two functions have the name `a`",
                "the path of function `a` is `b`",
                "function `c` uses the runtime `cobol9`",
            ]
        );
    }
}
