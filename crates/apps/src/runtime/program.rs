//! Which program runs a function, by its runtime.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use finding::Exit;
use host::User;

use crate::{Error, Function};

/// The Python of [`Kind::Python`], which uses AWS's client where there is one.
pub(super) const PYTHON_CLIENT: (&str, &str) = ("python.py", include_str!("clients/python.py"));
/// The same for Node.js.
pub(super) const NODE_CLIENT: (&str, &str) = ("node.mjs", include_str!("clients/node.mjs"));

/// How a function is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// This file of its package is the program.
    Own(String),
    /// Node.js runs our client, which loads the handler.
    Node,
    /// So does Python. The version that the runtime names, such as `3.12`.
    Python(String),
}

/// How this function is run.
pub(super) fn kind(function: &Function, is_jar: bool) -> Result<Kind, Error> {
    let runtime = function.runtime.as_str();
    if !is_jar {
        if runtime.starts_with("provided") {
            return Ok(Kind::Own("bootstrap".into()));
        }
        if runtime == "go1.x" {
            return Ok(Kind::Own(function.handler.clone()));
        }
        if runtime.starts_with("nodejs") {
            return Ok(Kind::Node);
        }
        if let Some(version) = runtime.strip_prefix("python") {
            return Ok(Kind::Python(version.into()));
        }
    }
    let what = if is_jar { "a .jar".into() } else { format!("the runtime {runtime}") };
    Err(Error::new(
        Exit::Refused,
        format!("the function {} cannot run here: {what} is not among what `apps run` knows", function.name),
    )
    .hint("here run provided.al2023, provided.al2, nodejs*, python* and go1.x; on AWS Lambda more do"))
}

/// A program to start, and what it must be able to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) read: Vec<PathBuf>,
}

impl Program {
    /// For this function, whose package is in `code`; the clients are in `clients`. `variables` has the `PATH` in which interpreters are
    /// looked for; `user` is who runs it.
    pub(super) fn find(
        kind: &Kind,
        function: &Function,
        code: &Path,
        clients: &Path,
        variables: &BTreeMap<String, String>,
        user: &User,
    ) -> Result<Self, Error> {
        let missing = |names: &[&str], install: &str| {
            let named = names.join("` or `");
            Error::new(
                Exit::NotReady,
                format!(
                    "the function {} needs {}, and there is no `{named}` in PATH that user {} may execute",
                    function.name, function.runtime, user.name
                ),
            )
            .hint(install.to_owned())
        };
        let search = variables.get("PATH").map_or("", String::as_str);
        match kind {
            Kind::Own(name) => {
                let program = code.join(name);
                let is_inside = program.canonicalize().is_ok_and(|path| path.starts_with(code));
                let mode = program.metadata().map(|meta| meta.is_file().then(|| meta.permissions().mode()));
                match mode {
                    Ok(Some(mode)) if mode & 0o111 != 0 && is_inside => {
                        Ok(Self { program, args: Vec::new(), read: Vec::new() })
                    }
                    Ok(Some(_)) if is_inside => Err(Error::new(
                        Exit::Settings,
                        format!("`{name}` of the function {} is not executable", function.name),
                    )
                    .hint("set its mode before you zip it: `chmod +x`")),
                    _ => Err(Error::new(
                        Exit::Settings,
                        format!(
                            "the package of the function {} has no file `{name}` at its root, which is what {} runs",
                            function.name, function.runtime
                        ),
                    )),
                }
            }
            Kind::Node => {
                let names = ["node", "nodejs"];
                let program = on_path(&names, search, user)
                    .ok_or_else(|| missing(&names, "install Node.js: `apt-get install nodejs`"))?;
                Ok(interpreted(program, &clients.join(NODE_CLIENT.0), function))
            }
            Kind::Python(version) => {
                let exact = format!("python{version}");
                let names = [exact.as_str(), "python3"];
                let program = on_path(&names, search, user)
                    .ok_or_else(|| missing(&names, "install Python: `apt-get install python3`"))?;
                Ok(interpreted(program, &clients.join(PYTHON_CLIENT.0), function))
            }
        }
    }
}

fn interpreted(program: PathBuf, client: &Path, function: &Function) -> Program {
    let read = belongings(&program);
    Program { program, args: vec![client.display().to_string(), function.handler.clone()], read }
}

/// The first of these programs that the user can execute. A script (of a version manager) is passed over: it would start something
/// else, which the function may not reach.
fn on_path(names: &[&str], search: &str, user: &User) -> Option<PathBuf> {
    let dirs: Vec<&Path> = search.split(':').map(Path::new).filter(|dir| dir.is_absolute()).collect();
    names.iter().find_map(|name| {
        dirs.iter().map(|dir| dir.join(name)).find(|path| {
            let Ok(real) = path.canonicalize() else { return false };
            let reaches = |path: &Path| path.parent().is_some_and(|dir| user.can_enter(dir).is_ok());
            let is_script = || {
                let mut head = [0; 2];
                File::open(&real).and_then(|mut file| file.read_exact(&mut head)).is_err() || head == *b"#!"
            };
            let runs = || real.metadata().is_ok_and(|meta| user.may_use(&real, &meta, 0o1).unwrap_or(false));
            reaches(path) && reaches(&real) && runs() && !is_script()
        })
    })
}

/// What an interpreter outside of the system's directories brings with it.
fn belongings(program: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for path in [Some(program.to_owned()), program.canonicalize().ok()].into_iter().flatten() {
        let Some(prefix) = path.parent().and_then(Path::parent) else { continue };
        all.extend(["bin", "lib", "pyvenv.cfg"].map(|name| prefix.join(name)));
    }
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(runtime: &str) -> Function {
        Function { path: "/".into(), name: "f".into(), handler: "app.main".into(), runtime: runtime.into() }
    }

    #[test]
    fn a_runtime_says_what_runs_it() {
        let kind = |runtime: &str| kind(&function(runtime), false);
        assert_eq!(kind("provided.al2023").unwrap(), Kind::Own("bootstrap".into()));
        assert_eq!(kind("go1.x").unwrap(), Kind::Own("app.main".into()));
        assert_eq!(kind("nodejs22.x").unwrap(), Kind::Node);
        assert_eq!(kind("python3.12").unwrap(), Kind::Python("3.12".into()));
        assert!(kind("ruby3.3").unwrap_err().what.contains("the runtime ruby3.3"));
        assert!(super::kind(&function("java21"), true).unwrap_err().what.contains("a .jar"));
    }

    #[test]
    fn an_interpreter_that_is_missing_is_named_with_how_to_install_it() {
        let dir = tempfile::tempdir().unwrap();
        let user = User::current().unwrap();
        // A version manager's script does not count.
        let script = dir.path().join("python3");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let variables = BTreeMap::from([("PATH".to_owned(), dir.path().display().to_string())]);
        let find = |kind: &Kind, runtime: &str| {
            Program::find(kind, &function(runtime), dir.path(), dir.path(), &variables, &user)
        };
        let error = find(&Kind::Python("3.12".into()), "python3.12").unwrap_err();
        assert!(error.what.contains("no `python3.12` or `python3` in PATH"), "{}", error.what);
        assert_eq!(error.hint.as_deref(), Some("install Python: `apt-get install python3`"));
        assert!(find(&Kind::Node, "nodejs22.x").unwrap_err().what.contains("no `node` or `nodejs`"));
        assert!(
            find(&Kind::Own("bootstrap".into()), "provided.al2023").unwrap_err().what.contains("has no file")
        );
    }
}
