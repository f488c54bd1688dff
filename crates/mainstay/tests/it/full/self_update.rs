//! Mainstay's own program, replaced while everything runs: proven by a signature, undone where it does not go on, and finished or taken
//! back after a kill.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use testbed::release_site::ReleaseSite;
use testbed::signing_key::SigningKey;

use super::builds::{next_version, other_build, run, up};
use super::upgrade::asks_all_the_time;
use crate::place::{MAINSTAY, Place, Ran};

/// A deployment that a program of its own runs, and another build of that program, signed.
struct Installed {
    place: Place,
    /// The program that people type.
    program: PathBuf,
    newer: PathBuf,
    key: SigningKey,
    /// Which build each of the two is.
    builds: [String; 2],
}

impl Installed {
    fn up() -> Self {
        Self::with(other_build)
    }

    fn with(other: impl FnOnce(&Path) -> PathBuf) -> Self {
        let place = Place::new();
        let dir = place.root.parent().expect("above").to_owned();
        let (bin, key) = (dir.join("bin"), SigningKey::new());
        std::fs::create_dir(&bin).expect("made");
        let (program, newer) = (bin.join("mainstay"), other(&dir));
        std::fs::copy(MAINSTAY, &program).expect("copied");
        let build = |path: &Path| host::build::id(path).expect("a build");
        let builds = [build(&program), build(&newer)];
        let installed = Self { place, program, newer, key, builds };
        installed.sign(&installed.newer);
        up(&installed.program, &installed.place, &[]).expect(0);
        installed
    }

    fn sign(&self, file: &Path) {
        let signature = self.key.sign(&std::fs::read(file).expect("a file"));
        std::fs::write(format!("{}.sig", file.display()), signature).expect("written");
    }

    fn wants(&self, text: &str) {
        let path = self.place.root.join("mainstay.toml");
        let wanted = std::fs::read_to_string(&path).expect("a file");
        std::fs::write(path, format!("{wanted}\n{text}\n")).expect("written");
    }

    /// Names the key in mainstay.toml.
    fn trusts(&self, more: &str) {
        let file = self.place.root.with_file_name("key");
        std::fs::write(&file, self.key.public(0)).expect("written");
        let fingerprint = self.key.fingerprint();
        let file = file.display();
        self.wants(&format!(
            "[self_update]\nsigning_key = \"{file}\"\nfingerprint = \"{fingerprint}\"\n{more}"
        ));
    }

    fn run(&self, args: &[&str]) -> Ran {
        run(&self.program, &self.place, args)
    }

    fn update(&self, more: &[&str]) -> Ran {
        let newer = self.newer.display().to_string();
        self.run(&[&["self-update", "--from", &newer], more].concat())
    }

    fn status(&self) -> Value {
        self.run(&["status", "--json"]).expect(0).json()
    }

