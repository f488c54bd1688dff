//! `uninstall`, killed in its deletion, and where it cannot be recorded.

use std::fs;
use std::process::{Command, Stdio};

use crate::place::{Place, Ran, eventually, processes_of, with_own_mounts};

/// The names that a deletion leaves to the end.
fn waits(name: &str) -> bool {
    name == "run" || name.starts_with("state.db")
}

/// The names in the directory, without what SQLite keeps beside a journal that was left open.
fn names(place: &Place) -> Vec<String> {
    place.names().into_iter().filter(|name| !name.starts_with("state.db-")).collect()
}

/// What must be said and done about a deployment that is half deleted.
fn assert_half_deleted(place: &Place, point: &str) {
    for args in
        [&["up"][..], &["verify"], &["restart"], &["admin", "list"], &["uninstall", "--keep-data", "--yes"]]
    {
        let before = names(place);
        let refused = place.run(args);
        assert_eq!(refused.code, 8, "{point}, {args:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("was interrupted while it deleted")
                && refused.stderr.contains("`mainstay uninstall` finishes it"),
            "{point}, {args:?}: {}",
            refused.stderr
        );
        assert_eq!(names(place), before, "{point}, {args:?}");
    }
    let shown = place.run(&["status"]).expect(0).stdout;
    assert!(
        shown.contains("needs you: it is down") && shown.contains("while it deleted"),
        "{point}: {shown}"
    );
    place.run(&["status", "--check"]).expect(7);
    place.run(&["down"]).expect(0);
    let plan = place.run(&["uninstall", "--plan"]).expect(0).stderr;
    assert!(plan.contains("left to delete: "), "{point}: {plan}");
    let done = place.run(&["uninstall", "--yes"]).expect(0).stdout;
    assert!(done.contains("interrupted while it deleted is finished now"), "{point}: {done}");
    assert_eq!(place.names(), Vec::<String>::new(), "{point}");
    let again = place.run(&["status"]).expect(0).stdout;
    assert!(again.contains("not installed"), "{point}: {again}");
}

#[test]
fn killed_anywhere_in_its_deletion_an_uninstall_is_finished_by_the_next_one_alone() {
    for point in
        ["nothing is deleted", "some is deleted", "all but the journal is deleted", "the journal too"]
    {
        let place = Place::new();
        place.up(&[]).expect(0);
        place.run(&["down"]).expect(0);
        let into = place.root.join("run/deleting/0123456789abcdef");
        fs::create_dir_all(&into).expect("made");
        for name in place.names().into_iter().filter(|name| !waits(name)) {
            fs::rename(place.root.join(&name), into.join(&name)).expect("moved");
        }
        if point != "nothing is deleted" {
            fs::remove_dir_all(into.join("config")).expect("deleted");
            fs::remove_file(into.join("secrets.toml")).expect("deleted");
        }
        if point.starts_with("all") || point.starts_with("the") {
            Command::new("rm").arg("-rf").arg(&into).status().expect("rm");
        }
        if point.starts_with("the") {
            fs::remove_file(place.root.join("state.db")).expect("deleted");
        }
        assert_half_deleted(&place, point);
    }
}

#[test]
fn an_uninstall_that_is_killed_while_it_deletes_leaves_that_it_was() {
    let place = Place::new();
    place.up(&[]).expect(0);
    for dir in 0..60 {
        let dir = place.root.join(format!("data/many/{dir}"));
        fs::create_dir_all(&dir).expect("made");
        (0..500).for_each(|file| fs::write(dir.join(file.to_string()), "").expect("written"));
    }
    let mut uninstall =
        place.command(&["uninstall", "--yes"]).stderr(Stdio::null()).spawn().expect("it runs");
    let deleting = place.root.join("run/deleting");
    let left = || {
        let dir = fs::read_dir(&deleting).ok()?.next()?.ok()?;
        Some(fs::read_dir(dir.path()).ok()?.count())
    };
    eventually("it has begun to delete", || left().is_some_and(|left| left < 8));
    uninstall.kill().expect("killed");
    uninstall.wait().expect("ended");
    assert!(deleting.exists(), "it was through already");
    assert_half_deleted(&place, "killed while it deletes");
}

#[test]
fn an_interrupted_uninstall_that_keeps_nothing_is_taken_back_by_one_that_keeps_the_data() {
    for moment in ["removal:before", "removal:after"] {
        let place = Place::new();
        place.up(&[]).expect(0);
        let secrets = fs::read_to_string(place.root.join("secrets.toml")).expect("secrets");
        place.run(&["uninstall", "--yes", "--inject-kill", moment]).expect(-9);
        let shown = place.run(&["status"]).expect(0).stdout;
        assert!(shown.contains("`uninstall` of "), "{shown}");
        place.run(&["uninstall", "--yes", "--keep-data"]).expect(0);
        assert!(place.root.join("data/mattermost.db").exists(), "{moment}: the data is gone");
        assert_eq!(fs::read_to_string(place.root.join("secrets.toml")).expect("kept"), secrets);
        assert!(!place.root.join("releases").exists());
        place.up(&[]).expect(0);
    }
}

