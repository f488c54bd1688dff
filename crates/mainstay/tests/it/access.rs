//! Whether the server's user can use its files, before the server is stopped; and files that are gone.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use crate::place::{Place, is_root};

#[test]
fn a_restart_is_refused_where_the_server_could_not_read_its_files_and_up_gives_them_back() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let config = place.root.join("config/config.json");
    let before = fs::metadata(&config).expect("config.json");
    let pid = place.status()["agent"]["server"]["pid"].clone();
    if !is_root() {
        fs::set_permissions(&config, fs::Permissions::from_mode(0o000)).expect("a mode");
        let refused = place.run(&["restart", "--yes"]).expect(4);
        assert!(refused.stderr.contains("chmod u+rwX"), "{}", refused.stderr);
        return;
    }
    for path in ["config/config.json", "data/mattermost.db", "config"] {
        let path = place.root.join(path);
        chown(&path, Some(0), Some(0)).expect("it is root's");
        let refused = place.run(&["restart", "--yes"]).expect(4).stderr;
        assert!(refused.contains("belongs to root") && refused.contains("chown"), "{refused}");
        assert_eq!(place.status()["agent"]["server"]["pid"], pid);
        place.up(&[]).expect(0);
        assert_eq!(fs::metadata(&path).expect("there").uid(), before.uid(), "{}", path.display());
    }
    fs::set_permissions(&config, fs::Permissions::from_mode(0o000)).expect("a mode");
    place.run(&["restart", "--yes"]).expect(4);
    // A server that was stopped meanwhile is started on what it can read.
    place.run(&["down", "--yes"]).expect(0);
    chown(&config, Some(0), Some(0)).expect("it is root's");
    place.up(&[]).expect(0);
    let after = fs::metadata(&config).expect("config.json");
    assert_eq!((after.uid(), after.mode()), (before.uid(), before.mode()));
    place.run(&["restart", "--yes"]).expect(0);
}

#[test]
fn without_mainstay_toml_nothing_is_checked_and_nothing_is_sent() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let report = fs::read(place.root.join("run/verified.json")).expect("a report");
    fs::remove_file(place.root.join("mainstay.toml")).expect("it was there");
    for args in [&["settings", "check"][..], &["settings", "test-https"], &["verify"]] {
        let refused = place.run(args).expect(8).stderr;
        assert!(refused.contains("mainstay.toml"), "{refused}");
    }
    assert_eq!(fs::read(place.root.join("run/verified.json")).expect("a report"), report);
}
