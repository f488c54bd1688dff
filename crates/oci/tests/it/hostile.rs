//! Refusals: entries that must not get into an image, and places where an image must not be written.
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use oci::{Entry, ImageSpec, Layer, MATTERMOST, Meter, OciError, Owner, tree, write_layout};

use crate::{name, spec};

fn refused(entries: Vec<Entry>) -> String {
    match Layer::new(entries) {
        Err(OciError::Entry { path, why }) => format!("{path}: {why}"),
        other => panic!("{other:?}"),
    }
}

fn file(path: &str) -> Entry {
    Entry::bytes(path, "", 0o644, Owner::ROOT)
}

#[test]
fn contradictory_entries_make_no_layer() {
    assert!(refused(vec![file("/a/../../etc/passwd")]).contains(".."));
    assert!(refused(vec![file("/a"), file("/a")]).contains("twice"));
    assert!(refused(vec![file("/a"), file("/a/b")]).contains("not a directory"));
    // An extractor that follows links would write to the link's target.
    assert!(refused(vec![Entry::symlink("/a", "/etc"), file("/a/passwd")]).contains("not a directory"));
    assert!(refused(vec![Entry::symlink("/a", "../..")]).contains("above"));
    let tmp = |mode| Entry::directory("/tmp", mode, Owner::ROOT);
    assert!(refused(vec![tmp(0o1777), tmp(0o755)]).contains("twice"));
    assert!(Layer::new(vec![tmp(0o1777), tmp(0o1777)]).is_ok());
}

#[test]
fn an_upper_layer_cannot_write_through_a_lower_one() {
    let scratch = tempfile::tempdir().unwrap();
    let build = |lower: Entry, upper: Entry| {
        let layers = [Layer::new([lower]).unwrap(), Layer::new([upper]).unwrap()];
        let spec = ImageSpec { cmd: vec!["x".to_owned()], ..ImageSpec::default() };
        write_layout(&spec, &layers, &name(), &scratch.path().join("image"), &Meter::default())
    };
    let directory = |path| Entry::directory(path, 0o700, MATTERMOST);
    for (lower, upper) in [
        (Entry::symlink("/a", "/etc"), file("/a/passwd")),
        (file("/a"), file("/a/b")),
        (directory("/a"), file("/a")),
        (directory("/a"), Entry::symlink("/a", "b")),
        (file("/a"), directory("/a")),
        (file("/a/b"), file("/a")),
    ] {
        let outcome = build(lower.clone(), upper.clone());
        assert!(matches!(outcome, Err(OciError::Entry { .. })), "{lower:?} {upper:?} {outcome:?}");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "a refused build left files");
    }
    build(file("/a/b"), Entry::bytes("/a/b", "new", 0o600, MATTERMOST)).unwrap();
}

#[test]
fn a_tree_may_contain_only_files_directories_and_inner_links() {
    let scratch = tempfile::tempdir().unwrap();
    let refused = |make: &dyn Fn(&Path)| {
        let dir = tempfile::tempdir_in(scratch.path()).unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        make(&dir.path().join("sub/odd"));
        match tree("/opt/x", dir.path(), Owner::ROOT) {
            Err(OciError::Entry { path, .. }) => assert!(path.contains("odd"), "{path}"),
            other => panic!("{other:?}"),
        }
    };
    refused(&|path| symlink("/etc/shadow", path).unwrap());
    refused(&|path| symlink("../../x", path).unwrap());
    refused(&|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()));
    refused(&|path| crate::judge::run("mkfifo", &[path.to_str().unwrap()]).truncate(0));
    refused(&|path| {
        let name = [path.as_os_str().as_bytes(), b"\xff"].concat();
        fs::write(std::ffi::OsStr::from_bytes(&name), "").unwrap();
    });

    let dir = tempfile::tempdir_in(scratch.path()).unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    symlink("../sub", dir.path().join("sub/up")).unwrap();
    assert_eq!(tree("/opt/x", dir.path(), Owner::ROOT).unwrap().len(), 3);
}

