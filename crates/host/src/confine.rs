//! Asks one question of a program that nobody vouches for, such as the server in a file that somebody downloaded.
//!
//! The program runs once, in a directory of its own, and reaches nothing else: no network, no file that this machine does
//! not need to start programs, no other process. It has limits of time and memory. As root it runs as a user that nobody
//! else is. When the answer is there, nothing of it is left.
//!
//! A process must give up these rights itself, between fork and exec. So this program starts itself once more
//! (`confine WORK REPORT SECONDS -- PROGRAM ARGS...`), which is what [`enter`] is for.
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::io::FdFlags;
use rustix::process::{Resource, Rlimit, Signal, geteuid, set_parent_process_death_signal, setrlimit};
use serde::{Deserialize, Serialize};

use crate::disk::DiskError;
use crate::process::Exit;
use crate::shim::Shim;
use crate::tool::{Output, Tool, ToolError};

pub(crate) mod rules;

/// The most memory that the program may write to, in bytes.
const MEMORY: u64 = 2 << 30;
/// The largest file that it may write, in bytes.
const FILE: u64 = 16 << 20;
/// How many files it may have open.
const FILES: u64 = 256;
/// How many processes and threads it may have, where it has a user of its own.
const PROCESSES: u64 = 512;
/// How much longer than the program its keeper may take, to clean up.
const CLEANING: Duration = Duration::from_secs(10);
/// The first of the user ids that no convention gives to anybody; the process id is added to it.
const NOBODYS: u32 = 1_879_048_192;
/// The user without rights that every system knows.
const NOBODY: u32 = 65_534;
/// How long the program file may be open for writing. Another thread that forks holds a file just written for a moment.
const BUSY: Duration = Duration::from_secs(1);

/// A program and what it is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The program; its user needs no right to reach it.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its variables, beside `PATH`, `LANG` and `TZ`.
    pub env: BTreeMap<String, String>,
    /// How long it may take.
    pub limit: Duration,
}

/// What a program answered that ended with code 0.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The end of what it printed.
    pub output: Output,
    /// What could not be kept from it, because this machine has no means for that; each in words.
    pub reached: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The directory for it cannot be made.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The program could not be confined, and was not started.
    #[error("it cannot be confined: {0}")]
    NotConfined(String),
    /// The kernel does not start it.
    #[error("it cannot be started: {source}")]
    NotStarted {
        /// The kernel's reason.
        source: io::Error,
    },
    /// It was killed at its limit of time.
    #[error("it did not answer within {} s", .0.as_secs())]
    TooLong(Duration),
    /// It ended with another code than 0, or by a signal.
    #[error("it {end}{}", last(output))]
    Failed {
        /// How it ended.
        end: Exit,
        /// The end of what it printed.
        output: Output,
    },
}

fn last(output: &Output) -> String {
    output.last_line().map(|line| format!(": {line}")).unwrap_or_default()
}

/// What the keeper says when it ends.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Report {
    reached: Vec<String>,
    not_confined: Option<String>,
    not_started: Option<i32>,
    too_long: bool,
    code: Option<i32>,
    signal: Option<i32>,
}

/// Runs the program to its end, or to its limits. `shim` is how to call [`enter`].
///
/// # Errors
/// It did not end with code 0, or could not be run like this.
pub fn ask(shim: &Shim, question: &Question) -> Result<Answer, Unanswered> {
    let outside =
        tempfile::tempdir().map_err(|error| DiskError::new("write in", &std::env::temp_dir(), error))?;
    let fail = |error| DiskError::new("prepare", outside.path(), error);
    let (work, report) = (outside.path().join("work"), outside.path().join("report"));
    fs::create_dir(&work).map_err(fail)?;
    File::create(&report).map_err(fail)?;
    let ran = Tool::new(&shim.program, question.limit + CLEANING)
        .args(&shim.args)
        .args([work.as_os_str(), report.as_os_str(), OsStr::new(&question.limit.as_secs().to_string())])
        .arg("--")
        .arg(&question.program)
        .args(&question.args)
        .envs(question.env.clone())
        .cwd(&work)
        .run_blocking();
    let said = fs::read(&report).map_err(|error| DiskError::new("read", &report, error));
    // What the program leaves may be as deep as it likes.
    let removed = crate::disk::remove_tree(outside.path());
    let output = ran.map_err(|error| Unanswered::NotConfined(keeper(&error)))?;
    let said: Report = serde_json::from_slice(&said?)
        .map_err(|error| Unanswered::NotConfined(format!("its keeper does not say how it ended: {error}")))?;
    removed?;
    let end = match (said.code, said.signal) {
        (_, Some(signal)) => Exit::Signal(signal),
        (Some(code), None) => Exit::Code(code),
        (None, None) if said.too_long => return Err(Unanswered::TooLong(question.limit)),
        (None, None) => {
            return Err(match (said.not_confined, said.not_started) {
                (None, Some(code)) => Unanswered::NotStarted { source: io::Error::from_raw_os_error(code) },
                (why, _) => Unanswered::NotConfined(why.unwrap_or_default()),
            });
        }
    };
    match end {
        Exit::Code(0) => Ok(Answer { output, reached: said.reached }),
        end => Err(Unanswered::Failed { end, output }),
    }
}