#[test]
fn an_uninstall_that_keeps_the_data_and_is_killed_while_it_deletes_is_in_nobodys_way() {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.run(&["uninstall", "--yes", "--keep-data"]).expect(0);
    fs::create_dir_all(place.root.join("run/unneeded/0123456789abcdef/releases")).expect("made");
    place.up(&[]).expect(0);
    assert!(!place.root.join("run/unneeded").exists());
}

#[test]
fn a_damaged_journal_has_one_way_out_that_works() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let damage = || {
        for name in ["state.db-wal", "state.db-shm"] {
            let _ = fs::remove_file(place.root.join(name));
        }
        fs::write(place.root.join("state.db"), "not a database").expect("written");
    };
    for args in [
        &["restart"][..],
        &["admin", "unlock", "admin"],
        &["settings", "secrets", "rotate", "link_salt"],
        &["up"],
    ] {
        damage();
        let refused = place.run(args).expect(4);
        let says = &refused.stderr;
        assert!(
            says.contains("the same command with `--yes`") && !says.contains("Move it aside"),
            "{args:?}: {says}"
        );
        place.run(&[args, &["--yes"]].concat()).expect(0);
    }
    damage();
    let read = place.run(&["history"]).expect(4).stderr;
    assert!(read.contains("`mainstay up --yes` moves it aside"), "{read}");
    for args in [&["verify"][..], &["status"], &["logs"], &["settings", "check"], &["admin", "list"]] {
        place.run(args).expect(0);
    }
    let kept = place.run(&["uninstall", "--yes", "--keep-data"]).expect(0);
    assert!(kept.stderr.contains("could not be recorded"), "{}", kept.stderr);
    assert!(place.root.join("data/mattermost.db").exists() && !place.root.join("releases").exists());
    place.run(&["up", "--yes"]).expect(0);
    damage();
    place.run(&["uninstall", "--yes"]).expect(0);
    assert_eq!(place.names(), Vec::<String>::new());
    eventually("no process is left", || processes_of(&place.root).is_empty());
}

/// Fills the deployment's own small file system to the last byte, then stops and removes the deployment.
const ON_A_FULL_DISK: &str = r#"
set -e
mkdir -p $DIR
mount -t tmpfs -o size=900m,mode=755 mainstay-it $DIR
fill() { dd if=/dev/zero of=$DIR/filler bs=64k 2>/dev/null || true; dd if=/dev/zero of=$DIR/filler2 bs=1 2>/dev/null || true; }
run() { echo "$ $*"; code=0; "$MAINSTAY" --dir $DIR "$@" 2>&1 || code=$?; echo "? $code"; }
run up --yes --listen 127.0.0.1:$PORT $USER_FLAG >/dev/null
fill
run status
names() { ls -A $DIR $DIR/run; }
before=$(names)
for command in "up" "up --yes" "restart" "restart edge" "verify" "admin reset-password" "settings secrets rotate link_salt --yes"; do
    run $command
    if [ "$(names)" = "$before" ]; then echo "nothing is half made"; else names; fi
done
run admin list
run down
run history
rm -f $DIR/filler $DIR/filler2
run up --yes >/dev/null
fill
run uninstall --yes
echo "left: $(ls -A $DIR | tr '\n' ' ')"
"#;

#[test]
fn a_full_disk_is_named_and_a_deployment_on_it_stops_and_goes() {
    let place = Place::new();
    let ran: Ran = with_own_mounts(ON_A_FULL_DISK)
        .env("DIR", &place.root)
        .env("PORT", place.port.to_string())
        .output()
        .expect("unshare runs")
        .into();
    let said = format!("{}\n{}", ran.stdout, ran.stderr);
    let after = |command: &str| {
        let from = said.find(&format!("$ {command}")).unwrap_or_else(|| panic!("no {command}: {said}"));
        let rest = &said[from + 2..];
        rest[..rest.find("\n$ ").unwrap_or(rest.len())].to_owned()
    };
    let status = after("status");
    assert!(status.contains("is full: 0 MB of 900 MB are free"), "{said}");
    assert!(status.contains(&*place.root.to_string_lossy()), "{said}");
    assert!(status.contains("Disk       the file system at"), "{said}");
    for command in
        ["up", "up --yes", "restart", "restart edge", "verify", "admin reset-password", "settings secrets"]
    {
        let refused = after(command);
        assert!(
            refused.contains("is full: 0 MB of 900 MB are free, and 8 MB are needed"),
            "{command}: {refused}"
        );
        assert!(refused.contains("? 4") && refused.contains("nothing is half made"), "{command}: {refused}");
    }
    assert!(after("admin list").contains("? 0") && !said.contains("I/O error"), "{said}");
    let down = after("down");
    assert!(down.contains("Stopped") && down.contains("is full") && down.contains("? 0"), "{said}");
    assert!(after("history").contains("done"), "{said}");
    let uninstall = after("uninstall");
    assert!(uninstall.contains("Removed") && uninstall.contains("could not be recorded"), "{said}");
    assert!(uninstall.contains("? 0") && uninstall.contains("left: filler filler2"), "{said}");
    assert!(processes_of(&place.root).is_empty(), "{said}");
}
