//! The system user of each deployment: made for it alone, given to no other, and removed with it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use crate::place::{Place, is_root};

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.expect("cp").success());
}

#[test]
fn a_directory_that_the_servers_user_cannot_enter_is_refused() {
    assert!(is_root(), "run the tests of `full` as root");
    let place = Place::new();
    fs::create_dir(&place.root).expect("the directory");
    fs::set_permissions(&place.root, fs::Permissions::from_mode(0o700)).expect("its mode");
    let refused = place.up(&[]).expect(4);
    assert!(
        refused.stderr.contains("cannot enter") && refused.stderr.contains("chmod o+x"),
        "{}",
        refused.stderr
    );
    assert_eq!(place.names(), Vec::<String>::new());
}

/// Removes the system user that an `up` of the test has made.
struct User(String);

impl Drop for User {
    fn drop(&mut self) {
        let _ = Command::new("userdel").arg("--force").arg(&self.0).status();
    }
}

fn user_of(place: &Place) -> String {
    let toml = fs::read_to_string(place.root.join("mainstay.toml")).expect("mainstay.toml");
    let line = toml.lines().find(|line| line.starts_with("user")).expect("a user");
    line.split('"').nth(1).expect("a name").to_owned()
}

#[test]
fn each_deployment_has_a_user_of_its_own_and_can_be_given_another() {
    assert!(is_root(), "run the tests of `full` as root");
    let up = |place: &Place| {
        place.run(&["up", "--yes", "--listen", &format!("127.0.0.1:{}", place.port)]).expect(0);
        User(user_of(place))
    };
    let (mut one, mut two) = (Place::new(), Place::new());
    // Users are named after the directory, and other tests make users, too.
    for place in [&mut one, &mut two] {
        place.root.set_file_name("twins");
    }
    let (first, second) = (up(&one), up(&two));
    assert_ne!(first.0, second.0);
    for user in [&first, &second] {
        assert!(user.0.starts_with("mainstay-twins") && user.0.len() <= 31, "{}", user.0);
    }
    let owner = |place: &Place, name: &str| fs::metadata(place.root.join(name)).expect(name).uid();
    assert_ne!(owner(&one, "config"), owner(&two, "config"));

    // Another user: the files go with it, and come back when that fails.
    let before = owner(&one, "data/mattermost.db");
    let change = ["up", "--yes", "--user", "nobody"];
    one.run(&[&change[..], &["--inject-failure", "ownership:after"]].concat()).expect(6);
    assert_eq!((owner(&one, "data"), owner(&one, "data/mattermost.db")), (before, before));
    one.run(&[&change[..], &["--inject-kill", "ownership:before"]].concat()).expect(-9);
    one.run(&change).expect(0);
    for name in
        ["config", "config/config.json", "data", "data/mattermost.db", "plugins", "data/.mainstay-deployment"]
    {
        assert_eq!(owner(&one, name), 65_534, "{name}");
    }
    assert_eq!(one.run(&["up", "--json"]).expect(0).json()["changed"], false);
    // What was made goes, also after the deployment was given to another.
    let uid = |user: &User| {
        let passwd = fs::read_to_string("/etc/passwd").expect("users");
        let line = passwd.lines().find(|line| line.starts_with(&format!("{}:", user.0)))?;
        line.split(':').nth(2).map(|uid| uid.parse::<u32>().expect("a number"))
    };
    let plan = one.run(&["uninstall", "--plan"]).expect(0);
    assert!(plan.stdout.contains(&format!("and the system user {}", first.0)), "{}", plan.stdout);
    one.run(&["uninstall", "--yes", "--inject-failure", "removal:after"]).expect(6);
    one.run(&["uninstall", "--yes", "--inject-kill", "removal:after"]).expect(-9);
    assert!(uid(&first).is_some(), "it goes after the plan");
    let gone = one.run(&["uninstall", "--yes"]).expect(0);
    // A test with a machine of its own may run a server with the same id.
    if gone.stdout.contains(&format!("The system user {} stays, because process ", first.0)) {
        assert!(uid(&first).is_some());
    } else {
        assert!(gone.stdout.contains(&format!("The system user {} is deleted", first.0)), "{}", gone.stdout);
        assert_eq!(uid(&first), None);
    }
    // It stays where a file is its that stays.
    let notes = two.root.join("notes.txt");
    fs::write(&notes, "kept").expect("written");
    std::os::unix::fs::chown(&notes, uid(&second), None).expect("given away");
    let stays = two.run(&["uninstall", "--yes"]).expect(0);
    assert!(stays.stdout.contains("notes.txt stays, and is its"), "{}", stays.stdout);
    assert!(uid(&second).is_some());
}

