//! Process 1 in a real pid namespace, and a user given up root. As root alone: only root makes either.
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{actor, is_root, wait_until};

/// Process 1 of a namespace of its own, whose work is the script.
fn start(stage: &Path, script: &str) -> Child {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(std::env::current_exe().unwrap());
    actor::play(&mut unshare, "process_one", stage).env("HOST_TEST_SCRIPT", script).spawn().unwrap()
}

fn run(script: &str) -> i32 {
    let stage = tempfile::tempdir().unwrap();
    start(stage.path(), script).wait().unwrap().code().unwrap()
}

/// The child of `unshare`, as it is numbered out here.
fn process_one(unshare: &Child) -> String {
    let children = format!("/proc/{0}/task/{0}/children", unshare.id());
    let read = || std::fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
    wait_until("process 1", || !read().is_empty());
    read()
}

fn kill(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

#[test]
fn it_ends_as_its_work_does() {
    if !is_root() {
        return;
    }
    assert_eq!(run("exit 7"), 7);
    assert_eq!(run("kill -TERM $$"), 143);
}

#[test]
fn orphans_are_reaped() {
    if !is_root() {
        return;
    }
    // The sleeps' parents are gone before they are.
    let script =
        "for i in 1 2 3; do (sleep 0.1 &); done; sleep 0.5; ! grep -q '^State:.Z' /proc/[0-9]*/status";
    assert_eq!(run(script), 0);
}

#[test]
fn signals_reach_the_work() {
    if !is_root() {
        return;
    }
    for signal in ["-TERM", "-INT", "-HUP", "-QUIT", "-USR1", "-USR2"] {
        let stage = tempfile::tempdir().unwrap();
        let name = &signal[1..];
        let script = format!("trap 'exit 3' {name}; echo > ready; while :; do sleep 0.01; done");
        let mut unshare = start(stage.path(), &script);
        wait_until("the work is ready", || stage.path().join("ready").exists());
        kill(signal, &process_one(&unshare));
        assert_eq!(unshare.wait().unwrap().code(), Some(3), "{signal}");
    }
}

#[test]
fn nobody_outlives_it_and_whoever_obeys_term_is_given_the_time() {
    if !is_root() {
        return;
    }
    let stage = tempfile::tempdir().unwrap();
    let script =
        "setsid sh -c 'trap \"echo > obeyed; exit\" TERM; echo > one; while :; do sleep 0.01; done' &
        setsid sh -c 'trap \"\" TERM; echo > two; while :; do sleep 0.01; done' &
        while ! [ -e one -a -e two ]; do sleep 0.01; done; exit 5";
    let began = Instant::now();
    let ended = start(stage.path(), script).wait().unwrap();
    assert_eq!(ended.code(), Some(5));
    assert!(stage.path().join("obeyed").exists());
    let took = began.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn root_is_given_up_for_good_and_low_ports_stay() {
    if !is_root() {
        return;
    }
    let stage = tempfile::tempdir().unwrap();
    for (ports, bind) in [("keep", "0000000000000400"), ("drop", "0000000000000000")] {
        let script = "echo; grep -E '^(Uid|Gid|Groups|CapPrm|CapEff|CapAmb)' /proc/self/status";
        let mut command = Command::new(std::env::current_exe().unwrap());
        let command = actor::play(&mut command, "nobody", stage.path())
            .env("HOST_TEST_SCRIPT", script)
            .env("HOST_TEST_PORTS", ports);
        let output = command.stdout(Stdio::piped()).output().unwrap();
        let status = String::from_utf8(output.stdout).unwrap();
        let status: Vec<&str> = status.lines().filter(|line| line.contains(":\t")).collect();
        let mut expected = ["Uid:\t4242\t4242\t4242\t4242", "Gid:\t4243\t4243\t4243\t4243", "Groups:\t "]
            .map(str::to_owned)
            .to_vec();
        expected.extend(["CapPrm", "CapEff", "CapAmb"].map(|set| format!("{set}:\t{bind}")));
        assert_eq!(status, expected, "{ports}");
    }
}

#[test]
fn a_tree_is_given_away_without_following_a_link() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (tree, other) = (dir.path().join("tree"), dir.path().join("other"));
    std::fs::create_dir_all(tree.join("a/b")).unwrap();
    std::fs::write(tree.join("a/b/file"), "x").unwrap();
    std::fs::write(&other, "x").unwrap();
    symlink(&other, tree.join("a/link")).unwrap();
    std::fs::set_permissions(&tree, PermissionsExt::from_mode(0o777)).unwrap();
    assert!(host::own_tree(&tree, 4242, 4243).unwrap());
    for path in ["", "a", "a/b", "a/b/file", "a/link"] {
        let meta = std::fs::symlink_metadata(tree.join(path)).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4242, 4243), "{path}");
    }
    assert_eq!(std::fs::metadata(&other).unwrap().uid(), 0, "the link was followed");
    assert_eq!(std::fs::metadata(&tree).unwrap().permissions().mode() & 0o7777, 0o750);
    assert!(!host::own_tree(&tree, 4242, 4243).unwrap(), "a second time nothing is changed");

    // Killed before the top: the next call makes it good.
    std::os::unix::fs::chown(&tree, Some(0), Some(0)).unwrap();
    std::os::unix::fs::chown(tree.join("a/b/file"), Some(0), Some(0)).unwrap();
    assert!(host::own_tree(&tree, 4242, 4243).unwrap());
    assert_eq!(std::fs::metadata(tree.join("a/b/file")).unwrap().uid(), 4242);

    let link = dir.path().join("link");
    symlink(&tree, &link).unwrap();
    host::own_tree(&link, 1, 1).unwrap_err();
}
