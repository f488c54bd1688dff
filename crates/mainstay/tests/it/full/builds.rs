//! Two builds of one version are two programs: each is told from the other by its content.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::place::{MAINSTAY, Place, Ran, processes_of};

/// A program of this version that does the same, and is another build: the id that its linker gave it is another one.
pub(super) fn other_build(dir: &Path) -> PathBuf {
    changed_build(dir, |_| {})
}

/// The same of the next version: its own, and that of the built-in server in it.
pub(super) fn next_version(dir: &Path) -> (PathBuf, String) {
    let version = env!("CARGO_PKG_VERSION");
    let (head, last) = version.split_at(version.len() - 1);
    let next = format!("{head}{}", last.parse::<u8>().expect("a digit") + 1);
    assert_eq!(next.len(), version.len(), "it takes the place of {version}");
    // A test build has hundreds of megabytes.
    let found = Command::new("grep").args(["-aboF", version, MAINSTAY]).output().expect("grep runs");
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    let places = found.lines().filter_map(|line| line.split(':').next()?.parse::<usize>().ok());
    let program = changed_build(dir, |program| {
        places.for_each(|at| program[at..at + next.len()].copy_from_slice(next.as_bytes()));
    });
    (program, next)
}

fn changed_build(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    const NOTES_WITHIN: usize = 64 * 1024;
    let id = host::build::id(Path::new(MAINSTAY)).expect("a build");
    let byte = |at: usize| u8::from_str_radix(&id[at..at + 2], 16).expect("hexadecimal");
    let id: Vec<u8> = (0..id.len()).step_by(2).map(byte).collect();
    let mut program = fs::read(MAINSTAY).expect("the program");
    let at = program[..NOTES_WITHIN].windows(id.len()).position(|bytes| bytes == id).expect("a build id");
    program[at] ^= 0xff;
    change(&mut program);
    let path = dir.join("mainstay");
    fs::write(&path, program).expect("written");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    path
}

/// Runs that program on the deployment.
pub(super) fn run(program: &Path, place: &Place, args: &[&str]) -> Ran {
    let mut command = Command::new(program);
    command.args(args).env("MAINSTAY_DIR", &place.root).env_remove("RUST_BACKTRACE");
    command.output().expect("it runs").into()
}

pub(super) fn up(program: &Path, place: &Place, more: &[&str]) -> Ran {
    let args = place.up_args();
    let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
    run(program, place, &args)
}

/// Which build the running server is.
fn of_server(status: &Value) -> String {
    let pid = &status["agent"]["server"]["pid"];
    host::build::id(Path::new(&format!("/proc/{pid}/exe"))).expect("a server")
}

#[test]
fn up_by_another_build_takes_over_and_nothing_else_by_it_starts_anything() {
    let place = Place::new();
    let (ours, other) = (Path::new(MAINSTAY), other_build(place.root.parent().expect("above")));
    let builds = [ours, &other].map(|program| host::build::id(program).expect("a build"));
    assert_ne!(builds[0], builds[1]);
    place.up(&[]).expect(0);
    let before = place.status();
    assert_eq!(
        (before["agent"]["build"].as_str(), of_server(&before)),
        (Some(&*builds[0]), builds[0].clone())
    );

    // What would start again what it may not understand is refused, and the site stays up.
    for args in
        [&["restart"][..], &["restart", "agent"], &["settings", "secrets", "rotate", "--yes", "link_salt"]]
    {
        let refused = run(&other, &place, args).expect(8);
        for says in ["another build of Mainstay", &builds[0][..8], &builds[1][..8], MAINSTAY, "`mainstay up`"]
        {
            assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
        }
        assert_eq!(place.status()["agent"]["server"]["pid"], before["agent"]["server"]["pid"]);
    }

    // What fails is undone: the server of before runs again, under an agent that is the new program.
    up(&other, &place, &["--inject-failure", "acceptance:before"]).expect(6);
    let undone = run(&other, &place, &["status", "--json"]).expect(0).json();
    assert_eq!((undone["up"].as_bool(), of_server(&undone)), (Some(true), builds[0].clone()), "{undone}");

    let planned = up(&other, &place, &["--plan", "--json"]).expect(0).json();
    let steps = planned["steps"].as_array().expect("steps").iter().map(|step| step["name"].as_str());
    assert_eq!(
        steps.map(Option::unwrap_or_default).collect::<Vec<_>>(),
        ["hold", "stop-server", "replacement", "server", "administrator", "acceptance", "admit"]
    );
    up(&other, &place, &[]).expect(0);
    let after = run(&other, &place, &["status", "--json"]).expect(0).json();
    assert_eq!(
        (after["up"].as_bool(), after["agent"]["build"].as_str()),
        (Some(true), Some(&*builds[1])),
        "{after}"
    );
    assert_eq!(of_server(&after), builds[1]);
    assert_eq!(after["agent"]["agent_pid"], before["agent"]["agent_pid"], "it was handed over");
    assert_eq!(up(&other, &place, &["--json"]).expect(0).json()["changed"], false, "nothing is left to do");

    // Every build can stop it, and a stopped one is taken over as well.
    place.run(&["restart"]).expect(8);
    place.run(&["down"]).expect(0);
    assert!(processes_of(&place.root).is_empty());
    place.up(&[]).expect(0);
    assert_eq!(of_server(&place.status()), builds[0]);
    place.run(&["restart"]).expect(0);
}
