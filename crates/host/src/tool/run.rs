//! Starts a tool, reads what it prints, and sees it to its end.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use secrecy::ExposeSecret as _;

use super::builder::Tool;
use super::error::{End, ToolError};
use super::feed::Input;
use super::output::{Lines, Mask, Output, Tail};
use crate::process::{Exit, inherited};

/// The longest time between two looks at whether the tool has ended or is to be killed.
const TICK: Duration = Duration::from_millis(50);
/// The same while nothing is left to read: the end is near.
const SHORT_TICK: Duration = Duration::from_millis(1);
/// How long the program file may be open for writing. Another thread that forks holds a file just written for a moment.
const BUSY: Duration = Duration::from_secs(1);

impl Tool<'_> {
    /// Runs it and waits on this thread.
    ///
    /// # Errors
    /// It cannot be started, takes too long, does not end with code 0, or its input cannot be produced.
    pub fn run_blocking(self) -> Result<Output, ToolError> {
        to_end(self, &Leash::default())
    }
}

impl Tool<'static> {
    /// Runs it. Dropping the future kills the program and its process group.
    ///
    /// # Errors
    /// As [`Tool::run_blocking`].
    pub async fn run(self) -> Result<Output, ToolError> {
        let program = self.program.clone();
        let leash = Arc::new(Leash::default());
        let guard = PullOnDrop(leash.clone());
        let ended = tokio::task::spawn_blocking(move || to_end(self, &leash)).await;
        drop(guard);
        match ended {
            Ok(ended) => ended,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(ToolError { program, end: End::Cancelled, output: Output::default() }),
        }
    }
}

/// Kills a tool from another thread.
#[derive(Default)]
struct Leash {
    /// The process group, from the start until the leader is reaped and the number may be given away.
    group: Mutex<Option<Pid>>,
    pulled: AtomicBool,
}

impl Leash {
    fn hold(&self, group: Option<Pid>) {
        *self.group.lock().unwrap_or_else(PoisonError::into_inner) = group;
    }

