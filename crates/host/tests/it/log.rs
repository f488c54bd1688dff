//! Logs that rotate, are followed, and meet a full disk.
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use host::{Log, Policy, Rotating, State, Supervisor, follow, tail};
use tokio_util::sync::CancellationToken;

use crate::supervise::shell;
use crate::{is_root, wait_until};

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn rotation_keeps_whole_lines_within_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.log");
    let mut log = Rotating::new(Log { path: path.clone(), limit: 1000, keep: 3, ..Log::at("") });
    for n in 0..1000 {
        log.write_lines(format!("line {n:04}\n").as_bytes());
    }
    let files: Vec<_> = (0..5)
        .map(|n| if n == 0 { path.clone() } else { dir.path().join(format!("server.log.{n}")) })
        .collect();
    assert!(!files[4].exists(), "three are kept");
    let kept: Vec<String> = files[..4].iter().rev().flat_map(|file| lines(file)).collect();
    let expected: Vec<String> = (1000 - kept.len()..1000).map(|n| format!("line {n:04}")).collect();
    assert_eq!(kept, expected);
    assert!(kept.len() > 300, "{}", kept.len());
    assert!(files[..4].iter().all(|file| fs::metadata(file).unwrap().len() <= 1000));
    assert_eq!(log.dropped().load(Ordering::Relaxed), 0);

    assert_eq!(tail(&path, 3).unwrap(), expected[expected.len() - 3..]);
    assert_eq!(tail(&path, 250).unwrap(), expected[expected.len() - 250..]);
    assert_eq!(tail(&path, 100_000).unwrap(), expected);
    assert!(tail(&path, 0).unwrap().is_empty());
    assert!(tail(&dir.path().join("absent"), 5).unwrap().is_empty());
}

#[test]
fn a_restarted_writer_appends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    for n in 0..3 {
        Rotating::new(Log::at(&path)).write_lines(format!("{n}\n").as_bytes());
    }
    assert_eq!(lines(&path), ["0", "1", "2"]);
}

#[tokio::test]
async fn following_loses_no_line_over_many_rotations() {
    const LINES: usize = 5000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let cancel = CancellationToken::new();
    // Before the log exists.
    let mut reader = follow(&path, 10, cancel.clone()).unwrap();
    let writer = {
        let path = path.clone();
        std::thread::spawn(move || {
            let mut log = Rotating::new(Log { path, limit: 2000, keep: 100, ..Log::at("") });
            for n in 0..LINES {
                log.write_lines(format!("line {n}\n").as_bytes());
                if n % 100 == 0 {
                    std::thread::yield_now();
                }
            }
        })
    };
    for n in 0..LINES {
        let line = tokio::time::timeout(Duration::from_secs(10), reader.next()).await;
        assert_eq!(line.expect("a line is missing").unwrap(), Some(format!("line {n}")));
    }
    writer.join().unwrap();
    cancel.cancel();
    assert_eq!(reader.next().await.unwrap(), None);
}

#[tokio::test]
async fn following_begins_with_the_last_lines_and_survives_truncation() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, "a\nb\nc\n").unwrap();
    let mut reader = follow(&path, 2, CancellationToken::new()).unwrap();
    assert_eq!(reader.next().await.unwrap().as_deref(), Some("b"));
    assert_eq!(reader.next().await.unwrap().as_deref(), Some("c"));
    fs::write(&path, "d\n").unwrap();
    assert_eq!(reader.next().await.unwrap().as_deref(), Some("d"));
}

/// A disk with a few pages on it, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None for an ordinary user, who may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=64k", "tmpfs"];
        is_root().then(|| {
            let mounted = Command::new("mount").args(mount).arg(dir.path()).status().unwrap();
            assert!(mounted.success(), "mount (package mount) failed, and root runs this test");
            Self(dir)
        })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_costs_counted_lines_and_recovers_with_a_note() {
    let Some(disk) = SmallDisk::mount() else {
        let mut log = Rotating::new(Log::at("/dev/full"));
        log.write_lines(b"one\ntwo\n");
        assert_eq!(log.dropped().load(Ordering::Relaxed), 2);
        return;
    };
    let path = disk.0.path().join("log");
    let filler = disk.0.path().join("filler");
    let mut log = Rotating::new(Log::at(&path));
    log.write_lines(b"before\n");
    fs::write(&filler, vec![0; 56 * 1024]).unwrap();
    let line = format!("{}\n", "x".repeat(99));
    for _ in 0..200 {
        log.write_lines(line.as_bytes());
    }
    let dropped = log.dropped().load(Ordering::Relaxed);
    assert!(dropped > 100, "{dropped}");
    fs::remove_file(&filler).unwrap();
    log.write_lines(b"after\n");
    let kept = lines(&path);
    let note = format!("mainstay: {dropped} log lines were lost: No space left on device (os error 28)");
    assert_eq!(kept[0], "before");
    assert_eq!(kept[kept.len() - 2..], [note, "after".to_owned()]);
    assert!(kept[1..kept.len() - 2].iter().all(|l| l.bytes().all(|b| b == b'x')));
}

