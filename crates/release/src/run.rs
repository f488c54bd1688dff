//! Asking a server binary who it is.
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::error::ReleaseError;
use crate::identity::Identity;

/// A version is printed in well under a second; a server that starts instead is ended.
const PATIENCE: Duration = Duration::from_secs(20);
/// More output than this is not a version.
const LONGEST: u64 = 64 * 1024;

/// Runs `BINARY version` in `scratch`, an empty directory, with nothing of our environment.
///
/// Before 6.5 the bare command opens the database and migrates it (and would try one on localhost): a driver
/// that does not exist makes such a server stop at its settings, and the old flag is tried.
pub(crate) fn identify(binary: &Path, scratch: &Path) -> Result<Identity, ReleaseError> {
    let fail = |why| ReleaseError::Unidentified { binary: binary.to_path_buf(), why };
    let asked = ask(binary, scratch, &["version"]).map_err(fail)?;
    let asked = match asked {
        Answer { success: false, .. } => {
            let old = ask(binary, scratch, &["version", "--skip-server-start"]).map_err(fail)?;
            if old.success { old } else { asked }
        }
        answered => answered,
    };
    if !asked.success {
        let last = asked.said.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.unwrap_or("it printed nothing").trim();
        return Err(fail(format!("it failed: {last}; it may need a newer system library (glibc)")));
    }
    Identity::parse(&asked.said).map_err(fail)
}

struct Answer {
    success: bool,
    said: String,
}

fn ask(binary: &Path, scratch: &Path, args: &[&str]) -> Result<Answer, String> {
    let mut child =
        start(binary, scratch, args).map_err(|e| match e.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOEXEC) => {
                format!("it is made for another machine than this one ({})", std::env::consts::ARCH)
            }
            Some(Errno::ACCESS) => {
                "it may not be executed: the disk may be mounted noexec; choose another with --dir".into()
            }
            Some(Errno::NOENT) => {
                "it or its loader does not exist; it may be made for another C library".into()
            }
            _ => format!("it cannot be executed: {e}"),
        })?;
    let readers = [read_all(child.stdout.take()), read_all(child.stderr.take())];
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            Ok(None) => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("it did not answer within {} s", PATIENCE.as_secs()));
            }
            Err(e) => return Err(format!("it cannot be waited for: {e}")),
        }
    };
    let said = readers.into_iter().filter_map(|reader| reader.join().ok()).collect::<Vec<_>>().join("\n");
    Ok(Answer { success: status.success(), said })
}

/// A process that forks elsewhere in this program may hold the just written binary open for a moment.
fn start(binary: &Path, scratch: &Path, args: &[&str]) -> io::Result<Child> {
    let mut attempts = 0;
    loop {
        let started = Command::new(binary)
            .args(args)
            .env_clear()
            .env("MM_SQLSETTINGS_DRIVERNAME", "none")
            .current_dir(scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        match started {
            Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy && attempts < 200 => {
                attempts += 1;
                thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

/// Reads in a thread, so that a talkative program cannot block on a full pipe.
fn read_all(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let Some(mut stream) = stream else { return String::new() };
        let mut bytes = Vec::new();
        let _ = stream.by_ref().take(LONGEST).read_to_end(&mut bytes);
        let _ = io::copy(&mut stream, &mut io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
