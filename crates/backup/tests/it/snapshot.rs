//! A snapshot is whole or does not exist; what is restored is what was there.
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backup::{Dump, Error, Keep, Key, Repository, Silent, Watch};

use crate::place::{Place, Rows, rows};

fn tree(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(tree(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if kind.is_symlink() {
            found.push((name, fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()));
        } else {
            found.push((name, fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_restored_is_what_was_there() {
    let place = Place::new();
    let repository = place.created();
    fs::write(place.data().join("skipped"), "not wanted").unwrap();
    let dump = rows(0, 60_000);
    let written = place.written(&repository, place.set(Rows::of(dump.clone()))).expect("a snapshot");
    assert_eq!(written.attempts, 1);
    fs::remove_file(place.data().join("skipped")).unwrap();

    let repository = place.opened();
    let manifest = repository.manifest(&written.id[..8]).expect("a manifest");
    assert_eq!((manifest.files, manifest.database.bytes), (42, dump.len() as u64));
    let into = place.root.path().join("restored");
    let restored = repository.restore("latest", "files", &into, &Silent).expect("restored");
    assert_eq!((restored.files, restored.bytes), (41, 1_600_000));
    assert_eq!(tree(&into), tree(&place.data()));
    let mut read = Vec::new();
    repository.dump(&written.id, "database", &mut read).expect("the dump");
    assert!(read == dump);
    assert!(repository.files(&written.id, "database").unwrap().len() > 1);

    // Again: what is right is kept, what is wrong is mended, what is not in the snapshot goes.
    fs::write(into.join("teams/a/003"), "damaged").unwrap();
    fs::write(into.join("teams/more"), "not in it").unwrap();
    repository.restore("latest", "files", &into, &Silent).expect("restored again");
    assert_eq!(tree(&into), tree(&place.data()));
}

#[test]
fn what_is_unchanged_is_not_read_again() {
    let place = Place::new();
    let repository = place.created();
    place.written(&repository, place.set(Rows::of(rows(0, 30_000)))).expect("the first");
    fs::write(place.data().join("teams/a/new"), vec![7; 100_000]).unwrap();
    let second = place.written(&repository, place.set(Rows::of(rows(0, 30_010)))).expect("the second");
    assert_eq!(second.unchanged, 43);
    // The new file, the changed piece of the dump, the manifest and the trees: 4 MB in the first.
    assert!(second.added < 400_000, "{}", second.added);
    assert_eq!(repository.snapshots().expect("a list").len(), 2);
}

#[test]
fn a_dump_that_fails_leaves_no_snapshot() {
    struct Breaks;
    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the connection was lost"))
        }
    }
    impl Dump for Breaks {
        fn finish(&mut self) -> Result<(), String> {
            Ok(())
        }
    }
    let place = Place::new();
    let repository = place.created();
    let mut early = Rows::of(rows(0, 50_000));
    early.end = Err("pg_dump ended with 3".to_owned());
    let error = place.written(&repository, place.set(early)).expect_err("no snapshot");
    assert!(error.to_string().contains("pg_dump ended with 3"), "{error}");
    let error = place.written(&repository, place.set(Breaks)).expect_err("no snapshot");
    assert!(error.to_string().contains("the connection was lost"), "{error}");
    assert!(repository.snapshots().expect("a list").is_empty());
    // Nothing is left of them, not even under another name.
    assert_eq!(fs::read_dir(place.repository_path().join("snapshots")).map(Iterator::count).unwrap_or(0), 0);
}

#[test]
fn a_file_that_cannot_be_read_leaves_no_snapshot() {
    let place = Place::new();
    let repository = place.created();
    fs::remove_file(place.root.path().join("config.json")).unwrap();
    let error = place.written(&repository, place.set(Rows::of(rows(0, 10)))).expect_err("no snapshot");
    assert!(matches!(&error, Error::Unreadable { path, .. } if path.ends_with("config.json")), "{error}");
    assert!(repository.snapshots().expect("a list").is_empty());
}

fn watch() -> Arc<dyn Watch> {
    Arc::new(Silent)
}

/// A dump during which somebody works on the files: each read of it calls `work`.
struct Busy<F>(Rows, F);

impl<F: FnMut() + Send> Read for Busy<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.1)();
        self.0.read(buffer)
    }
}

impl<F: FnMut() + Send> Dump for Busy<F> {
    fn finish(&mut self) -> Result<(), String> {
        self.0.finish()
    }
}

#[test]
fn files_may_change_while_the_dump_is_read() {
    let place = Place::new();
    let repository = place.created();
    let data = place.data();
    let mut count = 0;
    let work = move || {
        count += 1;
        fs::write(data.join(format!("upload-{count}")), vec![b'u'; 50_000]).unwrap();
    };
    place.written(&repository, place.set(Busy(Rows::of(rows(0, 1000)), work))).expect("a snapshot");
    // They were there before the files were listed, so all are in it.
    let files = repository.files("latest", "files").unwrap();
    assert!(files.iter().any(|(name, size)| name.contains("upload-1") && *size == 50_000));
}

/// Somebody who changes one file all the time, until told to stop.
fn restless(
    path: std::path::PathBuf,
    change: fn(&Path, u64),
) -> (Arc<AtomicBool>, std::thread::JoinHandle<()>) {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        for n in 0.. {
            if told.load(Ordering::Relaxed) {
                return;
            }
            change(&path, n);
        }
    });
    (stop, thread)
}