/// What is said of a keeper that did not do its work.
fn keeper(error: &ToolError) -> String {
    match error.last_line() {
        Some(line) => format!("{}: {line}", error.end),
        None => error.end.to_string(),
    }
}

/// The keeper: gives up what the program must not have, runs it, sees it to its end, and writes how it ended to `report`.
///
/// It must have one thread, because the kernel takes rights from the thread that calls. Where the program could not be run,
/// that is in the report too.
///
/// # Errors
/// The report cannot be written.
pub fn enter(work: &Path, report: &Path, limit: Duration, argv: &[OsString]) -> io::Result<()> {
    // Opened now: afterwards there is no way to it.
    let mut file = File::create(report)?;
    let mut said = Report::default();
    if let Err(why) = keep(work, limit, argv, &mut said) {
        said.not_confined = Some(why);
    }
    file.write_all(&serde_json::to_vec(&said)?)
}

fn keep(work: &Path, limit: Duration, argv: &[OsString], said: &mut Report) -> Result<(), String> {
    let [program, args @ ..] = argv else { return Err("no program was named".into()) };
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("cannot tie it to its caller: {error}"))?;
    // Opened as who calls: the program's user may not reach it by its path, and need not.
    let opened = match File::open(program) {
        Ok(opened) => opened,
        Err(error) => {
            said.not_started = error.raw_os_error().or(Some(rustix::io::Errno::NOENT.raw_os_error()));
            return Ok(());
        }
    };
    if !is_for_this_machine(&opened).unwrap_or(false) {
        said.not_started = Some(rustix::io::Errno::NOEXEC.raw_os_error());
        return Ok(());
    }
    // A script's interpreter opens it again.
    rustix::io::fcntl_setfd(&opened, FdFlags::empty()).map_err(|error| error.to_string())?;
    let user = geteuid().is_root().then(nobodys_id);
    let words = |what: &str, error: io::Error| format!("cannot {what}: {error}");
    if let Some(id) = user {
        chown(work, Some(id), Some(id)).map_err(|error| words("give its directory away", error))?;
    }
    fs::set_permissions(work, Permissions::from_mode(0o700)).map_err(|e| words("close its directory", e))?;
    limits(limit, user.is_some()).map_err(|error| words("limit it", error))?;
    rules::restrict(work, &opened, user.is_some(), &mut said.reached)?;

    let mut command = Command::new(format!("/proc/self/fd/{}", opened.as_raw_fd()));
    command.arg0(Path::new(program).file_name().unwrap_or(program)).args(args).env("HOME", work);
    if let Some(id) = user {
        command.uid(id).gid(id);
    }
    match start(&mut command) {
        Ok(child) => {
            let ended = wait(child, limit).map_err(|error| words("watch it", error))?;
            said.too_long = ended.is_none();
            if let Some(status) = ended {
                use std::os::unix::process::ExitStatusExt as _;
                (said.code, said.signal) = (status.code(), status.signal());
            }
        }
        Err(error) => said.not_started = error.raw_os_error().or(Some(0)),
    }
    Ok(())
}

/// Whether the kernel would run it. What the kernel does not know, the C library would give to a shell.
fn is_for_this_machine(program: &File) -> io::Result<bool> {
    let head = |file: &File| {
        // Up to the machine in an ELF header.
        let mut bytes = [0; 20];
        file.read_at(&mut bytes, 0).map(|_| bytes)
    };
    let (its, ours) = (head(program)?, head(&File::open("/proc/self/exe")?)?);
    Ok(its.starts_with(b"#!") || (its[..6] == ours[..6] && its[18..] == ours[18..]))
}

fn start(command: &mut Command) -> io::Result<Child> {
    let deadline = Instant::now() + BUSY;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            started => return started,
        }
    }
}

/// Waits for its end; `None` = it was killed at the limit. The kernel ends what it has started with it, because it is the
/// first process of its name space.
fn wait(mut child: Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A user id that no account has and no other process of this moment.
fn nobodys_id() -> u32 {
    let id = NOBODYS + std::process::id();
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if is_mapped(&map, id) { id } else { NOBODY }
}

/// Whether a user id exists here: in a container, there may be only the first 65536.
pub(crate) fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if (first..first + count).contains(&u64::from(id)))
    })
}

fn limits(limit: Duration, own_user: bool) -> io::Result<()> {
    let mut all = vec![
        (Resource::Data, MEMORY),
        (Resource::Cpu, limit.as_secs() + 1),
        (Resource::Fsize, FILE),
        (Resource::Nofile, FILES),
        (Resource::Core, 0),
    ];
    if own_user {
        all.push((Resource::Nproc, PROCESSES));
    }
    for (resource, most) in all {
        // A limit that is lower already cannot be raised, and need not be.
        let most = rustix::process::getrlimit(resource).maximum.map_or(most, |now| now.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_does_not_exist_here_is_not_taken() {
        assert!(is_mapped("         0          0 4294967295\n", NOBODYS + 7));
        assert!(!is_mapped("0 100000 65536\n", NOBODYS + 7));
        assert!(is_mapped("0 1000 1\n1 100000 65536\n", NOBODY));
        assert!(!is_mapped("", 0));
    }
}
