//! A small disk, which root alone can mount.
use std::fs;
use std::io::Cursor;
use std::process::Command;

use release::Limits;

use crate::tarball::Tarball;

#[test]
fn a_full_disk_is_not_reported_as_a_bad_archive() {
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&small).status();
    assert!(mounted.unwrap().success(), "mount failed: run this as root, or leave it out with --skip full::");
    let big = Tarball::official().file("mattermost/client/big", &vec![b'x'; 1 << 20]).tar_gz();
    let unpacked =
        release::unpack_stream("t", Cursor::new(big), &crate::confining(), &small, Limits::default());
    let left = crate::names(&small);
    Command::new("umount").arg("-l").arg(&small).status().unwrap();
    let error = unpacked.unwrap_err().to_string();
    assert!(error.contains("the disk is full") && error.contains("free some space"), "{error}");
    assert_eq!(left, [""; 0]);
}
