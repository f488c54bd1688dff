//! A client program at work: its error output is kept within bounds, and it ends when it is dropped.

use std::io::Read;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Error;

/// Of a program's error output, its first and its last bytes are kept.
const KEPT: usize = 4 << 10;

/// Characters of it in a message.
const SHOWN: usize = 600;

/// How often a program that is about to end is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a program may take to end after its last byte.
const ENDING: Duration = Duration::from_secs(60);

/// Ends a dump or a load from another thread.
#[derive(Debug, Clone)]
pub struct Stopper {
    child: Arc<Mutex<Child>>,
    /// Tells whoever accompanies the program.
    also: Arc<Notify>,
}

impl Stopper {
    /// Ends it. What reads from it or writes to it gets an error. Safe to call at any time.
    pub fn stop(&self) {
        self.also.notify_one();
        // It has ended already, or ends now.
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }
}

/// A client program.
#[derive(Debug)]
pub(super) struct Running {
    program: &'static str,
    stopper: Stopper,
    errors: Option<JoinHandle<Vec<u8>>>,
    /// How it ended.
    outcome: Option<Result<(), Error>>,
}

/// The ends of a program's pipes.
pub(super) struct Pipes {
    pub(super) input: Option<ChildStdin>,
    pub(super) output: Option<ChildStdout>,
}

impl Running {
    /// Starts a program. `also` hears when it is told to stop.
    pub(super) fn start(
        program: &'static str,
        mut command: Command,
        also: Arc<Notify>,
    ) -> Result<(Self, Pipes), Error> {
        let fails = |why: std::io::Error| Error::Failed { program, why: finding::disk::explained(&why) };
        let mut child = command.stderr(Stdio::piped()).spawn().map_err(fails)?;
        let pipes = Pipes { input: child.stdin.take(), output: child.stdout.take() };
        let stderr = child.stderr.take();
        let stopper = Stopper { child: Arc::new(Mutex::new(child)), also };
        let mut running = Self { program, stopper, errors: None, outcome: None };
        let drain = move || stderr.map(drained).unwrap_or_default();
        let errors = std::thread::Builder::new().name(format!("errors of {program}")).spawn(drain);
        running.errors = Some(errors.map_err(fails)?);
        Ok((running, pipes))
    }

    pub(super) fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    fn try_wait(&self) -> std::io::Result<Option<ExitStatus>> {
        self.stopper.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()
    }

    /// Waits for its end, which is near, unless `patiently`. What it says on its way out is the error.
    pub(super) fn finish(&mut self, patiently: bool) -> Result<(), Error> {
        if self.outcome.is_none() {
            self.outcome = Some(self.ended(patiently));
        }
        self.outcome.clone().unwrap_or(Ok(()))
    }

    fn ended(&mut self, patiently: bool) -> Result<(), Error> {
        let failed = |why| Error::Failed { program: self.program, why };
        let started = Instant::now();
        let status = loop {
            match self.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if !patiently && started.elapsed() > ENDING => {
                    self.stopper.stop();
                    return Err(failed(format!("it did not end within {} seconds", ENDING.as_secs())));
                }
                Ok(None) => std::thread::sleep(PAUSE),
                Err(error) => return Err(failed(error.to_string())),
            }
        };
        let said = self.errors.take().and_then(|errors| errors.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        let said = finding::one_line(&String::from_utf8_lossy(&said), SHOWN);
        Err(failed(if said.is_empty() { format!("it ended with {status}") } else { said }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        let _ = self.stopper.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// The first and the last bytes of what a program says.
fn drained(mut stderr: ChildStderr) -> Vec<u8> {
    let mut first = Vec::new();
    let _ = stderr.by_ref().take(KEPT as u64).read_to_end(&mut first);
    let mut last = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stderr.read(&mut buffer) {
        last.extend_from_slice(&buffer[..count]);
        let surplus = last.len().saturating_sub(KEPT);
        last.drain(..surplus);
    }
    first.extend(last);
    first
}
