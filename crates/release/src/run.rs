//! Asks a server binary for its version.
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use host::Shim;
use host::confine::{Answer, Question, Unanswered, ask};
use rustix::io::Errno;

use crate::edition::ReleaseId;
use crate::error::ReleaseError;
use crate::identity::Identity;

type Numbers = (u32, u32, u32);

/// A version is printed in well under a second; a server that starts instead is killed.
const LIMIT: Duration = Duration::from_secs(20);

/// The longest text of a foreign program that an error repeats.
const QUOTED: usize = 200;

/// The first version that says which one it is without opening its database.
const FIRST_TO_SAY: Numbers = (5, 28, 0);

/// Who is asked for a version, and how.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// Starts the program that confines the server.
    pub confining: &'a Shim,
    /// What somebody says the release is. It counts where the server cannot say it.
    pub told: Option<&'a ReleaseId>,
}

/// Runs `BINARY version`, confined: see [`host::confine`]. Also says what could not be kept from it.
///
/// Before 6.5 this command opens the database and migrates it (and would try one on localhost): a driver that does not
/// exist makes such a server stop while it reads its settings, and the flag of those versions is tried. Before 5.28 there is no such
/// flag: what somebody says counts then, checked against the texts in the program.
pub(crate) fn identify(binary: &Path, asking: Asking<'_>) -> Result<(Identity, Vec<String>), ReleaseError> {
    let fail = |why| ReleaseError::Unidentified { binary: binary.to_path_buf(), why };
    let answer = match version(binary, asking.confining, &["version"]) {
        Err(failed @ Unanswered::Failed { .. }) => {
            match version(binary, asking.confining, &["version", SKIP]) {
                Err(Unanswered::Failed { output, .. }) if is_too_old(&output.text()) => {
                    return unable(binary, asking.told).map(|identity| (identity, Vec::new()));
                }
                answer => answer.map_err(|_| failed),
            }
        }
        answer => answer,
    };
    let Answer { output, reached } = answer.map_err(|error| fail(why(&error)))?;
    Ok((Identity::parse(&output.text()).map_err(fail)?, reached))
}

const SKIP: &str = "--skip-server-start";

/// Whether a server says that it does not know the flag with which a version is asked for.
fn is_too_old(output: &str) -> bool {
    output.contains(&format!("unknown flag: {SKIP}"))
}

/// Who a release is whose server cannot say it.
fn unable(binary: &Path, told: Option<&ReleaseId>) -> Result<Identity, ReleaseError> {
    let cannot = |why: String| ReleaseError::CannotSay { why };
    let (major, minor, _) = FIRST_TO_SAY;
    let Some(release) = told else {
        return Err(cannot(format!(
            "it is older than {major}.{minor}, whose `version` would open and change a database"
        )));
    };
    let version = release.version.to_string();
    if release.version.numbers() >= FIRST_TO_SAY {
        return Err(cannot(format!(
            "it is older than {major}.{minor}, and {version} is said; {major}.{minor} and later versions say it themselves"
        )));
    }
    if !contains(binary, &version).map_err(|error| ReleaseError::disk("read", binary, error))? {
        return Err(cannot(format!("{version} is said, and that text is not in it")));
    }
    Ok(Identity {
        release: release.clone(),
        build_number: version,
        build_date: String::new(),
        build_hash: String::new(),
        from_file: false,
    })
}

/// Whether a text is anywhere in a file.
fn contains(path: &Path, text: &str) -> io::Result<bool> {
    const CHUNK: usize = 1 << 20;
    let finder = memchr::memmem::Finder::new(text);
    let (mut file, mut window) = (File::open(path)?, Vec::new());
    loop {
        let kept = window.len().min(text.len().saturating_sub(1));
        window.drain(..window.len() - kept);
        if file.by_ref().take(CHUNK as u64).read_to_end(&mut window)? == 0 {
            return Ok(false);
        }
        if finder.find(&window).is_some() {
            return Ok(true);
        }
    }
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
            let library =
                if last.contains("GLIBC") { "; it needs a newer system library (glibc)" } else { "" };
            format!("it failed: {last}{library}")
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
