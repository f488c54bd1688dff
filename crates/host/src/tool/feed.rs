//! A tool's standard input.

use std::io::{self, Write};
use std::process::ChildStdin;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use secrecy::{ExposeSecret as _, SecretString};

/// How long a writer waits before it looks whether the tool has ended.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Called once with the pipe to write to.
type Writer<'a> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'a>;

/// What a tool reads.
pub(super) enum Input<'a> {
    /// A text.
    Secret(SecretString),
    /// Whatever this writes.
    Writer(Writer<'a>),
}

impl Input<'_> {
    /// Writes all of it, then closes the pipe. A tool that stops reading is not an error here: its end tells why.
    pub(super) fn write(self, stdin: ChildStdin, ended: &AtomicBool) -> io::Result<()> {
        rustix::io::ioctl_fionbio(&stdin, true)?;
        let mut pipe = Pipe { stdin, ended };
        let written = match self {
            Self::Secret(text) => pipe.write_all(text.expose_secret().as_bytes()),
            Self::Writer(write) => write(&mut pipe),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }
}

/// Gives up when the tool has ended, even if another process still holds the reading end open.
struct Pipe<'a> {
    stdin: ChildStdin,
    ended: &'a AtomicBool,
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.stdin.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.ended.load(Ordering::Acquire) {
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                    let mut fds = [PollFd::new(&self.stdin, PollFlags::OUT)];
                    match poll(&mut fds, Some(&TICK)) {
                        Ok(_) | Err(rustix::io::Errno::INTR) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
