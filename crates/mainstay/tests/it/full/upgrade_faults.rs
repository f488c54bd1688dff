//! Upgrades on a disk that fills up: each ends on the old release, also while the disk is full.

use std::os::unix::fs::PermissionsExt;

use super::upgrade_releases::Next;
use crate::place::{Ran, with_own_mounts};

/// A deployment on a small disk of its own. `when CONDITION` fills the disk as soon as it holds, as another program would, while the
/// command is stopped: so the disk is full when that goes on, and nobody takes what it gives up. Where a machine is slow, a later step
/// meets the full disk; none of these upgrades could succeed.
const FULL: &str = r#"
set -e
run() { echo "$ $*"; code=0; "$MAINSTAY" "$@" 2>&1 & echo $! > $WORK/pid; wait $! || code=$?; echo "? $code"; }
disk=$WORK/disk
mkdir $disk
mount -t tmpfs -o size=640m,mode=755 mainstay-it $disk
export MAINSTAY_DIR=$disk/chat MAINSTAY_CACHE=$disk/cache
database=$disk/chat/data/mattermost.db
fill() { head -c 1000000000 /dev/zero > $disk/fill 2>/dev/null || true; }
when() { ( n=0; while ! eval "$1" && [ $n -lt 6000 ]; do sleep 0.005; n=$((n+1)); done; kill -STOP $(cat $WORK/pid); fill; kill -CONT $(cat $WORK/pid) ) & }
look() { rm -f $disk/fill; "$MAINSTAY" status 2>&1; echo "marker: $(sqlite3 $database 'select count(*) from marker') newer: $(sqlite3 $database "select count(*) from sqlite_master where name = 'newer'")"; ls $disk/chat | sed 's/^/left: /'; }
run up --yes --listen 127.0.0.1:$PORT $USER_FLAG
sqlite3 $database 'create table marker as select randomblob(20000000)'
when '[ $(ls -A $disk/chat/releases | wc -l) -gt 1 ]'
run upgrade --yes --release $UNWELL; wait; look
when '[ -e $disk/chat/run/before/pending.json ]'
run upgrade --yes --release $UNWELL; wait; look
run upgrade --yes --release $FILLS; look
when '[ -e $disk/chat/run/before/copy ]'
run upgrade --yes --release $UNWELL; wait; look
run upgrade --yes --release $GOOD --inject-kill migration:after
fill
run recover; look
run upgrade --yes --release $GOOD; look
run uninstall --yes
"#;

#[test]
fn on_a_disk_that_fills_up_it_ends_on_the_old_release() {
    let dir = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir();
    let (dir, port) = (dir.expect("a directory"), crate::place::free_port());
    let ran: Ran = with_own_mounts(FULL)
        .env("WORK", dir.path())
        .env("PORT", port.to_string())
        .env("GOOD", Next::Good.tarball())
        .env("FILLS", Next::FillsTheDisk.tarball())
        .env("UNWELL", Next::TakesNoFiles.tarball())
        .output()
        .expect("unshare runs")
        .into();
    let said = format!("\n{}\n{}", ran.stdout, ran.stderr);
    let blocks: Vec<&str> = said.split("\n$ ").filter(|block| !block.trim().is_empty()).collect();
    let [_, unpack, copy, migration, start, _, killed, good, _] = blocks[..] else { panic!("{said}") };
    for (when, block) in [("unpack", unpack), ("copy", copy), ("migration", migration), ("start", start)] {
        // The test of the old release needs room that the other program took: that is said.
        assert!(block.contains("? 6") || block.contains("? 5"), "{when}: {block}\n\nof {said}");
        assert!(block.contains("everything is as before"), "{when}: {block}");
        assert!(block.contains("marker: 1 newer: 0"), "{when}: {block}");
        assert!(block.contains("+0.1.0-builtin"), "{when}: {block}");
        for left in ["left: state.db-room", "needs you", "interrupted"] {
            assert!(!block.contains(left), "{when}: {left}: {block}");
        }
    }
    assert!(killed.contains("marker: 1 newer: 0") && !killed.contains("needs you"), "{killed}");
    assert!(migration.contains("everything is as before; it is verified"), "{migration}");
    assert!(good.contains("? 0") && good.contains("marker: 1 newer: 1"), "{good}");
}
