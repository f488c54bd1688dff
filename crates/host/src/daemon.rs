//! A process that goes on when the terminal closes.
//!
//! The starter detaches what it can (no input, output to a file); the started process calls [`detach`] first
//! thing, since a new session can only be made from inside, and between fork and exec that would be `unsafe`.
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
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
    /// Its working directory; `/` keeps no mount busy.
    pub cwd: PathBuf,
    /// Where its output is appended.
    pub output: PathBuf,
}

impl Daemon {
    /// Starts it. The handle tells whether it ended early; dropping it does nothing to the process.
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

/// Leaves the starter's session: no terminal, no hang-up, no Ctrl-C. To be called by the started process
/// before anything else; a process that leads its group already is left as it is.
pub fn detach() -> io::Result<()> {
    match rustix::process::setsid() {
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