#[tokio::test]
async fn a_full_disk_does_not_stop_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = shell(dir.path(), "seq 100000; touch done; exec sleep 300");
    command.log = Log { counts_floods: false, ..Log::at("/dev/full") };
    let supervisor = Supervisor::start(&host::Spawner::start().unwrap(), command, Policy::default()).unwrap();
    wait_until("the program gets through", || dir.path().join("done").exists());
    wait_until("lines are counted", || supervisor.dropped_lines() >= 100_000);
    assert!(matches!(supervisor.status().borrow().state, State::Running { .. }));
    supervisor.stop().await;
}

#[tokio::test]
async fn a_programs_output_arrives_in_order_and_rotates() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = shell(dir.path(), "seq 20000; echo problem >&2; printf end; exec sleep 300");
    command.log =
        Log { path: dir.path().join("log"), limit: 20_000, keep: 20, counts_floods: false, ..Log::at("") };
    let supervisor = Supervisor::start(&host::Spawner::start().unwrap(), command, Policy::default()).unwrap();
    let mut reader = follow(&dir.path().join("log"), 1_000_000, CancellationToken::new()).unwrap();
    let mut next = 1;
    while next <= 20_000 {
        let line = tokio::time::timeout(Duration::from_secs(10), reader.next()).await;
        let line = line.expect("a line is missing").unwrap().unwrap();
        if next > 1 || line == "1" {
            assert_eq!(line, next.to_string());
            next += 1;
        }
    }
    assert_eq!(reader.next().await.unwrap().as_deref(), Some("problem"));
    assert!(dir.path().join("log.1").exists());
    assert_eq!(supervisor.dropped_lines(), 0);
    supervisor.stop().await;
    assert_eq!(tail(&dir.path().join("log"), 1).unwrap(), ["end"]);
}

#[tokio::test]
async fn each_line_of_a_speaker_has_its_time_and_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut command = shell(dir.path(), "echo 'one \"two\"'; printf three; exec sleep 300");
    command.log = Log::at(&path).of_speaker("command");
    let supervisor = Supervisor::start(&host::Spawner::start().unwrap(), command, Policy::default()).unwrap();
    wait_until("a line", || fs::read_to_string(&path).is_ok_and(|text| text.contains("two")));
    supervisor.stop().await;
    let all = lines(&path);
    let said: Vec<serde_json::Value> = all.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = said.iter().find(|line| line["text"] == r#"one "two""#).unwrap_or_else(|| panic!("{all:?}"));
    assert_eq!(first["function"], "command");
    assert!(first["timestamp"].as_str().is_some_and(|at| at.contains('T')), "{first}");
    assert!(said.iter().any(|line| line["text"] == "three"), "{all:?}");
}

#[tokio::test]
async fn a_flood_of_lines_leaves_what_was_written_before() {
    let dir = tempfile::tempdir().unwrap();
    let error = r#"{"level":"ERROR","fields":{"message":"a batch of writes was not committed"}}"#;
    let refused = r#"{"level":"INFO","fields":{"message":"a request was refused","client":"203.0.113.9"}}"#;
    let program = format!(
        "echo '{error}'; yes '{refused}' | head -n 48000; echo '{refused}'; touch done; exec sleep 300"
    );
    let supervisor =
        Supervisor::start(&host::Spawner::start().unwrap(), shell(dir.path(), &program), Policy::default())
            .unwrap();
    let path = dir.path().join("log");
    wait_until("the flood is over", || dir.path().join("done").exists());
    // The rest is read, and what was left out is told.
    supervisor.stop().await;
    let all = lines(&path);
    let number = |end: &str| {
        let told = all.iter().filter_map(|line| line.strip_prefix("mainstay: ")?.strip_suffix(end));
        told.map(|number| number.parse::<u64>().expect("a number")).sum::<u64>()
    };
    let left_out = number(" more lines like this left out: INFO a request was refused (client 203.0.113.9)");
    // However busy the machine is: what is only counted waits for no disk.
    assert_eq!(left_out, 47_981, "{all:#?}");
    // Within what `mainstay logs` shows by default.
    let seen = tail(&path, 50).unwrap();
    assert!(seen.iter().any(|line| line == error), "{seen:#?}");
    assert_eq!(seen.iter().filter(|line| *line == refused).count(), 20, "{seen:#?}");
}
