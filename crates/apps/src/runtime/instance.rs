//! One process of a function, and its server of the Runtime API.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use host::guest::{Guest, MARK, Rights, Slot};
use host::process::Command;
use host::{Log, Shim, Spawner, User};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::api::{Desk, Job, Reply, listen, serve};
use super::bounds::{FILES_MAX, PROCESSES_MAX};
use super::failure::Failure;
use super::limits::Limits;
use super::log::{FunctionLog, Lines};

/// How long a process may take until it asks for its first call: AWS's limit.
const START_MAX: Duration = Duration::from_secs(10);
/// How much of what a process has printed is read before its call counts as answered, in bytes.
const LAST_WORDS: usize = 256 << 10;

/// Everything that a process is started with.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) arn: String,
    /// Its package, which is its working directory.
    pub(super) code: PathBuf,
    /// What it may read beside that.
    pub(super) read: Vec<PathBuf>,
    /// The directory that it may write in.
    pub(super) work: PathBuf,
    pub(super) pid_file: PathBuf,
    pub(super) user: Option<User>,
    pub(super) memory: u64,
    pub(super) shim: Shim,
}

/// A process of a function.
#[derive(Debug)]
pub(super) struct Instance {
    start: Start,
    guest: Guest,
    desk: Arc<Desk>,
    jobs: mpsc::Sender<Job>,
    output: Arc<Output>,
    server: JoinHandle<()>,
    reader: JoinHandle<()>,
    is_warm: bool,
    /// Whether the process has fetched its last call.
    has_fetched: bool,
    /// What it may use.
    limits: Arc<Limits>,
    keeper: JoinHandle<()>,
    /// Counts the processes that are not ended yet.
    _alive: Arc<()>,
}

impl Instance {
    /// Starts a process. It has asked for no call yet.
    pub(super) async fn start(
        spawner: &Spawner,
        start: Start,
        number: u32,
        slot: Slot,
        log: Arc<FunctionLog>,
        alive: Arc<()>,
    ) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::NotStarted(error.to_string());
        let (listener, address) = listen().await.map_err(failed)?;
        let mut env = start.env.clone();
        env.insert("AWS_LAMBDA_RUNTIME_API".into(), address.to_string());
        env.insert(MARK.into(), host::guest::mark(&slot, &address.port().to_string()));
        let mut read = start.read.clone();
        read.push(start.code.clone());
        let rights = Rights {
            read,
            write: vec![start.work.clone()],
            // Its own limit is watched. This one is for what allocates faster than somebody looks.
            memory: start.memory.saturating_add((512 << 20).max(start.memory)),
            file: FILES_MAX,
            processes: PROCESSES_MAX,
        };
        let command = Command {
            program: start.program.clone(),
            args: start.args.iter().map(Into::into).collect(),
            env,
            cwd: start.code.clone(),
            user: start.user.clone(),
            log: Log::at(&start.pid_file),
            pid_file: Some(start.pid_file.clone()),
            shim: start.shim.of_guest(&rights),
            stop: host::StopSignal::default(),
        };
        let uid = start.user.as_ref().map_or_else(|| rustix::process::geteuid().as_raw(), |user| user.uid);
        let (jobs, received) = mpsc::channel(1);
        let desk = Arc::new(Desk::new(received, start.arn.clone()));
        let (guest, pipe) = Guest::start(spawner, slot, command).await.map_err(failed)?;
        let output = Arc::new(Output::new(pipe, number, log).map_err(failed)?);
        let server = tokio::spawn(serve(listener, desk.clone(), uid));
        let reading = output.clone();
        let reader = tokio::spawn(async move { reading.to_the_end().await });
        let limits = Limits::new(start.memory, start.work.clone());
        let told = output.clone();
        let keeping = limits.clone().keep(guest.watch(), move |failure| {
            told.end_of_call(None, &format!("between two calls: {failure}"));
        });
        let keeper = tokio::spawn(keeping);
        Ok(Self {
            has_fetched: false,
            limits,
            keeper,
            _alive: alive,
            start,
            guest,
            desk,
            jobs,
            output,
            server,
            reader,
            is_warm: false,
        })
    }

    /// Whether the last call was lost through no fault of its own: the process had answered calls, and ended before it fetched this one.
    pub(super) fn has_lost(&self, failure: &Failure) -> bool {
        self.is_warm && !self.has_fetched && matches!(failure, Failure::Ended { .. })
    }

    /// Whether it can take a call.
    pub(super) fn is_alive(&self) -> bool {
        self.guest.exit().is_none()
    }

    /// Has the process answer a call. After any failure but [`Failure::Fault`] it is of no more use.
    pub(super) async fn call(&mut self, id: &str, payload: Bytes, limit: Duration) -> Result<Bytes, Failure> {
        self.output.start_of_call(id);
        let began = Instant::now();
        let is_cold = !self.is_warm;
        self.limits.busy(true);
        let answered = self.answered(id, payload, limit).await;
        self.limits.busy(false);
        self.output.drain();
        let mut text = match &answered {
            Ok(bytes) => format!("answered, bytes: {},", bytes.len()),
            Err(failure) => failure.to_string(),
        };
        text.push_str(&format!(" after {:.1} ms", began.elapsed().as_secs_f64() * 1000.0));
        if is_cold {
            text.push_str(", with the start of the process");
        }
        self.output.end_of_call(Some(id), &text);
        answered
    }

    async fn answered(&mut self, id: &str, payload: Bytes, limit: Duration) -> Result<Bytes, Failure> {
        let (fetched, is_fetched) = oneshot::channel();
        let (reply, mut answer) = oneshot::channel();
        let job = Job { id: id.to_owned(), payload, limit, fetched, reply };
        let early = !self.is_warm;
        self.has_fetched = false;
        if self.jobs.try_send(job).is_err() {
            return Err(Failure::NoAnswer);
        }
        let patience = if early { START_MAX } else { limit };
        tokio::select! {
            taken = tokio::time::timeout(patience, is_fetched) => match taken {
                Ok(Ok(())) => (self.is_warm, self.has_fetched) = (true, true),
                Ok(Err(_)) => return Err(Failure::NoAnswer),
                Err(_) if early => return Err(self.desk.failed_start().map_or(Failure::SlowStart(patience), Failure::FailedStart)),
                Err(_) => return Err(Failure::TooLong(patience)),
            },
            exit = self.guest.ended() => {
                return Err(match (self.limits.broken(), self.desk.failed_start()) {
                    (Some(broken), _) if early => broken,
                    (_, Some(fault)) if early => Failure::FailedStart(fault),
                    // What ended before it fetched the call has not failed in it.
                    _ => Failure::Ended { exit, early },
                });
            }
        }
        let deadline = Instant::now() + limit;
        let ended = self.guest.ended();
        tokio::pin!(ended);
        tokio::select! {
            biased;
            reply = &mut answer => match reply {
                Ok(Reply::Answer(bytes)) => Ok(bytes),
                Ok(Reply::Failed(fault)) => Err(Failure::Fault(fault)),
                Ok(Reply::TooLarge) => Err(Failure::TooLarge),
                Ok(Reply::None) | Err(_) => Err(Failure::NoAnswer),
            },
            exit = &mut ended => {
                Err(self.limits.broken().unwrap_or(Failure::Ended { exit, early: false }))
            }
            () = sleep_until(deadline) => Err(Failure::TooLong(limit)),
        }
    }

    /// Ends the process and all that it started, and removes what it wrote.
    pub(super) async fn end(self) {
        self.guest.kill().await;
        self.output.drain();
        self.output.belong_to(None);
        let work = self.start.work.clone();
        let _ = tokio::task::spawn_blocking(move || host::disk::remove_tree(&work)).await;
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.server.abort();
        self.reader.abort();
        self.keeper.abort();
    }
}

