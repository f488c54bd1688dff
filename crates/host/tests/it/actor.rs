//! Parts that child processes of the tests play: this executable, started again with one test's name.
#![allow(
    clippy::disallowed_methods,
    reason = "the suite tells its other processes what to do in the environment"
)]
//! Run as tests of the suite they check what they refuse.
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use host::shim::ShimError;
use host::{Held, Policy, Shim, Spawner, Supervisor};

use crate::supervise::shell;

/// Names the directory an actor works in; its absence means that the suite is running.
const STAGE: &str = "HOST_TEST_STAGE";

/// The shim, as the binary would provide it.
pub(crate) fn shim() -> Shim {
    let args = ["actor::hold_to", "--exact", "--nocapture", "--quiet", "--test-threads=1"];
    Shim { program: "/proc/self/exe".into(), args: args.map(OsString::from).to_vec() }
}

/// What confines programs, as the binary would provide it.
pub(crate) fn confining() -> Shim {
    let args = ["actor::confine", "--exact", "--nocapture", "--quiet", "--test-threads=1"];
    Shim { program: "/proc/self/exe".into(), args: args.map(OsString::from).to_vec() }
}

/// What makes guests, as the binary would provide it.
pub(crate) fn guest() -> Shim {
    let args = ["actor::become_guest", "--exact", "--nocapture", "--quiet", "--test-threads=1"];
    Shim { program: "/proc/self/exe".into(), args: args.map(OsString::from).to_vec() }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "here it is the program's end, with the shim's exit code")]
fn become_guest() {
    let args: Vec<OsString> = std::env::args_os().collect();
    let Some(at) = args.iter().position(|arg| arg == "--") else {
        return assert_eq!(host::guest::become_guest("{", 1, &[]).unwrap_err().exit_code(), 124);
    };
    let parent = args[at - 1].to_str().unwrap().parse().unwrap();
    let Err(error) = host::guest::become_guest(args[at - 2].to_str().unwrap(), parent, &args[at + 1..]);
    println!("{error}");
    std::process::exit(error.exit_code().into());
}

#[test]
fn confine() {
    let args: Vec<OsString> = std::env::args_os().collect();
    let Some(at) = args.iter().position(|arg| arg == "--") else {
        let file = tempfile::NamedTempFile::new().unwrap();
        host::confine::enter(Path::new("/"), file.path(), Duration::ZERO, &[]).unwrap();
        let said = std::fs::read_to_string(file.path()).unwrap();
        return assert!(said.contains("no program was named"), "{said}");
    };
    let limit = Duration::from_secs(args[at - 1].to_str().unwrap().parse().unwrap());
    host::confine::enter(Path::new(&args[at - 3]), Path::new(&args[at - 2]), limit, &args[at + 1..]).unwrap();
}

/// Starts this executable as an actor.
pub(crate) fn start(name: &str, stage: &Path) -> Child {
    play(&mut Command::new(std::env::current_exe().unwrap()), name, stage).spawn().unwrap()
}

/// Has the command, which ends in this executable, play an actor's part.
pub(crate) fn play<'a>(command: &'a mut Command, name: &str, stage: &Path) -> &'a mut Command {
    command
        .args([&format!("actor::{name}"), "--exact", "--nocapture", "--test-threads=1"])
        .env(STAGE, stage)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
}

/// A shell that does what the suite said, in the actor's directory.
fn script(stage: &Path) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(std::env::var_os("HOST_TEST_SCRIPT").unwrap()).current_dir(stage);
    shell
}

/// Process 1, whose work is a script.
#[test]
#[allow(clippy::disallowed_methods, reason = "here it is the program's end, with the work's exit code")]
fn process_one() {
    let Some(stage) = stage() else {
        return assert!(!host::init::is_process_one());
    };
    assert!(host::init::is_process_one());
    let exit = host::init::run(&mut script(&stage)).unwrap();
    std::process::exit(exit.code().into());
}