    /// Program and agent are this one of the two builds, and the deployment is up.
    fn is(&self, which: usize, when: &str) {
        assert_eq!(host::build::id(&self.program).expect("a build"), self.builds[which], "{when}");
        let status = self.status();
        assert_eq!(status["agent"]["build"], *self.builds[which], "{when}: {status}");
        self.run(&["status", "--check"]).expect(0);
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // Its agent may be another build than the one that the place stops.
        let _ = self.run(&["down"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_program_takes_over_while_people_write_and_the_one_before_comes_back() {
    let here = Installed::up();
    let before = here.status()["agent"]["server"]["pid"].clone();
    let refused = here.update(&[]).expect(3);
    assert!(refused.stderr.contains("[self_update]"), "{}", refused.stderr);
    here.trusts("");
    for (args, code, says) in [
        (&["self-update"][..], 2, "--from FILE"),
        (&["self-update", "--to", "9.9.9"], 2, "--from FILE"),
        (&["self-update", "--back"], 4, "nothing was updated"),
        (&["self-update", "--from", "/nowhere/mainstay"], 4, "/nowhere/mainstay"),
        (&["self-update", "--from", "ftp://example.com/mainstay"], 2, "http"),
    ] {
        let refused = here.run(args);
        assert_eq!(refused.code, code, "{args:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(says), "{args:?}: {}", refused.stderr);
    }
    let planned = here.update(&["--plan", "--json"]).expect(0).json();
    let names: Vec<_> =
        planned["steps"].as_array().expect("steps").iter().map(|step| &step["name"]).collect();
    assert_eq!(names, ["new-program", "program", "program-agent", "acceptance", "keep-program"]);
    here.is(0, "after a plan");

    // What nobody signed, and what was changed after it was signed.
    let tampered = here.newer.with_file_name("tampered");
    std::fs::copy(&here.newer, &tampered).expect("copied");
    let from = tampered.display().to_string();
    let unsigned = here.run(&["self-update", "--from", &from]).expect(4);
    assert!(unsigned.stderr.contains("tampered.sig"), "{}", unsigned.stderr);
    here.sign(&tampered);
    let mut bytes = std::fs::read(&tampered).expect("read");
    *bytes.last_mut().expect("a byte") ^= 1;
    std::fs::write(&tampered, bytes).expect("written");
    let refused = here.run(&["self-update", "--from", &from]).expect(8);
    assert!(refused.stderr.contains("nothing has been changed"), "{}", refused.stderr);
    here.is(0, "after a program that is not what was signed");

    let stop = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(asks_all_the_time(here.place.url(), Arc::clone(&stop)));
    let updated = here.update(&["--json"]).expect(0).json();
    assert_eq!((&updated["changed"], &updated["verified"]), (&true.into(), &true.into()));
    here.is(1, "after the update");
    assert_eq!(here.update(&["--json"]).expect(0).json()["changed"], false);
    here.run(&["self-update", "--back"]).expect(0);
    here.is(0, "after the way back");
    stop.store(true, Ordering::Relaxed);
    let (asked, failed, longest) = asking.await.expect("answers");
    assert!(asked > 20 && failed.is_empty(), "{} of {asked} failed: {failed:?}", failed.len());
    println!("{asked} requests, the longest waited {} ms", longest.as_millis());
    assert_eq!(here.status()["agent"]["server"]["pid"], before, "the server was never restarted");

    // One that says that it is newer, and does not go on: the program of before is started again with all that ran.
    let ends = here.newer.with_file_name("ends");
    std::fs::write(&ends, "#!/bin/sh\n[ \"$1\" = --version ] && echo mainstay 99.0.0\n").expect("written");
    here.sign(&ends);
    let failed = here.run(&["self-update", "--from", &ends.display().to_string()]).expect(6);
    assert!(failed.stderr.contains("the agent did not start"), "{}", failed.stderr);
    here.is(0, "after a program that does not go on");
    let history = here.run(&["history"]).expect(0).stdout;
    assert!(history.contains("Update Mainstay"), "{history}");
}

#[test]
fn a_source_has_versions_and_a_kill_is_finished_by_whichever_program_is_in_place() {
    let here = Installed::up();
    let (site, arch) = (ReleaseSite::start(), release::Arch::here().expect("a machine"));
    let bytes = std::fs::read(&here.newer).expect("a program");
    let (path, version) = (format!("/m/{0}/mainstay-linux-{arch}", "9.9.9"), env!("CARGO_PKG_VERSION"));
    site.put("/m/latest", "9.9.9\n");
    site.put(&format!("{path}.sig"), here.key.sign(&bytes));
    site.put(&path, bytes.clone());
    here.trusts(&format!("source = \"{}/m\"\n", site.url().trim_end_matches('/')));
    // It is signed, and is not the version that it should be.
    let other = here.run(&["self-update"]).expect(6);
    assert!(other.stderr.contains("9.9.9 was asked for"), "{}", other.stderr);
    assert!(here.run(&["self-update", "--to", "9.9.8"]).expect(6).stderr.contains("9.9.8"));
    site.put("/m/latest", version);
    assert_eq!(here.run(&["self-update", "--json"]).expect(0).json()["changed"], false, "it is there");
    here.is(0, "after the source was asked");

    for step in ["new-program", "program", "program-agent", "acceptance"] {
        let fault = format!("{step}:after");
        assert_eq!(here.update(&["--inject-kill", &fault]).code, -9, "{fault}");
        here.run(&["recover"]).expect(0);
        here.is(1, &fault);
        here.run(&["self-update", "--back"]).expect(0);
        here.is(0, &fault);
    }
    // The undo of each, and an undo that is killed.
    here.update(&["--inject-failure", "acceptance:before"]).expect(6);
    here.is(0, "after a failed test");
    let killed =
        here.update(&["--inject-failure", "acceptance:before", "--inject-kill", "program-agent:undo"]);
    assert_eq!(killed.code, -9, "{}", killed.stderr);
    here.run(&["recover"]).expect(0);
    here.is(0, "after a killed undo");
    // A power cut: the agent dies, too.
    assert_eq!(here.update(&["--inject-kill", "program:after"]).code, -9);
    let agent = here.status()["agent"]["agent_pid"].to_string();
    Command::new("kill").args(["-9", &agent]).status().expect("kill runs");
    here.run(&["up"]).expect(0);
    here.is(1, "after a power cut");
}

#[test]
fn two_versions_take_turns_and_read_each_others_journal() {
    let mut next = String::new();
    let here = Installed::with(|dir| {
        let (program, version) = next_version(dir);
        next = version;
        program
    });
    here.trusts("");
    let own = env!("CARGO_PKG_VERSION");
    let release = || here.status()["release"].as_str().unwrap_or_default().to_owned();
    // What the one began and was killed in, the other finishes.
    assert_eq!(here.run(&["restart", "--inject-kill", "server:before"]).code, -9);
    run(&here.newer, &here.place, &["recover"]).expect(0);
    here.is(0, "after the newer version finished a restart");
    here.update(&[]).expect(0);
    here.is(1, "after the update");
    assert_eq!(here.run(&["--version"]).expect(0).stdout.trim(), format!("mainstay {next}"));
    assert!(release().contains(&format!("+{own}-")), "the server is not exchanged with it: {}", release());
    here.run(&["upgrade", "--yes"]).expect(0);
    assert!(release().contains(&format!("+{next}-")), "{}", release());
    let older = run(Path::new(MAINSTAY), &here.place, &["restart"]).expect(8).stderr;
    assert!(older.contains(&next), "{older}");
    here.run(&["self-update", "--back"]).expect(0);
    here.is(0, "after the way back");
    let runs = here.run(&["history", "--json"]).expect(0).json();
    let programs: Vec<&Value> = runs.as_array().expect("runs").iter().map(|run| &run["program"]).collect();
    assert!(
        programs.contains(&&Value::from(own)) && programs.contains(&&Value::from(&*next)),
        "{programs:?}"
    );
    // The older version runs what the newer one installed, and goes back from it.
    here.run(&["restart"]).expect(0);
    here.run(&["rollback", "--yes"]).expect(0);
    assert!(release().contains(&format!("+{own}-")), "{}", release());
    here.run(&["status", "--check"]).expect(0);
}
