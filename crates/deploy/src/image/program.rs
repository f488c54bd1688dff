//! What may be a program of an image: there is no loader in it, and no shell.

use std::path::{Path, PathBuf};
use std::process::Command;

use oci::{Architecture, Program};

use crate::error::{Error, Kind};

/// What `cargo xtask dist` calls the program that is linked statically.
const STATIC: &str = "mainstay-static";

/// The program for an image: the one that is `given`, otherwise `own` (the running one) if it is static, otherwise `mainstay-static`
/// beside that.
///
/// # Errors
/// It needs a loader, is made for another processor, or is not Mainstay; there is none.
pub fn static_mainstay(given: Option<&Path>, own: &Path) -> Result<PathBuf, Error> {
    let beside = own.with_file_name(STATIC);
    let found = match given {
        Some(given) => given.to_owned(),
        None if Program::read(own)?.interpreter.is_none() => return Ok(own.to_owned()),
        None if beside.is_file() => beside,
        None => {
            return Err(Error::not_ready(format!(
                "{} needs this machine's libraries, which an image does not have",
                own.display()
            ))
            .hint(format!(
                "name a static one with `--mainstay FILE`, or put it at {}; `cargo xtask dist` makes both, \
                 and `cargo xtask static` quickly makes one to try",
                beside.display()
            )));
        }
    };
    let program = Program::read(&found)?;
    if let Some(problem) = unfit(&program) {
        return Err(Error::not_ready(format!("{} {problem}", found.display()))
            .hint("`cargo xtask dist` makes a static Mainstay, target/dist/mainstay-static"));
    }
    // It is what every container of the image begins with: a file with the wrong name is found here, not there.
    let said = Command::new(&found).arg("--version").env_clear().output();
    let said = said.map_err(|error| Error::path("run", &found, &error))?;
    if !said.status.success() || !said.stdout.starts_with(b"mainstay ") {
        return Err(Error::new(Kind::Usage, format!("{} is not Mainstay", found.display()))
            .hint("name a static Mainstay with `--mainstay FILE`"));
    }
    Ok(found)
}

/// Refuses a server that would not start in the image.
pub(super) fn check_server(binary: &Path) -> Result<(), Error> {
    match unfit(&Program::read(binary)?) {
        None => Ok(()),
        Some(problem) => {
            Err(Error::not_ready(format!("the release's bin/mattermost {problem}")).hint(
                "an image holds the release and a static Mainstay, and no other libraries: Mattermost's own releases are static",
            ))
        }
    }
}

/// Why a program would not start in an image for this processor.
fn unfit(program: &Program) -> Option<String> {
    let native = Architecture::NATIVE;
    match (&program.interpreter, program.architecture) {
        (Some(loader), _) => Some(format!("needs {loader}, which an image does not have")),
        (None, Some(found)) if found == native => None,
        (None, Some(found)) => {
            Some(format!("is made for {}, and this machine is {}", found.name(), native.name()))
        }
        (None, None) => Some("is made for another kind of machine".to_owned()),
    }
}