#[test]
fn a_file_that_changes_all_the_time_is_named_or_kept_as_it_was_at_one_moment() {
    let changes: [fn(&Path, u64); 3] = [
        // It is written anew, shrinks, vanishes.
        |path, n| fs::write(path, vec![u8::try_from(n % 251).unwrap(); 400_000]).unwrap(),
        |path, n| fs::write(path, vec![1; 400_000 - usize::try_from(n % 300).unwrap() * 1000]).unwrap(),
        |path, n| {
            if n % 2 == 0 {
                let _ = fs::remove_file(path);
            } else {
                fs::write(path, vec![2; 300_000]).unwrap();
            }
        },
    ];
    for change in changes {
        let place = Place::new();
        let repository = place.created();
        let (stop, thread) = restless(place.data().join("restless"), change);
        let written = place.written(&repository, place.set(Rows::of(rows(0, 1000))));
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        match written {
            Err(Error::Restless { path, .. }) => {
                assert!(path.ends_with("restless"));
                assert!(repository.snapshots().expect("a list").is_empty());
            }
            Err(error) => panic!("{error}"),
            Ok(written) => {
                let into = place.root.path().join("restored");
                repository.restore(&written.id, "files", &into, &Silent).expect("restored");
            }
        }
    }
}

#[test]
fn a_cancelled_backup_leaves_nothing() {
    struct Impatient;
    impl Watch for Impatient {
        fn bytes(&self, _: u64, _: Option<u64>) {}
        fn cancelled(&self) -> bool {
            true
        }
    }
    let place = Place::new();
    let repository = place.created();
    let writer = repository.writer("a test", false).expect("the lock");
    let set = place.set(Rows::of(rows(0, 1000)));
    let error = repository
        .write(&writer, set, "host", &(Arc::new(Impatient) as Arc<dyn Watch>))
        .expect_err("cancelled");
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert!(repository.snapshots().expect("a list").is_empty());
}

#[test]
fn one_writes_at_a_time_and_the_other_is_told_who() {
    let place = Place::new();
    let repository = place.created();
    let writer = repository.writer("backup create", false).expect("the lock");
    let error = place.opened().writer("backup prune", false).err().expect("busy");
    assert!(matches!(&error, Error::Busy { holder, .. } if holder.what == "backup create"), "{error}");
    // Reading is free meanwhile.
    assert!(place.opened().snapshots().expect("a list").is_empty());
    drop(writer);
    drop(place.opened().writer("backup prune", false).expect("free again"));

    // A lock of another host that nobody renews, and one of a process of this host that has ended.
    let lock = place.repository_path().join("mainstay.lock");
    let left = |boot: &str, pid: u32, renewed: &str| {
        let text = format!(
            r#"{{"host":"elsewhere","boot":"{boot}","pid":{pid},"what":"backup create","since":"2026-01-01T00:00:00Z","renewed":"{renewed}","nonce":1}}"#
        );
        fs::write(&lock, text).unwrap();
    };
    left("another", 1, "2026-01-01T00:00:00Z");
    let error = repository.writer("backup create", false).err().expect("left locked");
    assert!(matches!(&error, Error::LeftLocked { .. }), "{error}");
    let since = finding::moment("2026-01-01T00:00:00Z".parse().expect("a moment"));
    assert!(error.to_string().contains(&format!("on elsewhere since {since}")), "{error}");
    drop(repository.writer("backup create", true).expect("taken over"));
    // Written while the other host's clock was ahead.
    left("another", 1, "2999-01-01T00:00:00Z");
    let error = repository.writer("backup create", false).err().expect("left locked");
    assert!(matches!(&error, Error::LeftLocked { .. }), "{error}");
    drop(repository.writer("backup create", true).expect("taken over"));
    let now = jiff::Timestamp::now().to_string();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    left(boot.trim(), u32::MAX, &now);
    drop(repository.writer("backup create", false).expect("its process has ended"));
    left("another", 1, &now);
    assert!(matches!(repository.writer("backup create", true), Err(Error::Busy { .. })));
}

#[test]
fn a_lock_that_was_lost_completes_nothing() {
    let place = Place::new();
    let repository = place.created();
    let lock = place.repository_path().join("mainstay.lock");
    let work = move || {
        let _ = fs::remove_file(&lock);
    };
    let error = place.written(&repository, place.set(Busy(Rows::of(rows(0, 10)), work))).expect_err("lost");
    assert!(matches!(error, Error::LockLost { .. }), "{error}");
    assert!(repository.snapshots().expect("a list").is_empty());
}

