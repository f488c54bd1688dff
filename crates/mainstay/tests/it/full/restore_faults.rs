//! A restore on a machine without network, on a disk that fills up, and killed at any time.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::restore::{Work, assert_removed, block};
use crate::place::{MAINSTAY, Place, Ran, with_own_mounts};

/// A release of the built-in server that this program has not: of a later version of Mainstay.
fn later_release(dir: &Path) -> PathBuf {
    const SERVER: &str = "#!/bin/sh\n\
        case \"$1\" in\n\
        version) printf 'Version: 11.6.0\\nBuild Number: 0.2.0\\nBuild Date: -\\nBuild Hash: -\\nBuild Enterprise Ready: false\\nEdition: builtin\\n' ;;\n\
        *) exec \"${0%/*}/server/mattermost\" \"$@\" ;;\n\
        esac\n";
    let ran = |command: &mut Command| {
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let (packed, root) = (dir.join("builtin.tar.gz"), dir.join("mattermost"));
    ran(Command::new(MAINSTAY).args(["release", "pack-builtin"]).arg(&packed));
    ran(Command::new("tar").arg("-C").arg(dir).arg("-xf").arg(&packed));
    let (server, real) = (root.join("bin/mattermost"), root.join("bin/server"));
    std::fs::create_dir(&real).expect("made");
    std::fs::rename(&server, real.join("mattermost")).expect("moved");
    std::fs::write(&server, SERVER).expect("written");
    std::fs::set_permissions(&server, PermissionsExt::from_mode(0o755)).expect("executable");
    std::fs::remove_file(root.join("manifest.txt")).expect("removed");
    let made = dir.join("later.tar");
    ran(Command::new("tar").arg("-C").arg(dir).arg("-cf").arg(&made).arg("mattermost"));
    made
}

/// restic's own copy of a snapshot, in a repository of its own with the same key.
fn by_restic(work: &Work, dir: &Path) -> PathBuf {
    let restic = |repository: &Path, below: &Path, args: &[&str]| {
        let key = work.place.root.join("backup.key");
        let mut command = Command::new("restic");
        command.args(["--no-cache", "--quiet", "--password-file"]).arg(key).arg("--repo").arg(repository);
        let output = command.args(args).current_dir(below).output().expect("restic runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let (layout, repository) = (dir.join("layout"), dir.join("by-restic"));
    std::fs::create_dir(&layout).expect("made");
    restic(&work.place.root.join("backups"), dir, &["restore", "latest", "--target", "layout"]);
    restic(&repository, dir, &["init"]);
    restic(&repository, &layout, &["backup", "."]);
    repository
}

#[test]
fn a_snapshot_with_its_release_needs_no_download_whoever_wrote_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let tarball = later_release(dir.path());
    let old = Work { place: Place::new(), up: Vec::new() };
    old.place.up(&["--release", tarball.to_str().expect("text")]).expect(0);
    block(old.post("kept"));
    // Without its release this program's own, older one would have to do.
    old.backed_up();
    let key = old.place.root.with_file_name("copy.key").display().to_string();
    old.place.run(&["backup", "key", "export", &key]).expect(0);
    let restored = |repository: &Path| -> Ran {
        let new = Work { place: Place::new(), up: Vec::new() };
        let (listen, site_url) = (format!("127.0.0.1:{}", new.place.port), new.place.url());
        let mut args = vec!["restore", "--yes", "--json", "--repository", repository.to_str().expect("text")];
        args.extend(["--key-file", &key, "--listen", &listen, "--site-url", &site_url]);
        let mut command = new.place.command(&args);
        // Nothing answers there.
        for proxy in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
            command.env(proxy, "http://127.0.0.1:1");
        }
        let ran = Ran::from(command.output().expect("it runs"));
        if ran.code == 0 {
            assert_eq!(block(new.posts()), ["kept"]);
            assert!(!new.place.cache().exists(), "nothing was fetched");
        }
        ran
    };
    let refused = restored(&old.place.root.join("backups")).expect(8).stderr;
    assert!(refused.contains("0.1.0-builtin is older"), "{refused}");
    old.place.run(&["backup", "create", "--with-release"]).expect(0);
    old.place.run(&["down"]).expect(0);
    std::fs::remove_file(tarball).expect("removed");
    let repository = by_restic(&old, dir.path());
    let report = restored(&repository).expect(0).json();
    assert!(report["release"].as_str().is_some_and(|id| id.contains("0.2.0")), "{report}");
}

/// A target on a disk that somebody fills while the snapshot is fetched.
const FULL: &str = r#"
set -e
run() { echo "$ $*"; code=0; "$MAINSTAY" "$@" 2>&1 || code=$?; echo "? $code"; }
mkdir $WORK/disk
mount -t tmpfs -o size=420m,mode=755 mainstay-it $WORK/disk
restore() { run --dir $WORK/disk/chat restore --yes --repository $FROM/backups --key-file $FROM/backup.key --listen 127.0.0.1:$PORT --site-url http://127.0.0.1:$PORT $USER_FLAG; }
( n=0; while [ ! -d $WORK/disk/chat/restoring ] && [ $n -lt 3000 ]; do sleep 0.01; n=$((n+1)); done; head -c 500000000 /dev/zero > $WORK/disk/fill 2>/dev/null || true ) &
restore
wait
rm $WORK/disk/fill
ls -A $WORK/disk/chat | sed 's/^/left: /'
restore
run --dir $WORK/disk/chat verify
run --dir $WORK/disk/chat uninstall --yes
head -c 500000000 /dev/zero > $WORK/disk/fill 2>/dev/null || true
run --dir $FROM restore --only files --into $WORK/disk/files
find $WORK/disk/files -type f | sed 's/^/half: /'
"#;

#[test]
fn a_disk_that_fills_up_under_a_restore_leaves_nothing_but_what_was_fetched() {
    let work = Work::on(Place::new(), &[]);
    let mut seed = 0x9e37_79b9_u32;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    })
    .take(60_000_000)
    .collect();
    std::fs::write(work.place.root.join("data/large.bin"), bytes).expect("written");
    work.backed_up();
    let dir = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir();
    let (dir, port) = (dir.expect("a directory"), crate::place::free_port());
    let ran: Ran = with_own_mounts(FULL)
        .env("WORK", dir.path())
        .env("FROM", &work.place.root)
        .env("MAINSTAY_CACHE", work.place.cache())
        .env("PORT", port.to_string())
        .output()
        .expect("unshare runs")
        .into();
    let said = format!("\n{}\n{}", ran.stdout, ran.stderr);
    let blocks: Vec<&str> = said.split("\n$ ").filter(|block| !block.trim().is_empty()).collect();
    let [full, again, verified, _, files] = blocks[..] else { panic!("{said}") };
    // Whichever meets the full disk first: the step, which is undone, or the journal, which says how to go on.
    let is_undone = full.contains("the disk is full") && full.contains("? 6");
    let goes_on = full.contains("Free the disk, then run the command again") && full.contains("? 7");
    assert!(is_undone || goes_on, "{said}");
    assert!(again.contains("Restored and verified") && again.contains("? 0"), "{said}");
    assert!(verified.contains("? 0"), "{said}");
    assert!(files.contains("the disk is full") && files.contains("? 4"), "{said}");
    assert!(!files.contains("half: "), "{said}");
}

