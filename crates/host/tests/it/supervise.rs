//! Supervision of real processes.
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use host::leftover::{self, PidFile};
use host::{Command, Exit, Log, Policy, Spawner, State, Supervisor};

use crate::{actor, is_root, lives, pid_in, wait_until};

/// A shell script in a directory of its own.
pub(crate) fn shell(dir: &Path, script: &str) -> Command {
    Command {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::new(),
        cwd: dir.to_path_buf(),
        user: None,
        log: Log::at(dir.join("log")),
        pid_file: Some(dir.join("pid")),
        shim: actor::shim(),
        stop: host::StopSignal::default(),
    }
}

fn quick() -> Policy {
    Policy {
        first_wait: Duration::from_millis(10),
        longest_wait: Duration::from_millis(40),
        grace: Duration::from_millis(300),
        ..Policy::default()
    }
}

async fn reach(supervisor: &Supervisor, wanted: impl FnMut(&host::Status) -> bool) -> host::Status {
    let mut status = supervisor.status();
    let reached = tokio::time::timeout(Duration::from_secs(10), status.wait_for(wanted)).await;
    reached.expect("the state is never reached").unwrap().clone()
}

fn log_of(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
}

#[test]
fn kill_9_of_the_supervisor_leaves_no_child_and_the_next_start_ends_grandchildren() {
    let dir = tempfile::tempdir().unwrap();
    let mut supervisor = actor::start("supervisor", dir.path());
    let grandchild = pid_in(&dir.path().join("grandchild"));
    wait_until("a pid file", || PidFile::read(&dir.path().join("pid")).is_some());
    let file = PidFile::read(&dir.path().join("pid")).unwrap();
    assert!(file.is_running());

    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    wait_until("the child dies with its supervisor", || !lives(file.pid));
    assert!(lives(grandchild), "nothing tells a grandchild");

    assert_eq!(leftover::end(&dir.path().join("pid")).unwrap(), 1);
    assert!(!lives(grandchild));
    assert!(!file.is_running());
    assert_eq!(leftover::end(&dir.path().join("pid")).unwrap(), 0, "the file is gone, too");
}

/// A process that ends with the test, also with one that fails.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_becomes_another_program_and_its_child_does_not_notice() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Ended(actor::start("predecessor", dir.path()));
    wait_until("a pid file", || PidFile::read(&dir.path().join("pid")).is_some());
    let child = PidFile::read(&dir.path().join("pid")).unwrap();
    assert_eq!(pid_in(&dir.path().join("adopted")), process.0.id(), "it is the same process");
    assert!(dir.path().join("failed").exists(), "the failed exec came first");
    assert!(child.is_running(), "neither the failed exec nor the other ended it");

    // The test harness of the actor, which the shim is in these tests, writes a line before the program does.
    let told = || log_of(dir.path()).split_once("running 1 test\n").unwrap().1.to_owned();
    let lines = || told().matches('\n').count();
    let at_handover = lines();
    wait_until("the log goes on", || lines() > at_handover + 10);
    let expected: String = (1..=at_handover + 10).map(|n| format!("line {n} end\n")).collect();
    let told = told();
    assert!(told.starts_with(&expected), "a line is lost or torn: {told}");

    process.0.kill().unwrap();
    process.0.wait().unwrap();
    wait_until("the child dies with the successor", || !child.is_running());
}

#[tokio::test]
async fn a_process_that_is_no_child_is_never_signalled() {
    let dir = tempfile::tempdir().unwrap();
    let spawner = Spawner::start().unwrap();
    let supervisor = Supervisor::start(&spawner, shell(dir.path(), "exec sleep 300"), quick()).unwrap();
    reach(&supervisor, |s| matches!(s.state, State::Running { .. })).await;
    let held = supervisor.hand_over().await.unwrap();
    // A process of the machine that this one did not start.
    let (stranger, mut state) = (1, serde_json::to_value(&held.state).unwrap());
    let child = state["program"]["running"]["pid"].as_u64().unwrap();
    state["program"]["running"]["pid"] = stranger.into();
    let held = host::Held { state: serde_json::from_value(state).unwrap(), output: held.output };
    let supervisor = Supervisor::adopt(&spawner, shell(dir.path(), "exec sleep 300"), quick(), held).unwrap();
    let status = reach(&supervisor, |s| s.restarts == 1 && matches!(s.state, State::Running { .. })).await;
    let State::Running { pid, .. } = status.state else { panic!("{status:?}") };
    assert_ne!(u64::from(pid), child, "the pid file named the real one, and the restart ended it");
    assert!(!lives(u32::try_from(child).unwrap()));
    supervisor.stop().await;
}