    fn pull(&self) {
        self.pulled.store(true, Ordering::Release);
        if let Some(group) = *self.group.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Pulls the leash when the caller drops its future.
struct PullOnDrop(Arc<Leash>);

impl Drop for PullOnDrop {
    fn drop(&mut self) {
        self.0.pull();
    }
}

fn to_end(mut tool: Tool<'_>, leash: &Leash) -> Result<Output, ToolError> {
    let program = tool.program.clone();
    let (input, mut on_line, on_start) = (tool.input.take(), tool.on_line.take(), tool.on_start.take());
    let given = match &input {
        Some(Input::Secret(text)) => Some(text.clone()),
        _ => None,
    };
    let mask = Mask::new(tool.secrets.values().cloned().chain(given));
    let fail =
        |end, output: Output| ToolError { program: program.clone(), end, output: output.masked(&mask) };
    let mut child = match start(&tool, input.is_some()) {
        Ok(child) => child,
        Err(source) => {
            let why = explain(&tool, &source);
            return Err(fail(End::NotStarted { why, source }, Output::default()));
        }
    };
    leash.hold(Some(Pid::from_child(&child)));
    if let Some(on_start) = on_start {
        on_start(child.id());
    }
    let ended = AtomicBool::new(false);
    let mut line = |text: String| {
        if let Some(on_line) = &mut on_line {
            on_line(&mask.apply(text));
        }
    };
    let (why, output, status, written) = thread::scope(|scope| {
        let stdin = child.stdin.take();
        let writer = stdin.zip(input).map(|(stdin, input)| scope.spawn(|| input.write(stdin, &ended)));
        let mut streams = Streams::of(&mut child, tool.kept);
        let why = streams.until_the_end(&child, tool.limit, leash, &mut line);
        // While the leader is a zombie, its number is not given to another group.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        streams.drain(&mut line);
        leash.hold(None);
        let status = child.wait();
        ended.store(true, Ordering::Release);
        let written = writer.map(|writer| writer.join()).transpose();
        (why, streams.finish(), status, written)
    });
    match (why, status, written) {
        (Err(end), ..) => Err(fail(end, output)),
        (Ok(()), Err(error), _) => Err(fail(End::Unwatched(error), output)),
        (Ok(()), Ok(status), _) if !status.success() => Err(fail(End::Failed(exit(status)), output)),
        (.., Err(panic)) => std::panic::resume_unwind(panic),
        (.., Ok(Some(Err(error)))) => Err(fail(End::Input(error), output)),
        _ => Ok(output),
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

fn start(tool: &Tool<'_>, has_input: bool) -> io::Result<Child> {
    let mut command = Command::new(&tool.program);
    command.args(&tool.args);
    if !tool.inherits {
        command.env_clear();
        command.envs(inherited());
    }
    command
        .envs(&tool.env)
        .envs(tool.secrets.iter().map(|(name, value)| (name, value.expose_secret())))
        .stdin(if has_input { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(cwd) = &tool.cwd {
        command.current_dir(cwd);
    }
    // As root, the standard library also drops all other groups.
    if let Some(user) = tool.user.as_ref().filter(|user| !user.is_current()) {
        command.uid(user.uid).gid(user.gid);
    }
    let deadline = Instant::now() + BUSY;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            started => return started,
        }
    }
}

/// The kernel's error does not say which of the paths it is about.
fn explain(tool: &Tool<'_>, error: &io::Error) -> String {
    if let Some(cwd) = tool.cwd.as_ref().filter(|cwd| !cwd.is_dir()) {
        return format!("its working directory {} does not exist or cannot be entered", cwd.display());
    }
    match (error.kind(), &tool.user) {
        (io::ErrorKind::PermissionDenied, Some(user)) => format!(
            "user {user} may not execute it or may not enter its working directory; only root can start a program \
             as another user"
        ),
        (io::ErrorKind::PermissionDenied, None) => "it may not be executed".to_owned(),
        (io::ErrorKind::NotFound, _) => "it or its loader does not exist".to_owned(),
        _ => error.to_string(),
    }
}

/// Both output streams of a tool.
struct Streams([Stream; 2]);

struct Stream {
    pipe: Option<Box<dyn Pipe>>,
    tail: Tail,
    lines: Lines,
}

trait Pipe: Read + AsFd + Send {}
impl<T: Read + AsFd + Send> Pipe for T {}

impl Streams {
    fn of(child: &mut Child, kept: usize) -> Self {
        let stdout = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Pipe>);
        let stderr = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Pipe>);
        Self([stdout, stderr].map(|pipe| Stream { pipe, tail: Tail::new(kept), lines: Lines::default() }))
    }

    /// Reads until the leader ends; otherwise says why the tool must be killed.
    fn until_the_end(
        &mut self,
        child: &Child,
        limit: Duration,
        leash: &Leash,
        line: &mut impl FnMut(String),
    ) -> Result<(), End> {
        for pipe in self.0.iter().filter_map(|stream| stream.pipe.as_ref()) {
            rustix::io::ioctl_fionbio(pipe, true).map_err(|errno| End::Unwatched(errno.into()))?;
        }
        let deadline = Instant::now().checked_add(limit);
        while !has_ended(child) {
            if leash.pulled.load(Ordering::Acquire) {
                return Err(End::Cancelled);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(End::TooLong(limit));
            }
            let tick = left.map_or(TICK, |left| left.min(TICK));
            self.read_for(tick, line).map_err(End::Unwatched)?;
        }
        if leash.pulled.load(Ordering::Acquire) { Err(End::Cancelled) } else { Ok(()) }
    }

    /// Waits for output, at most for `tick`, and reads it.
    fn read_for(&mut self, tick: Duration, line: &mut impl FnMut(String)) -> io::Result<()> {
        let open: Vec<BorrowedFd<'_>> =
            self.0.iter().filter_map(|stream| Some(stream.pipe.as_ref()?.as_fd())).collect();
        if open.is_empty() {
            thread::sleep(tick.min(SHORT_TICK));
            return Ok(());
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: tick.min(TICK).subsec_nanos().into() };
        let mut fds: Vec<PollFd<'_>> = open.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        for stream in &mut self.0 {
            stream.read_some(line);
        }
        Ok(())
    }

    /// Reads what is there already.
    fn drain(&mut self, line: &mut impl FnMut(String)) {
        for stream in &mut self.0 {
            // A process that left the group may go on writing: no more than one pipe holds.
            for _ in 0..16 {
                if !stream.read_some(line) {
                    break;
                }
            }
            stream.lines.flush(&mut *line);
        }
    }

    fn finish(self) -> Output {
        let [(stdout, one), (stderr, other)] = self.0.map(|stream| stream.tail.finish());
        Output { stdout, stderr, discarded: one + other }
    }
}

impl Stream {
    /// Reads once without waiting; false when there is nothing to read.
    fn read_some(&mut self, line: &mut impl FnMut(String)) -> bool {
        let Some(pipe) = &mut self.pipe else { return false };
        let mut buffer = [0; 16 * 1024];
        match pipe.read(&mut buffer) {
            Ok(0) => self.pipe = None,
            Ok(length) => {
                self.tail.push(&buffer[..length]);
                self.lines.push(&buffer[..length], line);
                return true;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.pipe = None,
        }
        false
    }
}

/// Whether the leader is a zombie or gone.
fn has_ended(child: &Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(Pid::from_child(child)), options) {
        Ok(None) | Err(Errno::INTR) => false,
        Ok(Some(_)) | Err(_) => true,
    }
}