#[test]
fn sources_that_are_not_regular_files_are_refused_without_blocking() {
    let scratch = tempfile::tempdir().unwrap();
    let fifo = scratch.path().join("fifo");
    crate::judge::run("mkfifo", &[fifo.to_str().unwrap()]);
    let spec = ImageSpec { cmd: vec!["x".to_owned()], ..ImageSpec::default() };
    for source in [fifo.as_path(), Path::new("/dev/zero"), scratch.path(), Path::new("/nonexistent")] {
        let layer = Layer::new([Entry::file("/a", source, 0o644, Owner::ROOT)]).unwrap();
        let dir = scratch.path().join("image");
        let outcome = write_layout(&spec, &[layer], &name(), &dir, &Meter::default());
        assert!(matches!(outcome, Err(OciError::Disk { .. })), "{source:?} {outcome:?}");
        assert!(!dir.exists());
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_an_error() {
    // Files in /proc report size 0, so reading one looks like reading a file that grew.
    let scratch = tempfile::tempdir().unwrap();
    let spec = ImageSpec { cmd: vec!["x".to_owned()], ..ImageSpec::default() };
    let layer = Layer::new([Entry::file("/a", "/proc/self/status", 0o644, Owner::ROOT)]).unwrap();
    let outcome = write_layout(&spec, &[layer], &name(), &scratch.path().join("image"), &Meter::default());
    assert!(matches!(outcome, Err(OciError::Changed { was: 0, .. })), "{outcome:?}");
}

#[test]
fn existing_files_are_not_overwritten() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("image");
    let layer = || [Layer::new([Entry::directory("/opt/mattermost/data", 0o755, MATTERMOST)]).unwrap()];
    fs::create_dir(&dir).unwrap();
    write_layout(&spec(), &layer(), &name(), &dir, &Meter::default()).unwrap();
    for taken in [dir.clone(), dir.join("index.json")] {
        let outcome = write_layout(&spec(), &layer(), &name(), &taken, &Meter::default());
        assert!(matches!(outcome, Err(OciError::Exists { .. })), "{outcome:?}");
    }
}

#[test]
fn an_image_that_cannot_start_is_not_built() {
    let scratch = tempfile::tempdir().unwrap();
    let loader = oci::Program::read(&std::env::current_exe().unwrap()).unwrap().interpreter.unwrap();
    let outcome = |spec: ImageSpec, entries: Vec<Entry>| {
        let layers = [Layer::new(entries).unwrap()];
        match write_layout(&spec, &layers, &name(), &scratch.path().join("image"), &Meter::default()) {
            Err(e @ (OciError::Program { .. } | OciError::Spec { .. })) => e.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let starts = |program: &str| ImageSpec { entrypoint: vec![program.to_owned()], ..ImageSpec::default() };
    let binary = |mode| Entry::file("/bin/x", std::env::current_exe().unwrap(), mode, Owner::ROOT);
    assert!(outcome(starts("/bin/y"), vec![binary(0o755)]).contains("no layer has it"));
    assert!(outcome(starts("/bin/x"), vec![binary(0o644)]).contains("nobody may execute"));
    assert!(outcome(starts("/bin/x"), vec![binary(0o755)]).contains(&loader));
    let other = match oci::Architecture::NATIVE {
        oci::Architecture::Amd64 => oci::Architecture::Arm64,
        oci::Architecture::Arm64 => oci::Architecture::Amd64,
    };
    let spec = ImageSpec { architecture: other, ..starts("/bin/x") };
    assert!(outcome(spec, vec![binary(0o755)]).contains("built for"));
    // Through a link, and to a script whose interpreter is missing.
    let script = Entry::bytes("/usr/s", "#!/bin/sh\n", 0o755, Owner::ROOT);
    let said = outcome(starts("/sbin/s"), vec![Entry::symlink("/sbin", "usr"), script]);
    assert!(said.contains("/bin/sh"), "{said}");
    let round = vec![Entry::symlink("/a", "b"), Entry::symlink("/b", "a")];
    assert!(outcome(starts("/a"), round).contains("no layer has it"));
    assert!(outcome(ImageSpec::default(), vec![]).contains("what to run"));
    let volume = ImageSpec { volumes: ["/data".to_owned()].into(), ..starts("x") };
    assert!(outcome(volume, vec![]).contains("no layer has this directory"));
    let env = ImageSpec { env: [("A=B".to_owned(), String::new())].into(), ..starts("x") };
    assert!(outcome(env, vec![]).contains("variable"));
    let signal = ImageSpec { stop_signal: Some("TERM; rm".to_owned()), ..starts("x") };
    assert!(outcome(signal, vec![]).contains("SIGTERM"));
    let late = ImageSpec { created: i64::MAX, ..starts("x") };
    assert!(outcome(late, vec![]).contains("10000"));
}