#[tokio::test]
async fn a_wait_for_a_restart_is_handed_over_with_its_count() {
    let dir = tempfile::tempdir().unwrap();
    let spawner = Spawner::start().unwrap();
    let policy =
        Policy { first_wait: Duration::from_secs(3600), longest_wait: Duration::from_secs(3600), ..quick() };
    let supervisor = Supervisor::start(&spawner, shell(dir.path(), "exit 3"), policy.clone()).unwrap();
    let waiting = |s: &host::Status| matches!(s.state, State::BackingOff { .. });
    let before = reach(&supervisor, waiting).await;
    let held = supervisor.hand_over().await.unwrap();
    let supervisor = Supervisor::adopt(&spawner, shell(dir.path(), "exit 3"), policy, held).unwrap();
    assert_eq!(reach(&supervisor, waiting).await, before);
    assert_eq!(supervisor.stop().await, None);
}

#[test]
fn a_recycled_pid_is_never_killed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pid");
    let mut stranger = std::process::Command::new("sleep").arg("300").spawn().unwrap();
    PidFile::of(stranger.id()).unwrap().write(&path).unwrap();
    let honest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (field, other) in [("started", serde_json::json!(1)), ("boot", serde_json::json!("another"))] {
        let mut file = honest.clone();
        file[field] = other;
        std::fs::write(&path, file.to_string()).unwrap();
        assert_eq!(leftover::end(&path).unwrap(), 0, "{field}");
        assert!(lives(stranger.id()), "{field}");
    }
    std::fs::write(&path, "{ garbage").unwrap();
    assert_eq!(leftover::end(&path).unwrap(), 0);
    // A copy of the directory, as `cp -a` makes it: the process is the original's.
    std::fs::write(&path, honest.to_string()).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let copied = copy.path().join("pid");
    std::fs::copy(&path, &copied).unwrap();
    assert_eq!(leftover::end(&copied).unwrap(), 0);
    assert!(lives(stranger.id()), "a copy ends nothing of the original");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_failing_program_is_restarted_with_back_off() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor =
        Supervisor::start(&Spawner::start().unwrap(), shell(dir.path(), "echo try; exit 3"), quick())
            .unwrap();
    let status = reach(&supervisor, |s| s.restarts >= 3 && matches!(s.state, State::BackingOff { .. })).await;
    let State::BackingOff { last_exit, .. } = status.state else { panic!("{status:?}") };
    assert_eq!(last_exit, Exit::Code(3));
    supervisor.stop().await;
    let log = log_of(dir.path());
    assert!(log.matches("try\n").count() >= 4, "{log}");
    assert!(log.contains("mainstay: the program ended with code 3; starting it again in 10ms"), "{log}");
    assert!(log.contains("again in 40ms"), "{log}");
    assert!(!dir.path().join("pid").exists());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let policy = Policy { first_wait: Duration::from_secs(3600), ..quick() };
    let supervisor =
        Supervisor::start(&Spawner::start().unwrap(), shell(dir.path(), "exit 1"), policy).unwrap();
    reach(&supervisor, |s| matches!(s.state, State::BackingOff { .. })).await;
    assert_eq!(supervisor.stop().await, None, "it was waiting, not running");
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = shell(dir.path(), "");
    command.program = "/nowhere/mattermost".into();
    let supervisor = Supervisor::start(&Spawner::start().unwrap(), command, quick()).unwrap();
    let missing = |s: &host::Status| matches!(&s.state, State::BackingOff { last_exit: Exit::Code(127), .. });
    reach(&supervisor, missing).await;
    supervisor.stop().await;
    assert!(log_of(dir.path()).contains("cannot run /nowhere/mattermost: No such file"));

    let mut command = shell(dir.path(), "");
    command.cwd = dir.path().join("absent");
    let supervisor = Supervisor::start(&Spawner::start().unwrap(), command, quick()).unwrap();
    let status = reach(&supervisor, |s| matches!(s.state, State::BackingOff { .. })).await;
    assert!(format!("{status:?}").contains("working directory"), "{status:?}");
    supervisor.stop().await;
}

