//! Backups that are killed, fail, or find no room: the next command goes on, and what is listed is whole.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::place::{Place, Ran, with_own_mounts};

/// Nothing of a backup that did not end is in the way, and what is listed can be restored.
fn assert_whole(place: &Place, count: usize, at: &str) {
    assert_eq!(place.snapshots().len(), count, "{at}");
    assert!(!place.root.join("run/backup").exists(), "{at}");
    let checked = place.run(&["backup", "check", "--read-data", "100", "--json"]).expect(0).json();
    assert_eq!(checked["sound"], true, "{at}: {checked}");
}

#[test]
fn killed_at_any_step_the_next_backup_is_whole() {
    let place = Place::new();
    place.up(&[]).expect(0);
    for step in ["backup-key", "backup-repository", "snapshot"] {
        for moment in ["before", "after"] {
            let at = format!("{step}:{moment}");
            let killed = place.run(&["backup", "create", "--inject-kill", &at]);
            assert_eq!(killed.code, -9, "{at}: {}", killed.stderr);
            // Whatever comes next takes it back: it needs no repository.
            place.run(&["restart"]).expect(0);
            assert!(!place.root.join("run/backup").exists(), "{at}");
            let is_made = (step, moment) == ("snapshot", "after");
            assert_eq!(place.root.join("backups/config").exists(), is_made, "{at}");
            assert_eq!(place.root.join("backup.key").exists(), is_made, "{at}");
        }
    }
    // The last kill came after the snapshot was whole: it stays.
    assert_whole(&place, 1, "after the kills");
    let failed = place.run(&["backup", "create", "--inject-failure", "snapshot:before"]).expect(6);
    assert!(failed.stderr.contains("everything is as before"), "{}", failed.stderr);
    assert_eq!(place.status()["backups"]["failing"][0]["work"], "backup");
    place.backed_up();
    for step in ["forgetting", "freeing"] {
        for moment in ["before", "after"] {
            place.backed_up();
            let at = format!("{step}:{moment}");
            let killed = place.run(&["backup", "prune", "--keep-last", "1", "--inject-kill", &at]);
            assert_eq!(killed.code, -9, "{at}: {}", killed.stderr);
            place.run(&["backup", "prune", "--keep-last", "1"]).expect(0);
            assert_whole(&place, 1, &at);
        }
    }
}

#[test]
fn killed_at_any_time_the_next_backup_is_whole() {
    let place = Place::new();
    place.up(&[]).expect(0);
    // Enough to be killed in.
    for n in 0..20u8 {
        let bytes: Vec<u8> =
            (0..500_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ n).collect();
        fs::write(place.root.join(format!("data/{n}.bin")), bytes).expect("written");
    }
    place.backed_up();
    let mut count = place.snapshots().len();
    for round in 0..super::restore_faults::rounds(12) {
        fs::write(place.root.join("data/0.bin"), format!("round {round}").repeat(200_000)).expect("written");
        let command =
            if round % 3 == 2 { &["backup", "prune", "--keep-last", "3"][..] } else { &["backup", "create"] };
        let mut child =
            place.command(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        // Spread over the time that one takes.
        std::thread::sleep(Duration::from_millis(40 + (round * 379) % 1900));
        child.kill().expect("killed");
        child.wait().expect("ended");
        let there = place.snapshots().len();
        assert!(there >= count.min(3) && there <= count + 1, "round {round}: {there} of {count}");
        count = there;
    }
    place.backed_up();
    place.run(&["backup", "prune", "--keep-last", "2"]).expect(0);
    assert_whole(&place, 2, "at the end");
    let restic = Command::new("restic")
        .args(["check", "--read-data", "--no-cache", "--password-file"])
        .arg(place.root.join("backup.key"))
        .arg("--repo")
        .arg(place.root.join("backups"))
        .output()
        .expect("restic runs");
    assert!(restic.status.success(), "{}", String::from_utf8_lossy(&restic.stderr));
}

/// A repository on a file system of its own that is too small, then larger.
const NO_ROOM: &str = r#"
set -e
run() { echo "$ $*"; code=0; "$MAINSTAY" --dir $DIR "$@" 2>&1 || code=$?; echo "? $code"; }
run up --yes --listen 127.0.0.1:$PORT $USER_FLAG >/dev/null
head -c 4000000 /dev/urandom > $DIR/data/large.bin
mkdir $DIR/../disk
mount -t tmpfs -o size=2m mainstay-it $DIR/../disk
printf '\n[backup]\nrepository = "%s"\n' $DIR/../disk/r | sed 's|/chat/../|/|' >> $DIR/mainstay.toml
run backup create
run backup list
mount -o remount,size=20m $DIR/../disk
run backup create
run backup check --read-data 100
mount -o remount,ro $DIR/../disk
run backup create
run backup prune --keep-last 1
run backup list
mount -o remount,rw $DIR/../disk
umount $DIR/../disk
run backup create
run status
run down
"#;

#[test]
fn a_repository_without_room_is_named_and_takes_the_next_backup() {
    let place = Place::new();
    let ran: Ran = with_own_mounts(NO_ROOM)
        .env("DIR", &place.root)
        .env("MAINSTAY_CACHE", place.cache())
        .env("PORT", place.port.to_string())
        .output()
        .expect("unshare runs")
        .into();
    let said = format!("\n{}\n{}", ran.stdout, ran.stderr);
    let blocks: Vec<&str> = said.split("\n$ ").filter(|block| !block.trim().is_empty()).collect();
    let creates: Vec<&&str> = blocks.iter().filter(|block| block.starts_with("backup create")).collect();
    let [full, good, read_only, gone] = creates[..] else { panic!("{said}") };
    assert!(
        full.contains("the disk is full") && full.contains("everything is as before") && full.contains("? 6"),
        "{said}"
    );
    assert!(good.contains("the first") && good.contains("? 0"), "{said}");
    assert!(read_only.contains("read-only") && read_only.contains("? 6"), "{said}");
    let prune = blocks.iter().find(|block| block.starts_with("backup prune")).expect("it ran");
    assert!(
        prune.contains("read-only") && prune.contains("everything is as before") && prune.contains("? 6"),
        "{said}"
    );
    assert!(gone.contains("is gone") && gone.contains("? 8"), "{said}");
    assert!(blocks.iter().any(|block| block.starts_with("backup check") && block.contains("? 0")), "{said}");
    let lists: Vec<&&str> = blocks.iter().filter(|block| block.starts_with("backup list")).collect();
    assert!(lists[0].contains("? 4") && lists[1].contains("? 0"), "{said}");
    assert!(blocks.iter().any(|block| block.starts_with("status") && block.contains("failed: ")), "{said}");
}
