//! The same sources give the same bytes.
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use oci::{Compression, Entry, ImageSpec, Layer, Layout, Meter, Owner, tree, write_layout};
use proptest::prelude::*;

use crate::{image, name};

/// The names and bytes of all files in a directory.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(dir).unwrap().display().to_string();
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

fn built(layer: Layer, dir: &Path) -> Layout {
    let spec = ImageSpec { cmd: vec!["x".to_owned()], ..ImageSpec::default() };
    write_layout(&spec, &[layer], &name(), dir, &Meter::default()).unwrap()
}

#[test]
fn two_builds_and_their_archives_are_byte_identical() {
    let scratch = tempfile::tempdir().unwrap();
    let (one, two) = (scratch.path().join("one"), scratch.path().join("two"));
    let (first, second) = (image(scratch.path(), &one), image(scratch.path(), &two));
    assert_eq!(files(&one), files(&two));
    assert_eq!(files(&one).len(), 6, "two layers, configuration, manifest, index, marker");
    assert_eq!(first.write_archive(Vec::new()).unwrap(), second.write_archive(Vec::new()).unwrap());
}

#[test]
fn times_umask_and_creation_order_do_not_change_the_image() {
    let scratch = tempfile::tempdir().unwrap();
    let make = |name: &str, files: &[&str], mode: u32, age: u64| {
        let dir = scratch.path().join(name);
        fs::create_dir(&dir).unwrap();
        for file in files {
            let path = dir.join(file);
            fs::write(&path, file).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            fs::File::open(&path).unwrap().set_modified(time).unwrap();
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode | 0o100)).unwrap();
        let layer = Layer::new(tree("/opt", &dir, Owner::ROOT).unwrap()).unwrap();
        built(layer, &scratch.path().join(format!("{name}.image"))).digest()
    };
    let one = make("one", &["a", "b", "c"], 0o600, 0);
    assert_eq!(one, make("two", &["c", "a", "b"], 0o664, 900_000));
    assert_ne!(one, make("three", &["c", "a", "b"], 0o700, 0), "executable files must differ");
}

#[test]
fn a_set_time_or_compression_changes_the_image() {
    let scratch = tempfile::tempdir().unwrap();
    let text = "the same words again and again ".repeat(5000);
    let layer = || Layer::new([Entry::bytes("/a", text.as_str(), 0o644, Owner::ROOT)]).unwrap();
    let build = |name: &str, layer: Layer| built(layer, &scratch.path().join(name));
    let size = |layout: &Layout| layout.blobs().next().unwrap().size;
    let plain = build("plain", layer());
    assert_ne!(plain.digest(), build("time", layer().mtime(1_700_000_000)).digest());
    let fast = build("fast", layer().compression(Compression::Fast));
    let small = build("small", layer().compression(Compression::Small));
    assert!(size(&fast) > size(&plain) && size(&plain) >= size(&small));
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let part = prop::string::string_regex("[a-c \u{e9}.-]{0,3}[a-c]").unwrap();
    let path = prop::collection::vec(part, 1..5).prop_map(|parts| format!("/{}", parts.join("/")));
    let entry = (path, 0..3_u8, 0..0o7777_u32, any::<u32>()).prop_map(|(path, kind, mode, uid)| {
        let owner = Owner { uid, gid: 0 };
        match kind {
            0 => Entry::directory(path, mode, owner),
            1 => Entry::bytes(path.clone(), path, mode, owner),
            _ => Entry::symlink(path, "/x"),
        }
    });
    prop::collection::vec(entry, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Entries in any order give the same image or are refused, and tar lists every one of them.
    #[test]
    fn entries_in_any_order_make_the_same_image(
        (given, shuffled) in entries().prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle()))
    ) {
        let scratch = tempfile::tempdir().unwrap();
        let (Ok(one), Ok(two)) = (Layer::new(given.clone()), Layer::new(shuffled.clone())) else {
            prop_assert!(Layer::new(given).is_err() && Layer::new(shuffled).is_err());
            return Ok(());
        };
        let first = built(one, &scratch.path().join("one"));
        let second = built(two, &scratch.path().join("two"));
        prop_assert_eq!(first.digest(), second.digest());

        let blob = scratch.path().join("one/blobs/sha256").join(first.blobs().next().unwrap().digest.hex());
        let unpacked = crate::judge::run("tar", &["--list", "--gzip", "--quoting-style=literal", "--file", blob.to_str().unwrap()]);
        let listed: Vec<&str> = unpacked.lines().map(|line| line.trim_end_matches('/')).collect();
        for entry in &given {
            prop_assert!(listed.contains(&&entry.path[1..]), "{:?} not in {:?}", entry.path, listed);
        }
    }
}
