//! Users of this machine.
use std::fs;
use std::os::unix::fs::PermissionsExt;

use host::User;
use host::account::{self, AccountError};
use host::user::{TraverseError, UserError};

use crate::is_root;

#[test]
fn users_are_found_by_name_and_number() {
    let root = User::named("root").unwrap();
    assert!(root.is_root());
    assert_eq!(User::named("0").unwrap(), root);
    assert!(User::current().unwrap().is_current());
    let error = User::named("no-such-user-here").unwrap_err();
    assert!(matches!(error, UserError::Unknown(_)));
    assert!(error.to_string().contains("useradd"), "{error}");
}

#[test]
fn a_closed_directory_on_the_way_is_named() {
    let stranger = User { name: "stranger".into(), uid: 65_533, gid: 65_533, home: "/".into() };
    let dir = tempfile::tempdir().unwrap();
    let closed = dir.path().join("closed");
    let within = closed.join("deep/within");
    fs::create_dir_all(&within).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    stranger.can_traverse(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o750)).unwrap();
    let TraverseError::Blocked(blocked) = stranger.can_traverse(&within).unwrap_err() else { panic!() };
    assert_eq!((blocked.at, blocked.mode), (fs::canonicalize(&closed).unwrap(), 0o750));

    // A link does not open what is closed.
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&within, &link).unwrap();
    assert!(matches!(stranger.can_traverse(&link), Err(TraverseError::Blocked(_))));
    assert!(matches!(stranger.can_traverse(&dir.path().join("absent")), Err(TraverseError::Disk(_))));
    User::named("root").unwrap().can_traverse(&within).unwrap();
}

#[test]
fn an_account_is_made_found_and_removed() {
    let name = format!("mainstay-t{}", std::process::id());
    let home = std::path::Path::new("/var/lib/mainstay-test");
    if !is_root() {
        let error = account::create(&name, home).unwrap_err();
        assert!(matches!(error, AccountError::Failed { .. } | AccountError::NoTool(_)), "{error}");
        return;
    }
    let made = account::create(&name, home).unwrap();
    assert!(made.created);
    assert_eq!((made.user.name.as_str(), made.user.home.as_path()), (name.as_str(), home));
    assert!((1..1000).contains(&made.user.uid), "{:?}", made.user);
    assert!(!home.exists());
    let again = account::create(&name, home).unwrap();
    assert_eq!((again.created, &again.user), (false, &made.user));
    account::delete(&name).unwrap();
    account::delete(&name).unwrap();
    assert!(User::named(&name).is_err());
    let groups = fs::read_to_string("/etc/group").unwrap();
    assert!(!groups.contains(&name), "{groups}");
}

#[test]
fn root_is_not_removed() {
    assert!(matches!(account::delete("root"), Err(AccountError::Refused(_))));
    assert!(matches!(account::create("--root", "/".as_ref()), Err(AccountError::Name(_))));
}
