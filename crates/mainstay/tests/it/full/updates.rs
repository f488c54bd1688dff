//! Updates that begin by themselves, and hooks: an older packed release is brought to the one of this program.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::{MAINSTAY, Place, Ran, eventually};

/// The packed release of this program, as an older build of it.
fn older(dir: &Path) -> PathBuf {
    let ran = |command: &mut Command| assert!(command.status().expect("it runs").success(), "{command:?}");
    let (packed, root) = (dir.join("builtin.tar.gz"), dir.join("mattermost"));
    ran(Command::new(MAINSTAY).args(["release", "pack-builtin"]).arg(&packed));
    ran(Command::new("tar").arg("-C").arg(dir).arg("-xf").arg(&packed));
    let (program, real) = (root.join("bin/mattermost"), root.join("bin/server"));
    std::fs::create_dir(&real).expect("made");
    std::fs::rename(&program, real.join("mattermost")).expect("moved");
    std::fs::remove_file(root.join("manifest.txt")).expect("removed");
    let script = "#!/bin/sh\ncase \"$1\" in\n\
        version) printf 'Version: 11.6.0\\nBuild Number: 0.0.9\\nBuild Date: -\\nBuild Hash: -\\nBuild Enterprise Ready: false\\nEdition: builtin\\n' ;;\n\
        *) exec \"${0%/*}/server/mattermost\" \"$@\" ;;\nesac\n";
    executable(&program, script, 0o755);
    let path = dir.join("older.tar");
    ran(Command::new("tar").arg("-C").arg(dir).arg("-cf").arg(&path).arg("mattermost"));
    std::fs::remove_dir_all(root).expect("removed");
    path
}

fn executable(path: &Path, script: &str, mode: u32) {
    std::fs::write(path, script).expect("written");
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
}

/// A directory into which the user of a hook writes.
fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).expect("a mode");
    dir
}

/// A file that hooks add to: each of their runs is another user.
fn open_file(dir: &tempfile::TempDir, name: &str) -> PathBuf {
    let path = dir.path().join(name);
    executable(&path, "", 0o666);
    path
}

struct Updates {
    place: Place,
    /// What mainstay.toml said before.
    file: String,
}

impl Updates {
    fn write(&self, updates: &str) {
        let text = format!("{}\n[updates]\n{updates}\n", self.file);
        std::fs::write(self.place.root.join("mainstay.toml"), text).expect("written");
    }

    fn is_old(&self) -> bool {
        self.place.status()["release"].as_str().is_some_and(|release| release.contains("+0.0.9-"))
    }

    fn update(&self, more: &[&str]) -> Ran {
        self.place.run(&[&["security", "update"], more].concat())
    }

    fn decision(&self) -> Value {
        self.update(&["--json"]).expect(0).json()["decision"].clone()
    }

    fn hook(&self, name: &str, script: &str, mode: u32) -> PathBuf {
        let path = self.place.root.join("hooks").join(name);
        executable(&path, script, mode);
        path
    }
}

