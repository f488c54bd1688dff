//! Checks that a program can run in an image, which has no loader and no shell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use finding::Exit;
use host::Shim;
use host::confine::{Question, Unanswered, ask};
use oci::{Architecture, Program};

use crate::error::Error;

/// The file name that `cargo xtask dist` gives the statically linked program.
const STATIC: &str = "mainstay-static";

/// How long a program may take to print its version.
const LIMIT: Duration = Duration::from_secs(20);

/// The `mainstay` for an image: `given` if there is one, otherwise `own` (the running program) if it is static, otherwise
/// `mainstay-static` in the same directory.
///
/// # Errors
/// The program needs a loader, is built for another processor, or is not Mainstay; there is no static one.
pub fn static_mainstay(given: Option<&Path>, own: &Path) -> Result<PathBuf, Error> {
    let beside = own.with_file_name(STATIC);
    let found = match given {
        Some(given) => given.to_owned(),
        None if Program::read(own)?.interpreter.is_none() => return Ok(own.to_owned()),
        None if beside.is_file() => beside,
        None => {
            return Err(Error::not_ready(format!(
                "{} is not static: it needs libraries, and an image has none",
                own.display()
            ))
            .hint(format!(
                "name a static one with `--mainstay FILE`, or put it at {}; `cargo xtask dist` builds it, \
                 and `cargo xtask static` builds one for trying out, faster",
                beside.display()
            )));
        }
    };
    let program = Program::read(&found)?;
    if let Some(problem) = unfit(&program) {
        return Err(Error::not_ready(format!("{} {problem}", found.display()))
            .hint("`cargo xtask dist` builds a static Mainstay, target/dist/mainstay-static"));
    }
    // Every container starts with this program, so a wrong file must be found now.
    let question = Question {
        program: found.clone(),
        args: vec!["--version".into()],
        env: BTreeMap::new(),
        limit: LIMIT,
    };
    let is_mainstay = match ask(&Shim::confining(), &question) {
        Ok(answer) => answer.output.stdout.starts_with("mainstay "),
        Err(Unanswered::NotStarted { source }) => return Err(Error::path("run", &found, &source)),
        Err(Unanswered::Failed { .. } | Unanswered::TooLong(_)) => false,
        Err(error) => return Err(Error::not_ready(format!("{}: {error}", found.display()))),
    };
    if !is_mainstay {
        return Err(Error::new(Exit::Usage, format!("{} is not Mainstay", found.display()))
            .hint("name a static Mainstay with `--mainstay FILE`"));
    }
    Ok(found)
}

/// Checks that the release's server starts in an image.
pub(super) fn check_server(binary: &Path) -> Result<(), Error> {
    match unfit(&Program::read(binary)?) {
        None => Ok(()),
        Some(problem) => Err(Error::not_ready(format!("the release's bin/mattermost {problem}"))
            .hint("an image has no libraries; Mattermost's own releases need none")),
    }
}

/// Why a program would not start in an image for this processor; `None` = it would.
fn unfit(program: &Program) -> Option<String> {
    let native = Architecture::NATIVE;
    match (&program.interpreter, program.architecture) {
        (Some(loader), _) => Some(format!("needs {loader}, and an image does not have it")),
        (None, Some(found)) if found == native => None,
        (None, Some(found)) => {
            Some(format!("is built for {}, and this machine is {}", found.name(), native.name()))
        }
        (None, None) => Some("is built for another kind of machine".to_owned()),
    }
}