#[tokio::test]
async fn a_graceful_stop_lets_the_program_finish() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    let mut policy = quick();
    policy.grace = Duration::from_secs(10);
    let supervisor =
        Supervisor::start(&Spawner::start().unwrap(), shell(dir.path(), script), policy).unwrap();
    wait_until("the trap is set", || log_of(dir.path()).contains("ready"));
    assert_eq!(supervisor.stop().await, Some(Exit::Code(0)));
    assert!(log_of(dir.path()).ends_with("bye\n"), "{}", log_of(dir.path()));
}

#[tokio::test]
async fn who_ignores_term_is_killed_with_its_grandchild() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; sleep 300 & echo $! > grandchild; while :; do sleep 0.02; done";
    let supervisor =
        Supervisor::start(&Spawner::start().unwrap(), shell(dir.path(), script), quick()).unwrap();
    let grandchild = pid_in(&dir.path().join("grandchild"));
    assert!(lives(grandchild));
    assert_eq!(supervisor.stop().await, Some(Exit::Signal(9)));
    assert!(!lives(grandchild));
}

#[tokio::test]
async fn a_crashed_leader_takes_its_group_along() {
    let dir = tempfile::tempdir().unwrap();
    let script = "[ -e grandchild ] && exec sleep 300; sleep 300 & echo $! > grandchild; exit 1";
    let supervisor =
        Supervisor::start(&Spawner::start().unwrap(), shell(dir.path(), script), quick()).unwrap();
    reach(&supervisor, |s| s.restarts == 1 && matches!(s.state, State::Running { .. })).await;
    assert!(!lives(pid_in(&dir.path().join("grandchild"))), "it would hold the new server's ports");
    assert_eq!(supervisor.stop().await, Some(Exit::Signal(15)));
}

#[tokio::test]
async fn a_dropped_supervisor_stops_its_program() {
    let dir = tempfile::tempdir().unwrap();
    let supervisor =
        Supervisor::start(&Spawner::start().unwrap(), shell(dir.path(), "exec sleep 300"), quick()).unwrap();
    let status = reach(&supervisor, |s| matches!(s.state, State::Running { .. })).await;
    let State::Running { pid, .. } = status.state else { panic!("{status:?}") };
    wait_until("it runs", || lives(pid));
    drop(supervisor);
    wait_until("it stops", || !lives(pid));
}

#[tokio::test]
async fn only_the_listed_environment_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = shell(dir.path(), "env; exec sleep 300");
    command.env.insert("MM_SECRET".into(), "s3cret".into());
    assert!(!format!("{command:?}").contains("s3cret"));
    let supervisor = Supervisor::start(&Spawner::start().unwrap(), command, quick()).unwrap();
    wait_until("the environment is printed", || log_of(dir.path()).contains("MM_SECRET=s3cret"));
    let log = log_of(dir.path());
    let names: Vec<&str> = log.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let allowed = ["PATH", "LANG", "TZ", "MM_SECRET", "PWD", "OLDPWD", "_", "SHLVL"];
    assert!(names.iter().all(|name| allowed.contains(name)), "{names:?}");
    supervisor.stop().await;
}

#[tokio::test]
async fn a_program_runs_as_the_user_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = shell(dir.path(), "echo uid $(id -u) gid $(id -g); exec sleep 300");
    let other = host::User::named(if is_root() { "nobody" } else { "root" }).unwrap();
    let expected = if is_root() {
        other.own(dir.path()).unwrap();
        format!("uid {} gid {}", other.uid, other.gid)
    } else {
        "only root can start a program as another user".to_owned()
    };
    command.user = Some(other);
    let supervisor = Supervisor::start(&Spawner::start().unwrap(), command, quick()).unwrap();
    wait_until(&expected, || log_of(dir.path()).contains(&expected));
    supervisor.stop().await;
}

#[test]
fn a_daemon_leaves_its_session() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = host::daemon::Daemon {
        program: std::env::current_exe().unwrap(),
        args: ["actor::daemon", "--exact", "--nocapture"].map(Into::into).to_vec(),
        env: BTreeMap::from([("HOST_TEST_STAGE".to_owned(), dir.path().display().to_string())]),
        cwd: "/".into(),
        output: dir.path().join("out"),
    };
    let mut child = daemon.start().unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(dir.path().join("session")).unwrap(), child.id().to_string());
    assert!(std::fs::read_to_string(dir.path().join("out")).unwrap().contains("running 1 test"));
}
