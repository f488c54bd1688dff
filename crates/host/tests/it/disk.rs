//! Durable changes, room, and trees that fight back.
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use host::disk::{
    atomic_write, free, is_staged, mount, probe, read_guarded, remove_tree, replaceable, symlink_flip,
    write_named,
};
use host::limits;

use crate::is_root;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn atomic_write_replaces_content_mode_and_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secrets.toml");
    let me = fs::metadata(dir.path()).unwrap();
    atomic_write(&path, b"old", 0o644, None).unwrap();
    atomic_write(&path, b"new", 0o600, Some((me.uid(), me.gid()))).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(names(dir.path()), ["secrets.toml"], "nothing is left beside it");

    let error = atomic_write(&dir.path().join("absent/file"), b"", 0o600, None).unwrap_err();
    assert!(error.to_string().contains("absent/file"), "{error}");
    let error = atomic_write(&path.join("file"), b"", 0o600, None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("part of the path is not a directory; remove the file that stands in the way"),
        "{error}"
    );
}

/// As root, a rename over `/dev/null` takes it from every program of the machine.
#[test]
fn what_a_person_named_is_replaced_only_if_it_is_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write_named(&at("file"), b"old", 0o644).unwrap();
    symlink(at("file"), at("link")).unwrap();
    write_named(&at("link"), b"new", 0o644).unwrap();
    assert_eq!(fs::read(at("file")).unwrap(), b"new", "a link is followed");
    assert!(at("link").is_symlink());

    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    symlink("/dev/null", at("device")).unwrap();
    for (path, why) in [
        (at("pipe"), "a pipe or a device"),
        (at("device"), "a pipe or a device"),
        ("/dev/stdout".into(), "has open"),
        (dir.path().to_path_buf(), "directory"),
    ] {
        let refused = replaceable(&path).unwrap_err();
        assert!(refused.to_string().contains(why), "{}: {refused}", path.display());
    }
    assert!(write_named(&at("pipe"), b"", 0o644).is_err());
    assert!(!fs::metadata(at("pipe")).unwrap().is_file());
}

#[test]
fn a_link_is_flipped_and_nothing_else_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("current");
    symlink_flip(&link, Path::new("releases/1")).unwrap();
    symlink_flip(&link, Path::new("releases/2")).unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("releases/2"));
    assert_eq!(names(dir.path()), ["current"]);
    let file = dir.path().join("file");
    fs::write(&file, "kept").unwrap();
    symlink_flip(&file, Path::new("elsewhere")).unwrap_err();
    assert_eq!(fs::read(&file).unwrap(), b"kept");
}

#[test]
fn what_a_kill_leaves_staged_is_known_by_its_name() {
    for ours in [".new-a1B2c3", ".link-abcdef", ".probe-123456"] {
        assert!(is_staged(ours), "{ours}");
    }
    for other in [".new-", ".new-mail.txt", ".new-longer-than-that", ".newest", "new-abcdef", ".git"] {
        assert!(!is_staged(other), "{other}");
    }
    // As many random characters as tempfile really makes.
    let staged = tempfile::Builder::new().prefix(".new-").tempfile().unwrap();
    assert!(is_staged(staged.path().file_name().unwrap().to_str().unwrap()));
}

#[test]
fn a_guarded_file_is_read_with_its_mode_and_nothing_else_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    let refused = |path: &Path| read_guarded(path, 4).err().expect("refused").to_string();
    assert!(refused(&path).contains("config.json"));
    atomic_write(&path, b"{}\n\n", 0o640, None).unwrap();
    let read = read_guarded(&path, 4).expect("a plain file");
    assert_eq!((read.bytes.as_slice(), read.mode), (&b"{}\n\n"[..], 0o640));
    assert!(read_guarded(&path, 3).err().expect("refused").to_string().contains("larger than 3 bytes"));

    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(refused(&link).contains("it is a symbolic link"), "{}", refused(&link));
    assert!(refused(dir.path()).contains("not a regular file"), "{}", refused(dir.path()));
    let pipe = dir.path().join("pipe");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, rustix::fs::Mode::RUSR, 0).unwrap();
    assert!(refused(&pipe).contains("not a regular file"), "{}", refused(&pipe));
}

#[test]
fn root_reads_only_what_the_owner_of_the_directory_may_give() {
    if !is_root() {
        // Only root can give files away.
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (servers, path) = (dir.path().join("config"), dir.path().join("config/config.json"));
    fs::create_dir(&servers).unwrap();
    chown(&servers, Some(65_533), Some(65_533)).unwrap();
    let secret = dir.path().join("secret");
    fs::write(&secret, "{}").unwrap();
    let read = || read_guarded(&path, 100).map(|_| ()).map_err(|e| e.to_string());

    fs::hard_link(&secret, &path).unwrap();
    assert!(read().unwrap_err().contains("hard links"));
    fs::remove_file(&path).unwrap();
    fs::write(&path, "{}").unwrap();
    assert_eq!(read(), Ok(()), "root's own");
    chown(&path, Some(65_533), Some(65_533)).unwrap();
    assert_eq!(read(), Ok(()), "the directory owner's");
    chown(&path, Some(65_532), Some(65_532)).unwrap();
    assert!(read().unwrap_err().contains("belongs to user 65532"));
}

#[test]
fn a_tree_is_removed_without_following_links() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "kept").unwrap();
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o751)).unwrap();

    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("a/read-only/deep")).unwrap();
    fs::write(tree.join("a/read-only/file"), "x").unwrap();
    symlink(&outside, tree.join("a/link")).unwrap();
    symlink(outside.join("precious"), tree.join("file-link")).unwrap();
    symlink("nowhere", tree.join("dangling")).unwrap();
    fs::set_permissions(tree.join("a/read-only"), fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o555)).unwrap();
    remove_tree(&tree).unwrap();
    remove_tree(&tree).unwrap();
    assert_eq!(names(dir.path()), ["outside"]);

    symlink(&outside, &tree).unwrap();
    remove_tree(&tree).unwrap();
    assert_eq!(fs::read(outside.join("precious")).unwrap(), b"kept");
    assert_eq!(fs::metadata(&outside).unwrap().permissions().mode() & 0o777, 0o751);
}

#[test]
fn room_and_mounts_are_read_before_the_directory_exists() {
    let dir = tempfile::tempdir().unwrap();
    let later = dir.path().join("not/yet/there");
    assert!(free(&later).unwrap().bytes > 0);
    assert!(!mount(&later).unwrap().read_only);
    assert!(mount(Path::new("/proc")).unwrap().network.is_none());
    probe(dir.path()).unwrap();
    assert_eq!(names(dir.path()), [""; 0]);
    assert!(probe(&later).unwrap_err().to_string().contains("not/yet/there"));
    // Nobody writes here, not even root.
    probe(Path::new("/proc/self")).unwrap_err();
}

#[test]
fn the_limit_on_open_files_is_raised_to_the_hard_one() {
    let raised = limits::raise_open_files().unwrap();
    assert_eq!(raised.soft, raised.hard);
    assert_eq!(limits::open_files(), raised);
}
