//! Asks a server binary for its version.
use std::io;
use std::path::Path;
use std::time::Duration;

use host::Shim;
use host::confine::{Answer, Question, Unanswered, ask};
use rustix::io::Errno;

use crate::error::ReleaseError;
use crate::identity::Identity;

/// A version is printed in well under a second; a server that starts instead is killed.
const LIMIT: Duration = Duration::from_secs(20);

/// The longest text of a foreign program that an error repeats.
const QUOTED: usize = 200;

/// Runs `BINARY version`, confined: see [`host::confine`]. Also says what could not be kept from it.
///
/// Before 6.5 this command opens the database and migrates it (and would try one on localhost): a driver that does not
/// exist makes such a server stop while it reads its settings, and the flag of those versions is tried.
pub(crate) fn identify(binary: &Path, shim: &Shim) -> Result<(Identity, Vec<String>), ReleaseError> {
    let fail = |why| ReleaseError::Unidentified { binary: binary.to_path_buf(), why };
    let answer = match version(binary, shim, &["version"]) {
        Err(failed @ Unanswered::Failed { .. }) => {
            version(binary, shim, &["version", "--skip-server-start"]).map_err(|_| failed)
        }
        answer => answer,
    };
    let Answer { output, reached } = answer.map_err(|error| fail(why(&error)))?;
    Ok((Identity::parse(&output.text()).map_err(fail)?, reached))
}

fn version(binary: &Path, shim: &Shim, args: &[&str]) -> Result<Answer, Unanswered> {
    ask(
        shim,
        &Question {
            program: binary.to_owned(),
            args: args.iter().map(Into::into).collect(),
            env: [("MM_SQLSETTINGS_DRIVERNAME".to_owned(), "none".to_owned())].into(),
            limit: LIMIT,
        },
    )
}

/// Why it did not answer, with what helps.
fn why(error: &Unanswered) -> String {
    match error {
        Unanswered::NotStarted { source } => not_started(source),
        Unanswered::Failed { output, .. } => {
            let last = output.last_line().unwrap_or("it printed nothing");
            let last: String = last.escape_debug().take(QUOTED).collect();
            format!("it failed: {last}; it may need a newer system library (glibc)")
        }
        error => error.to_string(),
    }
}

fn not_started(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOEXEC) => {
            format!("it is built for another kind of machine than this one ({})", std::env::consts::ARCH)
        }
        Some(Errno::ACCESS) => {
            "it may not be executed: the disk may be mounted noexec; choose another with --dir".into()
        }
        Some(Errno::NOENT) => "it or its loader does not exist; it may be built for another C library".into(),
        _ => format!("it cannot be executed: {error}"),
    }
}