/// What the tools that change the machine's users wait for.
fn users_locked() -> fs::File {
    let lock = fs::File::options().write(true).create(true).truncate(false).open("/etc/.pwd.lock");
    let lock = lock.expect("the lock of the user database");
    rustix::fs::fcntl_lock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    lock
}

#[test]
fn installed_at_once_each_makes_a_user_of_its_own() {
    assert!(is_root(), "run the tests of `full` as root");
    let (mut one, mut two) = (Place::new(), Place::new());
    for place in [&mut one, &mut two] {
        place.root.set_file_name("rivals");
    }
    let lock = users_locked();
    let begun = [&one, &two].map(|place| {
        let listen = format!("127.0.0.1:{}", place.port);
        let mut up = place.command(&["up", "--yes", "--listen", &listen]);
        up.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        up.spawn().expect("it begins")
    });
    // The plan is made before the journal is, so both have the same name in theirs.
    for place in [&one, &two] {
        crate::place::eventually("it has a plan", || place.root.join("state.db").exists());
    }
    drop(lock);
    for up in begun {
        crate::place::Ran::from(up.wait_with_output().expect("it ends")).expect(0);
    }
    let users = [&one, &two].map(|place| User(user_of(place)));
    assert_ne!(users[0].0, users[1].0);
    let owner = |place: &Place| fs::metadata(place.root.join("config")).expect("config").uid();
    assert_ne!(owner(&one), owner(&two));

    // Nobody is given the user of another deployment.
    let [mine, theirs] = [&users[0].0, &users[1].0];
    let refused = one.run(&["up", "--yes", "--user", theirs]).expect(4).stderr;
    let says = format!("was made for the deployment in {}", two.root.display());
    assert!(refused.contains(&says), "{refused}");
    let twin = Place::new();
    copy(&one.root, &twin.root);
    let listen = format!("127.0.0.1:{}", twin.port);
    let refused = twin.run(&["up", "--yes", "--listen", &listen]).expect(4).stderr;
    let own = refused.split("--user ").nth(1).and_then(|rest| rest.split('`').next()).expect("a name");
    assert!(own.starts_with("mainstay-chat") && own != mine, "{refused}");
    let own = own.to_owned();
    twin.run(&["up", "--yes", "--listen", &listen, "--user", &own]).expect(0);
    let _user = User(own);
    // One that shares a user all the same keeps the other's from being deleted.
    std::os::unix::fs::chown(twin.root.join("data"), Some(owner(&one)), None).expect("given away");
    one.run(&["down"]).expect(0);
    let stays = one.run(&["uninstall", "--yes"]).expect(0).stdout;
    let says = format!("{}/data of another deployment is its", twin.root.display());
    assert!(stays.replace("\n", " ").contains(&says), "{stays}");
}

#[test]
fn no_server_runs_as_root() {
    assert!(is_root(), "run the tests of `full` as root");
    let place = Place::new();
    for root in ["root", "0"] {
        let refused = place.run(&["up", "--yes", "--user", root]).expect(2).stderr;
        assert!(refused.contains(&format!("must not run as {root}")), "{refused}");
    }
    assert!(!place.root.exists());
    fs::create_dir(&place.root).expect("the directory");
    fs::write(place.root.join("mainstay.toml"), "user = \"root\"\n").expect("written");
    for command in [&["up", "--yes"][..], &["settings", "check"]] {
        assert!(place.run(command).expect(3).stderr.contains("must not run as root"));
    }
}
