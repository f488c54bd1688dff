//! The one thread of a process that starts supervised programs, and that becomes another program in place.
//!
//! The death signal of a child (see [`crate::shim`]) fires when the *thread* that forked it ends, and an exec ends every
//! thread but the one that calls it. So one thread does both: it lives as long as anything is supervised, and after the
//! exec it is the main thread of the new program, still the parent of the same children. A program that may be handed over again
//! must therefore do both on its main thread ([`Spawner::on_this_thread`]): it inherited children that the main thread's end would kill.
use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::handover::Handover;

/// A handle of the thread. The thread ends when the last handle and the last supervisor are gone.
#[derive(Debug, Clone)]
pub struct Spawner {
    runtime: Handle,
    /// Nothing is ever sent: the thread waits until all senders are dropped.
    _alive: mpsc::Sender<Infallible>,
}

impl Spawner {
    /// Starts the thread. Fails only when the machine has no thread or descriptor left.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, mut handles) = mpsc::channel::<Infallible>(1);
        let until_unused = async move { while handles.recv().await.is_some() {} };
        thread::Builder::new().name("spawner".into()).spawn(move || runtime.block_on(until_unused))?;
        Ok(Self { runtime: handle, _alive: alive })
    }

    /// Starts programs on the thread that calls this, until `work`, which runs on a thread of its own, has ended. Called by a main thread,
    /// the process can be handed over any number of times.
    ///
    /// # Errors
    /// The machine has no thread or descriptor left.
    ///
    /// # Panics
    /// `work` does.
    pub fn on_this_thread<T: Send + 'static>(work: impl FnOnce(Self) -> T + Send + 'static) -> io::Result<T> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (alive, _handles) = mpsc::channel::<Infallible>(1);
        let spawner = Self { runtime: runtime.handle().clone(), _alive: alive };
        let (done, answer) = oneshot::channel();
        let working = move || drop(done.send(work(spawner)));
        let worker = thread::Builder::new().name("work".into()).spawn(working)?;
        match runtime.block_on(answer) {
            Ok(answer) => Ok(answer),
            Err(_) => match worker.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => Err(io::Error::other("the work ended without an answer")),
            },
        }
    }

    /// Runs a task on the thread.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(task)
    }

    /// Whether the thread does what it is asked to.
    pub async fn works(&self) -> bool {
        self.run(async {}).await.is_ok()
    }

    /// This process becomes `program`, which finds `handover` with [`Handover::receive`]. The process id, the children and
    /// their death signal stay; every thread and every other descriptor goes.
    ///
    /// Returns only on failure, with the reason; the process goes on as before.
    pub async fn exec(&self, program: &Path, args: Vec<OsString>, handover: &Handover) -> io::Error {
        let inherited = match handover.send() {
            Ok(inherited) => inherited,
            Err(error) => return error,
        };
        let program = PathBuf::from(program);
        let replacing = self.run(async move {
            let error = Command::new(program).args(args).stdin(Stdio::from(inherited)).exec();
            restore();
            error
        });
        replacing.await.unwrap_or_else(io::Error::other)
    }
}

/// Takes back what a failed exec has changed in this process: its standard input, and that a broken pipe is an error and
/// not the end.
fn restore() {
    let _ = signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::default());
    match File::open("/dev/null").map(|null| rustix::stdio::dup2_stdin(&null)) {
        Ok(Ok(())) => {}
        failed => tracing::warn!(?failed, "standard input is not /dev/null again"),
    }
}
