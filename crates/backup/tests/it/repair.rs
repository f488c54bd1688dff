//! A repository that has lost packs takes new snapshots again, and says what is lost.
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backup::{Directory, Entry, Repaired, Repository, Silent, Store, StoreError};
use bytes::Bytes;

use crate::place::{Place, Rows, rows};
use crate::restic::restic;

/// Files below a folder, the largest first: packs of data before packs of trees.
fn packs(place: &Place) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(place.repository_path().join("data")).into_iter().flatten();
    let mut found: Vec<PathBuf> =
        walk.filter(|entry| entry.file_type().is_file()).map(|entry| entry.path().to_owned()).collect();
    found.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    found
}

fn repaired(repository: &Repository, reads_all: bool) -> Repaired {
    let writer = repository.writer("a test", false).expect("the lock");
    repository.repair(&writer, reads_all, &Silent).expect("repaired")
}

/// A new snapshot is whole, whatever was lost before it, and restic agrees.
fn assert_fit(place: &Place, at: &str) {
    let repository = place.opened();
    let new = place.written(&repository, place.set(Rows::of(rows(0, 20_000))));
    let new = new.unwrap_or_else(|error| panic!("{at}: {error}"));
    let checked = repository.check(100, &Silent).expect("checked");
    assert!(checked.is_sound(), "{at}: {checked:?}");
    assert_eq!(repository.snapshot("latest").expect("one").id, new.id, "{at}");
    let into = place.root.path().join("restored");
    repository.restore("latest", "files", &into, &Silent).unwrap_or_else(|error| panic!("{at}: {error}"));
    for name in ["teams/a/000", "teams/a/039"] {
        assert!(fs::read(into.join(name)).unwrap() == fs::read(place.data().join(name)).unwrap(), "{at}");
    }
    fs::remove_dir_all(&into).unwrap();
}

#[test]
fn a_repository_that_lost_a_pack_takes_new_snapshots_and_names_what_is_lost() {
    let place = Place::new();
    let repository = place.created();
    let old = place.written(&repository, place.set(Rows::of(rows(0, 20_000)))).expect("a snapshot").id;
    assert_eq!(repaired(&repository, true), Repaired { whole: 1, ..Repaired::default() });
    let number = packs(&place).len();
    assert!(number >= 2, "one of data, one of trees");
    for n in 0..number {
        // What has a whole pack less, then one that is cut, then one whose content has changed.
        let pack = packs(&place).swap_remove(n.min(packs(&place).len() - 1));
        let right = fs::read(&pack).unwrap();
        let mut wrong = right.clone();
        wrong[right.len() / 3] ^= 1;
        match n % 3 {
            0 => fs::remove_file(&pack).unwrap(),
            1 => fs::write(&pack, &right[..right.len() / 2]).unwrap(),
            _ => fs::write(&pack, &wrong).unwrap(),
        }
        let found = repaired(&place.opened(), true);
        assert_eq!((found.missing.len(), found.set_aside.len()), if n % 3 == 0 { (1, 0) } else { (0, 1) });
        assert!(!found.lost.is_empty(), "{n}: {found:?}");
        assert_fit(&place, &format!("pack {n}"));
    }
    // What was lost is neither taken for whole, nor removed by a rule, nor in the way of freeing space.
    let repository = place.opened();
    let damaged: Vec<_> =
        repository.snapshots().expect("a list").into_iter().filter(|one| one.damaged).collect();
    assert!(!damaged.is_empty() && damaged.iter().all(|one| one.id != old), "{damaged:?}");
    let keep = backup::Keep { last: Some(1), ..backup::Keep::default() };
    let retained = repository.retained(&keep).expect("judged");
    for one in retained.iter().filter(|one| one.snapshot.damaged) {
        assert_eq!(one.reasons, ["it has lost data, and may be all that is left"]);
    }
    let writer = repository.writer("a test", false).expect("the lock");
    let watch: Arc<dyn backup::Watch> = Arc::new(Silent);
    repository.prune(&writer, true, &watch).expect("space is freed");
    drop(writer);
    assert!(repository.check(100, &Silent).expect("checked").is_sound());
    restic(&place, &["check", "--read-data"]);
}

#[test]
fn an_index_that_is_damaged_is_made_anew_and_nothing_is_lost() {
    let place = Place::new();
    let repository = place.created();
    place.written(&repository, place.set(Rows::of(rows(0, 20_000)))).expect("a snapshot");
    let index = fs::read_dir(place.repository_path().join("index")).unwrap().flatten().next().unwrap().path();
    fs::write(&index, "garbage").unwrap();
    let found = repaired(&place.opened(), false);
    assert_eq!((found.set_aside.len(), found.lost.len(), found.whole), (1, 0, 1), "{found:?}");
    fs::remove_dir_all(place.repository_path().join("index")).unwrap();
    assert_eq!(repaired(&place.opened(), false).whole, 1);
    assert_fit(&place, "without indexes");
}

/// A store that ends at its n-th change, as a kill would.
struct Ending {
    store: Directory,
    left: AtomicUsize,
}

impl Ending {
    fn change(&self) -> Result<(), StoreError> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let why = "it ends here".to_owned();
        left.map(drop).map_err(|_| StoreError { action: "write", at: String::new(), why, missing: false })
    }
}

impl Store for Ending {
    fn location(&self) -> String {
        self.store.location()
    }
    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        self.store.list(folder)
    }
    fn read(&self, name: &str) -> Result<Bytes, StoreError> {
        self.store.read(name)
    }
    fn read_range(&self, name: &str, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        self.store.read_range(name, offset, length)
    }
    fn write(&self, name: &str, content: &[Bytes]) -> Result<(), StoreError> {
        self.change().and_then(|()| self.store.write(name, content))
    }
    fn create(&self, name: &str, content: &[u8]) -> Result<bool, StoreError> {
        self.change().and_then(|()| self.store.create(name, content))
    }
    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.change().and_then(|()| self.store.remove(name))
    }
}

fn copied(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    for entry in walkdir::WalkDir::new(from).into_iter().flatten() {
        let into = to.join(entry.path().strip_prefix(from).unwrap());
        match entry.file_type().is_dir() {
            true => fs::create_dir_all(into).unwrap(),
            false => fs::copy(entry.path(), into).map(drop).unwrap(),
        }
    }
}

#[test]
fn a_repair_that_ends_anywhere_is_finished_by_the_next() {
    let place = Place::new();
    let repository = place.created();
    place.written(&repository, place.set(Rows::of(rows(0, 20_000)))).expect("a snapshot");
    place.written(&repository, place.set(Rows::of(rows(0, 20_001)))).expect("a snapshot");
    let all = packs(&place);
    fs::remove_file(&all[0]).unwrap();
    fs::write(&all[1], "cut").unwrap();
    let broken = place.root.path().join("broken");
    copied(&place.repository_path(), &broken);
    for changes in [1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 100] {
        copied(&broken, &place.repository_path());
        let store =
            Ending { store: Directory::new(place.repository_path()), left: AtomicUsize::new(changes) };
        let ending = Repository::open(Arc::new(store), &place.key).expect("it opens");
        let writer = ending.writer("a test", false).expect("the lock");
        let whole = ending.repair(&writer, true, &Silent).is_ok();
        drop(writer);
        let _ = fs::remove_file(place.repository_path().join("mainstay.lock"));
        repaired(&place.opened(), true);
        assert_fit(&place, &format!("after {changes} changes"));
        assert!(whole || changes < 100, "after {changes} changes");
        assert!(!whole || changes > 4, "after {changes} changes");
    }
}
