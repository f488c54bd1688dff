//! Asks a server binary for its version.
use std::path::Path;
use std::time::Duration;

use host::tool::{End, Output, Tool, ToolError};
use rustix::io::Errno;

use crate::error::ReleaseError;
use crate::identity::Identity;

/// A version is printed in well under a second; a server that starts instead is killed.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs `BINARY version` in `scratch`, an empty directory.
///
/// Before 6.5 this command opens the database and migrates it (and would try one on localhost): a driver that does not
/// exist makes such a server stop while it reads its settings, and the flag of those versions is tried.
pub(crate) fn identify(binary: &Path, scratch: &Path) -> Result<Identity, ReleaseError> {
    let fail = |why| ReleaseError::Unidentified { binary: binary.to_path_buf(), why };
    let asked = match ask(binary, scratch, &["version"]).map_err(fail)? {
        Err(failed) => {
            ask(binary, scratch, &["version", "--skip-server-start"]).map_err(fail)?.map_err(|_| failed)
        }
        answered => answered,
    };
    let output = asked.map_err(|failed| {
        let last = failed.last_line().unwrap_or("it printed nothing");
        fail(format!("it failed: {last}; it may need a newer system library (glibc)"))
    })?;
    Identity::parse(&output.text()).map_err(fail)
}

/// Runs the binary; a failure to start it is told with what helps.
fn ask(binary: &Path, scratch: &Path, args: &[&str]) -> Result<Result<Output, ToolError>, String> {
    let asked = Tool::new(binary, LIMIT)
        .args(args)
        .env("MM_SQLSETTINGS_DRIVERNAME", "none")
        .cwd(scratch)
        .run_blocking();
    match asked {
        Err(ToolError { end: End::NotStarted { source, .. }, .. }) => Err(not_started(&source)),
        Err(ToolError { end: End::TooLong(limit), .. }) => {
            Err(format!("it did not answer within {} s", limit.as_secs()))
        }
        asked => Ok(asked),
    }
}

fn not_started(error: &std::io::Error) -> String {
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
