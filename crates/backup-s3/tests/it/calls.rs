//! What a store promises.

use std::sync::Arc;

use backup::{Entry, Repository, Silent, Store};
use bytes::Bytes;

use crate::place::{Place, Rows, rows};
use crate::server::Server;

fn names(mut entries: Vec<Entry>) -> Vec<(String, u64)> {
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries.into_iter().map(|entry| (entry.name, entry.size)).collect()
}

#[test]
fn a_bucket_is_a_store() {
    let server = Server::start();
    let bucket = server.bucket();
    assert_eq!(bucket.location(), "s3://backups/chat/one");
    assert!(bucket.list("").unwrap().is_empty() && bucket.list("data").unwrap().is_empty());
    bucket.write("config", &[Bytes::from_static(b"one "), Bytes::from_static(b"two")]).unwrap();
    bucket.write("data/ab/abcd", &[Bytes::from_static(b"0123456789")]).unwrap();
    bucket.write("empty", &[]).unwrap();
    assert_eq!(std::fs::read(server.file("chat/one/config")).unwrap(), b"one two");
    // Beside it, with a name that begins alike.
    std::fs::create_dir_all(server.file("chat/one-more")).unwrap();
    std::fs::write(server.file("chat/one-more/config"), "another's").unwrap();
    assert_eq!(names(bucket.list("").unwrap()), [("config".to_owned(), 7), ("empty".to_owned(), 0)]);
    assert_eq!(names(bucket.list("data").unwrap()), [("data/ab/abcd".to_owned(), 10)]);
    assert_eq!(&bucket.read("config").unwrap()[..], b"one two");
    assert_eq!(&bucket.read_range("data/ab/abcd", 3, 4).unwrap()[..], b"3456");
    assert!(bucket.read_range("data/ab/abcd", 3, 0).unwrap().is_empty());
    for (offset, length) in [(3, 40), (10, 1), (100, 5)] {
        let shorter = bucket.read_range("data/ab/abcd", offset, length).unwrap_err();
        assert!(!shorter.is_missing(), "{shorter}");
    }
    let missing = bucket.read("nothing").unwrap_err();
    assert!(
        missing.is_missing() && missing.to_string().contains("s3://backups/chat/one/nothing"),
        "{missing}"
    );

    assert!(bucket.create("lock", b"mine").unwrap());
    assert!(!bucket.create("lock", b"another's").unwrap());
    assert_eq!(&bucket.read("lock").unwrap()[..], b"mine");
    bucket.remove("lock").unwrap();
    bucket.remove("lock").unwrap();
    assert!(bucket.read("lock").unwrap_err().is_missing());
}

#[test]
fn one_of_many_creates() {
    let server = Server::start();
    let bucket = Arc::new(server.bucket());
    let all: Vec<_> = (0..8)
        .map(|number| {
            let bucket = Arc::clone(&bucket);
            std::thread::spawn(move || bucket.create("lock", format!("{number}").as_bytes()).unwrap())
        })
        .collect();
    let made = all.into_iter().map(|one| one.join().unwrap()).filter(|made| *made).count();
    assert_eq!(made, 1);
}

#[test]
fn a_list_has_more_than_a_page() {
    let server = Server::start();
    std::fs::create_dir_all(server.file("chat/one/data")).unwrap();
    for number in 0..2105 {
        std::fs::write(server.file(&format!("chat/one/data/{number:04}")), "x").unwrap();
    }
    assert_eq!(server.bucket().list("data").unwrap().len(), 2105);
}

#[test]
fn a_snapshot_is_written_checked_and_restored() {
    let (server, place) = (Server::start(), Place::new());
    let store = Arc::new(server.bucket());
    let repository = Repository::create(store.clone(), &place.key).unwrap();
    let dump = rows(0, 40_000);
    place.written(&repository, place.set(Rows::of(dump.clone()))).unwrap();
    let again = place.written(&repository, place.set(Rows::of(dump.clone()))).unwrap();
    assert_eq!((again.read, again.unchanged > 40), (again.read, true));
    let opened = Repository::open(store, &place.key).unwrap();
    assert!(opened.check(100, &Silent).unwrap().is_sound());
    let mut restored = Vec::new();
    opened.dump("latest", "database", &mut restored).unwrap();
    assert!(restored == dump);
}

/// Also where a runtime is at work already: the engine's threads have none, an operation has.
#[tokio::test]
async fn it_is_called_and_dropped_anywhere() {
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    let bucket = server.bucket();
    assert!(bucket.list("").unwrap().is_empty());
    drop(bucket);
    let place = server.place("test");
    tokio::task::spawn_blocking(move || backup_s3::Bucket::new(place).unwrap().list("").unwrap())
        .await
        .unwrap();
}