/// How many random moments: all that the issue asks for with `MAINSTAY_TEST_EVERY_FAULT`, otherwise some.
#[expect(clippy::disallowed_methods, reason = "whoever has an hour says so")]
pub(super) fn rounds(some: u64) -> u64 {
    if std::env::var_os("MAINSTAY_TEST_EVERY_FAULT").is_some() { 60 } else { some }
}

#[test]
fn a_restore_and_a_drill_that_are_killed_at_any_time_are_finished_or_taken_back() {
    let work = Work::on(Place::new(), &[]);
    block(work.post("before"));
    work.backed_up();
    let killed = |args: &[&str], ms: u64| {
        let mut command = work.place.command(args);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().expect("it runs");
        std::thread::sleep(Duration::from_millis(ms));
        child.kill().expect("killed");
        child.wait().expect("ended");
    };
    for round in 0..rounds(3) {
        // Spread over the seconds that one takes.
        let ms = 50 + (round * 1777) % 4600;
        killed(&["restore", "--yes"], ms);
        work.restore(&[]).expect(0);
        assert_eq!(block(work.posts()), ["before"], "restore killed after {ms} ms");
        let aside = work.place.root.join("set-aside");
        let _ = std::fs::remove_dir_all(aside);
        killed(&["backup", "drill"], ms);
        work.place.run(&["restart"]).expect(0);
        assert_removed(&work, &format!("drill killed after {ms} ms"));
        assert_eq!(block(work.posts()), ["before"], "drill killed after {ms} ms");
    }
    work.place.run(&["backup", "drill"]).expect(0);
}
