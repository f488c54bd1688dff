//! The few instructions between fork and exec that tie a child's life to its parent's.
//!
//! `PR_SET_PDEATHSIG` must be called in the child, and running code there is `unsafe` in Rust. So the child
//! starts as *this* program once more (`mainstay hold-to PARENT -- PROGRAM ARGS...`), sets the signal with a
//! safe call and becomes the wanted program. User and group are set before the shim runs, because changing
//! them clears the signal; for the same reason a set-uid program, or one with file capabilities, is not
//! held: its leftovers are ended at the next start instead.
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// How to call the shim: a program, and the arguments before `PARENT -- PROGRAM ARGS...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shim {
    /// The program to execute.
    pub program: PathBuf,
    /// Its first arguments.
    pub args: Vec<OsString>,
}

impl Shim {
    /// This very program with the hidden subcommand `hold-to`.
    ///
    /// Through `/proc/self/exe`, so it also works for a user who cannot reach the binary by its path, and
    /// after the binary was replaced by a newer one.
    pub fn this_program() -> Self {
        Self::of_this_program("hold-to")
    }

    /// The same with the hidden subcommand `confine`: see [`crate::confine`].
    pub fn confining() -> Self {
        Self::of_this_program("confine")
    }

    /// The same with the hidden subcommand `guest`, without the rights: see [`Shim::of_guest`].
    pub fn guest() -> Self {
        Self::of_this_program("guest")
    }

    fn of_this_program(word: &str) -> Self {
        Self { program: "/proc/self/exe".into(), args: vec![word.into()] }
    }
}

/// Why the shim did not become the wanted program.
#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// Nothing to run was named.
    #[error("no program was named: hold-to PARENT -- PROGRAM ARGS...")]
    Nothing,
    /// The supervisor died between fork and now: an orphan must not start.
    #[error("the supervising process {expected} is gone (the parent is now {found}): not starting")]
    ParentGone {
        /// The process id that was handed in.
        expected: u32,
        /// The parent that was found.
        found: u32,
    },
    /// The kernel refused the death signal.
    #[error("cannot tie the program to its supervisor: {0}")]
    Signal(#[source] io::Error),
    /// The program cannot be executed.
    #[error("cannot run {}: {source}", program.display())]
    Exec {
        /// The program that was to run.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ShimError {
    /// The exit code the shim ends with: 127 not found, 126 found but not runnable, 125 all else - as
    /// `env` and `nohup` do, so [`crate::Exit`] can name the cause.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exec { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Exec { .. } => 126,
            _ => 125,
        }
    }
}

/// Ties this process to `parent` (KILL when the thread that forked it ends) and becomes `argv`.
/// Returns only on failure.
pub fn exec(parent: u32, argv: &[OsString]) -> Result<Infallible, ShimError> {
    if argv.is_empty() {
        return Err(ShimError::Nothing);
    }
    tie_to(parent)?;
    become_program(argv)
}

/// This process ends (KILL) when the thread of `parent` that forked it ends.
pub(crate) fn tie_to(parent: u32) -> Result<(), ShimError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| ShimError::Signal(e.into()))?;
    // Checked after the signal is set: a parent that died earlier would never send it.
    let found = getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
    if found != parent {
        return Err(ShimError::ParentGone { expected: parent, found });
    }
    // What lets the edge bind a low port is no business of what is supervised. A kernel without the set has none in it.
    let _ = rustix::thread::clear_ambient_capability_set();
    Ok(())
}

pub(crate) fn become_program(argv: &[OsString]) -> Result<Infallible, ShimError> {
    let [program, args @ ..] = argv else { return Err(ShimError::Nothing) };
    let source = std::process::Command::new(program).args(args).exec();
    Err(ShimError::Exec { program: program.into(), source })
}
