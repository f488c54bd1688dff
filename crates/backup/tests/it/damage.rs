//! Flipped bits and missing files: found by a check that reads everything, and never restored in silence.
use std::fs;
use std::path::PathBuf;

use backup::{Repository, Silent};

use crate::place::{Place, Rows, rows};

fn files(place: &Place) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = walk(place.repository_path());
    found.sort();
    found
}

fn walk(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries
        .flat_map(|entry| if entry.path().is_dir() { walk(entry.path()) } else { vec![entry.path()] })
        .collect()
}

/// Whether somebody who checks everything hears of it.
fn is_noticed(repository: &Repository) -> bool {
    let checked = repository.check(100, &Silent);
    checked.is_ok_and(|checked| !checked.is_sound() || checked.snapshots == 0)
}

/// The same, of somebody who opens it first: a damaged key or config does not open.
fn is_noticed_anew(place: &Place) -> bool {
    Repository::open(place.store(), &place.key).map_or(true, |repository| is_noticed(&repository))
}

#[test]
fn two_hundred_flipped_bytes_are_found_one_by_one() {
    let place = Place::new();
    let repository = place.created();
    place.written(&repository, place.set(Rows::of(rows(0, 20_000)))).expect("a snapshot");
    let before = fs::read(place.data().join("teams/a/007")).unwrap();
    assert!(!is_noticed(&repository));
    let files = files(&place);
    let sizes: Vec<u64> = files.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    let all: u64 = sizes.iter().sum();
    let mut seed = 0x0005_eed0_u64;
    let mut unnoticed = Vec::new();
    for _ in 0..200 {
        // xorshift: every byte of the repository is as likely as another.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let mut at = seed % all;
        let number = sizes
            .iter()
            .position(|size| {
                let here = at < *size;
                if !here {
                    at -= size;
                }
                here
            })
            .unwrap();
        let (path, at) = (&files[number], usize::try_from(at).unwrap());
        let right = fs::read(path).unwrap();
        let mut wrong = right.clone();
        wrong[at] ^= 1 << (seed % 8);
        fs::write(path, &wrong).unwrap();
        // Opening costs time on purpose: only what is read then is opened anew.
        let opens = path.ends_with("config") || path.parent().is_some_and(|folder| folder.ends_with("keys"));
        if !(if opens { is_noticed_anew(&place) } else { is_noticed(&repository) }) {
            unnoticed.push((path.clone(), at));
        }
        // Whatever is restored is right.
        let into = place.root.path().join("restored");
        if repository.restore("latest", "files/teams", &into, &Silent).is_ok() {
            assert_eq!(fs::read(into.join("a/007")).unwrap(), before);
        }
        let _ = fs::remove_dir_all(&into);
        fs::write(path, &right).unwrap();
    }
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}

#[test]
fn a_missing_file_is_found() {
    let place = Place::new();
    let repository = place.created();
    place.written(&repository, place.set(Rows::of(rows(0, 20_000)))).expect("a snapshot");
    for path in files(&place) {
        let right = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(is_noticed_anew(&place), "{}", path.display());
        fs::write(&path, right).unwrap();
    }
    assert!(!is_noticed_anew(&place));
}

/// What an index names counts as kept: a snapshot that is written beside a missing pack would miss it, too.
#[test]
fn nothing_is_written_where_a_pack_is_missing_or_cut() {
    let place = Place::new();
    let repository = place.created();
    place.written(&repository, place.set(Rows::of(rows(0, 20_000)))).expect("a snapshot");
    let pack = walk(place.repository_path().join("data")).into_iter().next().expect("a pack");
    let right = fs::read(&pack).unwrap();
    let name = pack.file_name().unwrap().to_string_lossy().into_owned();
    for damage in [None, Some(&right[1..])] {
        fs::remove_file(&pack).unwrap();
        if let Some(bytes) = damage {
            fs::write(&pack, bytes).unwrap();
        }
        let refused = place.written(&repository, place.set(Rows::of(rows(0, 20_001))));
        let refused = refused.expect_err("it would not be whole").to_string();
        assert!(refused.contains(&name), "{refused}");
        fs::write(&pack, &right).unwrap();
    }
    place.written(&repository, place.set(Rows::of(rows(0, 20_001)))).expect("it is whole again");
    assert!(!is_noticed(&repository));
}
