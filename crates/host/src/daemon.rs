//! A process that goes on when the terminal closes.
//!
//! The caller gives it no input and a file for its output. The started process itself must call [`detach`] first: only
//! the process itself can start a new session, and to do it between fork and exec would be `unsafe`.
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::disk::DiskError;

/// A program to start in the background, as data.
#[derive(Clone)]
pub struct Daemon {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Its working directory. With `/` no other file system is kept from being unmounted.
    pub cwd: PathBuf,
    /// Where its output is appended.
    pub output: PathBuf,
}

impl Daemon {
    /// Starts it. The handle says whether it has ended; dropping the handle does not end the process.
    pub fn start(&self) -> Result<Child, DiskError> {
        let output = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&self.output)
            .map_err(|e| DiskError::new("write", &self.output, e))?;
        let errors = output.try_clone().map_err(|e| DiskError::new("write", &self.output, e))?;
        Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .current_dir(&self.cwd)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|e| DiskError::new("run", &self.program, e))
    }
}

/// Leaves the caller's session and becomes `argv`: for a program that must go on when the process that started it ends.
/// Returns only on failure.
pub fn leave_and_become(argv: &[OsString]) -> io::Error {
    let [program, args @ ..] = argv else { return io::ErrorKind::InvalidInput.into() };
    match detach() {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(e) => e,
    }
}

/// Leaves the caller's session: no terminal, no hang-up, no Ctrl-C. The started process calls this before anything else.
/// Nothing changes for a process that already leads its group.
pub fn detach() -> io::Result<()> {
    match rustix::process::setsid() {
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