/// Gives up root and runs a script.
#[test]
fn nobody() {
    let Some(stage) = stage() else { return };
    let ports = std::env::var_os("HOST_TEST_PORTS").is_some_and(|ports| ports == "keep");
    let Err(error) = host::identity::become_user(4242, 4243, ports, &mut script(&stage));
    panic!("{error}");
}

fn stage() -> Option<PathBuf> {
    std::env::var_os(STAGE).map(PathBuf::from)
}

#[test]
#[allow(clippy::disallowed_methods, reason = "here it is the program's end, with the shim's exit code")]
fn hold_to() {
    let args: Vec<OsString> = std::env::args_os().collect();
    let Some(at) = args.iter().position(|arg| arg == "--") else {
        assert!(matches!(host::shim::exec(1, &[]), Err(ShimError::Nothing)));
        return;
    };
    let parent = args[at - 1].to_str().unwrap().parse().unwrap();
    let Err(error) = host::shim::exec(parent, &args[at + 1..]);
    println!("{error}");
    std::process::exit(error.exit_code().into());
}

/// Supervises a program with a grandchild, for ever.
#[tokio::test]
async fn supervisor() {
    let Some(stage) = stage() else {
        return assert_eq!(ShimError::Nothing.exit_code(), 125);
    };
    let script = "sleep 300 & echo $! > grandchild.tmp; mv grandchild.tmp grandchild; exec sleep 300";
    let _supervisor =
        Supervisor::start(&Spawner::start().unwrap(), shell(&stage, script), Policy::default()).unwrap();
    std::future::pending::<()>().await;
}

/// Supervises a program that counts, fails to become a program that is not there, and becomes its own successor.
#[tokio::test]
async fn predecessor() {
    let Some(stage) = stage() else {
        return assert!(host::Handover { state: Vec::new(), descriptors: Vec::new() }.state.is_empty());
    };
    let spawner = Spawner::start().unwrap();
    let script = "i=0; while :; do i=$((i+1)); printf \"line $i\"; sleep 0.005; echo ' end'; done";
    let supervisor = Supervisor::start(&spawner, shell(&stage, script), Policy::default()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let handover = pack(supervisor.hand_over().await.unwrap());
    let error = spawner.exec(&stage.join("nowhere"), Vec::new(), &handover).await;
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    // As before: the program is supervised, and a broken pipe is an error.
    let supervisor = unpack(&spawner, handover, &stage);
    let (reader, mut writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(writer.write_all(b"x").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    std::fs::write(stage.join("failed"), "").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let handover = pack(supervisor.hand_over().await.unwrap());
    let args = ["actor::successor", "--exact", "--nocapture", "--test-threads=1"].map(OsString::from);
    let error = spawner.exec(&std::env::current_exe().unwrap(), args.to_vec(), &handover).await;
    panic!("{error}");
}

/// Goes on with what the program before it has handed over, for ever.
#[tokio::test]
async fn successor() {
    let Some(stage) = stage() else { return };
    let spawner = Spawner::start().unwrap();
    let _supervisor = unpack(&spawner, host::Handover::receive().unwrap(), &stage);
    std::fs::write(stage.join("adopted"), std::process::id().to_string()).unwrap();
    std::future::pending::<()>().await;
}

fn pack(held: Held) -> host::Handover {
    host::Handover {
        state: serde_json::to_vec(&held.state).unwrap(),
        descriptors: held.output.into_iter().collect(),
    }
}

fn unpack(spawner: &Spawner, mut handover: host::Handover, stage: &Path) -> Supervisor {
    let state = serde_json::from_slice(&handover.state).unwrap();
    let held = Held { state, output: handover.descriptors.pop() };
    Supervisor::adopt(spawner, shell(stage, "exit 1"), Policy::default(), held).unwrap()
}

/// Leaves the session and says so.
#[test]
fn daemon() {
    let Some(stage) = stage() else {
        return assert!(host::limits::open_files().soft.is_none_or(|soft| soft > 0));
    };
    host::daemon::detach().unwrap();
    host::daemon::detach().unwrap();
    std::fs::write(
        stage.join("session"),
        format!("{}", rustix::process::getsid(None).unwrap().as_raw_nonzero()),
    )
    .unwrap();
}