#[test]
fn an_update_begins_in_its_window_asks_the_hook_latches_and_is_done_by_the_agent() {
    let (files, place) = (open_dir(), Place::new());
    let tarball = older(files.path());
    place.up(&["--release", tarball.to_str().expect("a name")]).expect(0);
    let file = std::fs::read_to_string(place.root.join("mainstay.toml")).expect("a file");
    let chat = Updates { place, file };
    std::fs::create_dir(chat.place.root.join("hooks")).expect("made");
    assert!(chat.is_old());
    let builtin = chat.place.run(&["security", "status"]).expect(0).stdout;
    assert!(
        builtin.contains("fixes come with Mainstay's releases") && builtin.contains("+0.1.0"),
        "{builtin}"
    );
    assert!(
        chat.place
            .run(&["status"])
            .expect(0)
            .stdout
            .contains("Security   this Mainstay has the newer built-in server")
    );
    assert_eq!(chat.decision(), "nothing", "without a policy nothing begins");

    // Windows and frozen days, by the machine's clock.
    let now = jiff::Zoned::now();
    let other = if now.weekday() == jiff::civil::Weekday::Monday { "Wed" } else { "Mon" };
    // Neither is today, even when midnight comes meanwhile.
    let other = if now.weekday() == jiff::civil::Weekday::Sunday { "Wed" } else { other };
    chat.write(&format!("policy = \"patch\"\nwindow = \"{other} 02:00-03:00\""));
    assert_eq!(chat.decision(), "closed");
    let day = |days: i64| (now.date().checked_add(jiff::Span::new().days(days)).expect("a day")).to_string();
    chat.write(&format!("policy = \"patch\"\nfreeze = [\"{}..{}\"]", day(0), day(1)));
    assert_eq!(chat.decision(), "frozen");
    let open = "policy = \"patch\"\nwindow = \"daily 00:00-24:00\"\nwatch = true";
    chat.write(open);
    let planned = chat.update(&["--plan"]).expect(0).stdout;
    assert!(planned.contains("is updated to") && !planned.contains("hooks/"), "{planned}");

    // A hook that says no: nothing is changed, nothing latches, and it is asked again.
    let asked = open_file(&files, "asked");
    let script = format!(
        "#!/bin/sh\necho \"$OLD|$NEW|$REASON|$DIR|$(id -u)\" >> {}\necho 'the audit is on'\nexit 3\n",
        asked.display()
    );
    let hook = chat.hook("before-upgrade", &script, 0o755);
    assert!(chat.update(&["--plan"]).expect(0).stdout.contains("Ask hooks/before-upgrade, which may refuse"));
    assert_eq!(std::fs::read_to_string(&asked).expect("text"), "", "a plan runs nothing");
    for times in 1..=2 {
        let vetoed = chat.update(&[]).expect(8);
        assert!(
            vetoed.stderr.contains("hooks/before-upgrade says no: it ended with code 3: the audit is on"),
            "{}",
            vetoed.stderr
        );
        assert!(vetoed.stderr.contains("everything is as before"), "{}", vetoed.stderr);
        assert_eq!(std::fs::read_to_string(&asked).expect("it was asked").lines().count(), times);
    }
    let told = std::fs::read_to_string(&asked).expect("it was asked");
    let told: Vec<&str> = told.lines().next().expect("a line").split('|').collect();
    assert!(told[0].contains("+0.0.9-builtin") && told[1].contains("+0.1.0-builtin"), "{told:?}");
    assert!(told[2].contains("policy = \"patch\"") && Path::new(told[3]) == chat.place.root, "{told:?}");
    if crate::place::is_root() {
        assert_ne!(told[4], "0", "it runs as a user without rights");
    }
    let history = chat.place.run(&["history"]).expect(0).stdout;
    let run = history
        .lines()
        .find(|line| line.contains("Upgrade "))
        .and_then(|line| line.split_whitespace().next());
    let shown = chat.place.run(&["history", run.expect("a run")]).expect(0).stdout;
    assert!(shown.contains("the audit is on"), "{shown}");
    chat.place.run(&["status", "--check"]).expect(0);
    for (mode, says) in [(0o777, "can be changed by others"), (0o644, "cannot be run")] {
        chat.hook("before-upgrade", &script, mode);
        std::fs::set_permissions(&hook, PermissionsExt::from_mode(mode)).expect("a mode");
        assert!(chat.update(&[]).expect(8).stderr.contains(says));
    }

    // Killed while the hook runs: the hook ends, too, and the next command takes the run back.
    let pid = files.path().join("pid");
    chat.hook(
        "before-upgrade",
        &format!("#!/bin/sh\necho $$ > {0}.new && mv {0}.new {0}\nsleep 300\n", pid.display()),
        0o755,
    );
    let mut upgrade = chat.place.command(&["upgrade", "--yes"]).spawn().expect("it runs");
    eventually("the hook runs", || pid.exists());
    upgrade.kill().expect("it is killed");
    upgrade.wait().expect("it has ended");
    let pid = std::fs::read_to_string(&pid).expect("its number");
    eventually("the hook has ended", || !Path::new("/proc").join(pid.trim()).exists());
    chat.place.run(&["status", "--check"]).expect(7);
    std::fs::remove_file(&hook).expect("removed");
    chat.place.up(&[]).expect(0);
    chat.place.run(&["status", "--check"]).expect(0);
    assert!(chat.is_old());

    // A failure latches until a person acts, and is told.
    let news = open_file(&files, "news");
    chat.hook("tell", &format!("#!/bin/sh\n{{ echo \"$REASON\"; cat; }} >> {}\n", news.display()), 0o755);
    let failed = chat.update(&["--inject-failure", "acceptance:before"]);
    assert!([5, 6].contains(&failed.code), "{}", failed.stderr);
    assert!(failed.stderr.contains("security resume") && chat.is_old(), "{}", failed.stderr);
    assert_eq!(chat.decision(), "latched");
    assert_eq!(chat.decision(), "latched", "again and again");
    let news = || std::fs::read_to_string(&news).expect("it was told");
    assert_eq!(news().matches("failed\n").count(), 1, "{}", news());
    let status = chat.place.run(&["status", "--check"]).expect(5).stdout;
    assert!(
        status.contains("Security   the update to 11.6.0+0.1.0 of ") && status.contains("security resume"),
        "{status}"
    );
    chat.place.run(&["security", "watch", "--once"]);
    assert_eq!(news().matches("failed\n").count(), 1, "it is told once");
    // One that is killed did not end.
    chat.place.run(&["security", "resume"]).expect(0);
    assert_eq!(chat.update(&["--inject-kill", "hold:after"]).code, -9);
    chat.place.up(&[]).expect(0);
    assert!(chat.is_old());
    assert_eq!(chat.decision(), "latched");
    chat.place.run(&["security", "resume"]).expect(0);
    assert!(chat.place.run(&["security", "resume"]).expect(0).stdout.contains("No update waits"));

    // The agent does it, in the window that opens in the next minute.
    let after = files.path().join("after");
    chat.hook(
        "after-upgrade",
        &format!("#!/bin/sh\necho \"$OLD|$NEW\" > {}\necho 'told the pager'\nexit 1\n", after.display()),
        0o755,
    );
    let next = jiff::Zoned::now().datetime().checked_add(jiff::Span::new().seconds(80)).expect("a time");
    let window = format!("{:02}:{:02}-{:02}:59", next.hour(), next.minute(), (next.hour() + 1) % 24);
    chat.write(&format!("policy = \"patch\"\nwindow = \"daily {window}\""));
    chat.place.up(&[]).expect(0);
    let deadline = Instant::now() + Duration::from_secs(180);
    while !after.exists() {
        assert!(Instant::now() < deadline, "{}", chat.place.run(&["logs", "schedule"]).stdout);
        std::thread::sleep(Duration::from_millis(500));
    }
    eventually("the run has ended", || {
        let schedule = chat.place.status()["agent"]["schedule"].clone();
        let entry = schedule
            .as_array()
            .and_then(|all| all.iter().find(|entry| entry["name"] == "security-update"))
            .cloned();
        entry.is_some_and(|entry| entry["last"]["exit"] == json!(0))
    });
    assert!(!chat.is_old());
    chat.place.run(&["status", "--check"]).expect(0);
    let told = std::fs::read_to_string(&after).expect("it was told");
    assert!(told.contains("+0.0.9-builtin|") && told.contains("+0.1.0-builtin"), "{told}");
    assert!(news().contains("updated to 11.6.0+0.1.0"), "{}", news());
    // What it printed and that it failed is in the history; what was done stays done.
    let history = chat.place.run(&["history"]).expect(0).stdout;
    let run = history.lines().find(|line| line.contains("Run hooks/after-upgrade"));
    let run = run.and_then(|line| line.split_whitespace().next()).expect("a run");
    let shown = chat.place.run(&["history", run]).expect(0).stdout;
    assert!(shown.contains("told the pager") && shown.contains("it ended with code 1"), "{shown}");
    chat.write(open);
    assert_eq!(chat.decision(), "nothing");
}