#[test]
fn other_places_and_other_keys_are_refused() {
    let place = Place::new();
    let error = Repository::open(place.store(), &place.key).err().expect("nothing there");
    assert!(matches!(error, Error::NoRepository { .. }), "{error}");
    place.created();
    let error = Repository::create(place.store(), &place.key).err().expect("one is there");
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    let other = Key::generate().expect("a key");
    let error = Repository::open(place.store(), &other).err().expect("another key");
    assert!(matches!(error, Error::WrongKey { .. }), "{error}");
    assert!(!format!("{error:?} {other:?}").contains(other.reveal()));
    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("photos.zip"), "").unwrap();
    let store = Arc::new(backup::Directory::new(foreign.path()));
    let error = Repository::create(store, &place.key).err().expect("foreign");
    assert!(error.to_string().contains("photos.zip"), "{error}");
    for text in ["", " \n", "two\nlines"] {
        assert!(Key::parse(text).is_err());
    }
}

#[test]
fn snapshots_are_named_by_their_beginning() {
    let place = Place::new();
    let repository = place.created();
    assert!(matches!(repository.snapshot("latest"), Err(Error::NoSnapshot { .. })));
    let first = place.written(&repository, place.set(Rows::of(rows(0, 10)))).unwrap();
    let second = place.written(&repository, place.set(Rows::of(rows(0, 20)))).unwrap();
    assert_eq!(repository.snapshot("latest").unwrap().id, second.id);
    assert_eq!(repository.snapshot(&first.id[..10]).unwrap().id, first.id);
    assert!(matches!(repository.snapshot(""), Err(Error::NoSnapshot { .. })));
    let mut near = first.id[..8].to_owned();
    near.replace_range(3..4, if near.as_bytes()[3] == b'0' { "1" } else { "0" });
    let error = repository.snapshot(&near).unwrap_err();
    assert!(error.to_string().contains(&first.id[..8]), "{error}");
}

#[test]
fn deployments_that_share_a_repository_let_each_other_be() {
    let place = Place::new();
    let own = place.created().of("one");
    let other = place.opened().of("two");
    let write = |repository: &Repository, end: u64| {
        place.written(repository, place.set(Rows::of(rows(0, end)))).expect("written").id
    };
    let (old, new) = (write(&own, 10), write(&own, 20));
    assert_eq!(place.opened().snapshot("latest").expect("all are of one").id, new);
    assert_eq!(other.snapshot("latest").expect("it has none itself").id, new);
    let others = write(&other, 30);
    let unnamed = write(&place.opened(), 40);
    assert_eq!(own.snapshot("latest").expect("its own").id, new);
    assert_eq!(own.snapshot("2999-01-01").expect("its own").id, new);
    assert_eq!(own.snapshot(&others).expect("named by its id").id, others);
    let shared = place.opened().snapshot("latest").expect_err("of which?");
    assert!(matches!(shared, Error::Shared { count: 3, .. }), "{shared}");
    let keep = Keep { last: Some(1), ..Keep::default() };
    let judged = own.retained(&keep).expect("a judgement");
    let reasons = |id: &str| judged.iter().find(|one| one.snapshot.id == id).expect("judged").reasons.clone();
    assert!(reasons(&old).is_empty() && !reasons(&new).is_empty(), "{judged:?}");
    assert_eq!(
        [reasons(&others), reasons(&unnamed)],
        [["not of this deployment"], ["not of this deployment"]]
    );
    // One that is not known to itself removes nothing.
    let judged = place.opened().of("").retained(&keep).expect("a judgement");
    assert!(judged.iter().all(|one| !one.reasons.is_empty()), "{judged:?}");
}

#[test]
fn what_is_thinned_out_frees_its_space_and_hurts_nobody() {
    let place = Place::new();
    let repository = place.created();
    fs::write(place.data().join("big"), (0..3_000_000u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
        .unwrap();
    let first = place.written(&repository, place.set(Rows::of(rows(0, 10)))).unwrap();
    fs::remove_file(place.data().join("big")).unwrap();
    let second = place.written(&repository, place.set(Rows::of(rows(0, 20)))).unwrap();
    let keep = Keep { last: Some(1), ..Keep::default() };
    let judged = repository.retained(&keep).expect("a judgement");
    let removed: Vec<String> =
        judged.iter().filter(|one| one.reasons.is_empty()).map(|one| one.snapshot.id.clone()).collect();
    assert_eq!(removed, std::slice::from_ref(&first.id));

    let writer = repository.writer("backup prune", false).unwrap();
    repository.forget(&writer, &removed).expect("forgotten");
    let soft = repository.prune(&writer, false, &watch()).expect("pruned");
    assert!(soft.freed == 0 && soft.later > 0, "{soft:?}");
    let hard = repository.prune(&writer, true, &watch()).expect("pruned at once");
    assert!(hard.freed > 0, "{hard:?}");
    drop(writer);
    assert!(repository.check(100, &Silent).expect("checked").faults.is_empty());
    let into = place.root.path().join("restored");
    repository.restore(&second.id, "files", &into, &Silent).expect("the kept one is whole");
    assert_eq!(tree(&into), tree(&place.data()));
}

#[test]
fn nobody_else_reads_the_repository_on_the_disk() {
    let place = Place::new();
    place.created();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.repository_path()), 0o700);
    assert_eq!(mode(&place.repository_path().join("config")), 0o600);
}