/// What a process prints.
#[derive(Debug)]
struct Output {
    pipe: pipe::Receiver,
    lines: Mutex<Lines>,
    instance: u32,
    log: Arc<FunctionLog>,
}

impl Output {
    fn new(pipe: OwnedFd, instance: u32, log: Arc<FunctionLog>) -> std::io::Result<Self> {
        Ok(Self { pipe: pipe::Receiver::from_owned_fd(pipe)?, lines: Mutex::default(), instance, log })
    }

    async fn to_the_end(&self) {
        while self.pipe.readable().await.is_ok() {
            if !self.read_with(|chunk| self.pipe.try_read(chunk)) {
                return;
            }
            // What prints without end must leave the thread to others.
            tokio::task::yield_now().await;
        }
    }

    /// Reads what is there: of the kernel itself, because tokio may not have heard of it yet. False once there is no more.
    fn drain(&self) -> bool {
        self.read_with(|chunk| rustix::io::read(&self.pipe, chunk).map_err(Into::into))
    }

    fn read_with(&self, read_some: impl Fn(&mut [u8]) -> std::io::Result<usize>) -> bool {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chunk = [0; 16 << 10];
        let mut read = 0;
        while read < LAST_WORDS {
            match read_some(&mut chunk) {
                Ok(0) => {
                    lines.flush(self.instance, &self.log);
                    return false;
                }
                Ok(n) => {
                    read += n;
                    lines.push(&chunk[..n], self.instance, &self.log);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        true
    }

    fn belong_to(&self, request: Option<&str>) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.belong_to(request, self.instance, &self.log);
    }

    /// From here on, what is printed is this call's; what was printed before and is not read yet is not.
    fn start_of_call(&self, request: &str) {
        self.drain();
        self.belong_to(Some(request));
    }

    fn end_of_call(&self, request: Option<&str>, text: &str) {
        self.belong_to(None);
        self.log.say(self.instance, request, text);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::runtime::Entry;

    #[tokio::test]
    async fn what_was_printed_before_a_call_is_not_the_call_s() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.log");
        let (output, mut input) = std::io::pipe().unwrap();
        // Nobody reads it meanwhile, as when the reader is slower than the next call.
        let output = Output::new(output.into(), 1, Arc::new(FunctionLog::new("f", &path))).unwrap();
        output.end_of_call(Some("one"), "answered");
        input.write_all(b"late words of the first call\n").unwrap();
        output.start_of_call("two");
        input.write_all(b"of the second\n").unwrap();
        output.drain();
        let text = std::fs::read_to_string(&path).unwrap();
        let entries = text.lines().map(|line| serde_json::from_str::<Entry>(line).unwrap());
        let said: Vec<_> = entries.map(|entry| (entry.text, entry.request)).collect();
        assert!(said.contains(&("late words of the first call".to_owned(), None)), "{said:?}");
        assert!(said.contains(&("of the second".to_owned(), Some("two".to_owned()))), "{said:?}");
    }
}
