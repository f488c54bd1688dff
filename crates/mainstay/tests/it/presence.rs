//! What was there once is not taken for what never was; a copy and a stranger leave the original alone.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use crate::place::{Place, is_root, processes_of};

/// A deployment that was verified and is stopped.
fn used() -> Place {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.run(&["down"]).expect(0);
    place
}

/// Every changing command refuses, changes nothing and says what is gone.
fn refused(place: &Place, gone: &str) -> String {
    let before = place.names();
    let up = place.run(&["up", "--yes"]).expect(8);
    assert!(up.stderr.contains(gone), "it should say {gone:?}, and says:\n{}", up.stderr);
    place.run(&["up", "--plan"]).expect(8);
    place.run(&["settings", "secrets", "rotate", "link_salt", "--yes"]).expect(8);
    assert_eq!(place.names(), before, "something was made");
    assert!(processes_of(&place.root).is_empty(), "something was started");
    up.stderr
}

#[test]
fn each_thing_that_is_gone_is_refused_and_put_back_it_goes_on() {
    let place = used();
    let aside = place.root.with_file_name("aside");
    for name in ["data/mattermost.db", "data", "config", "secrets.toml", "mainstay.toml"] {
        let path = place.root.join(name);
        fs::rename(&path, &aside).expect("lost");
        let status = place.run(&["status"]).expect(0).stdout;
        assert!(status.contains("needs you: it is down") && status.contains(name), "{status}");
        let empty = name == "data" || name == "config";
        if empty {
            // As a mount point without its file system.
            fs::create_dir(&path).expect("a mount point");
        }
        let said = refused(&place, name);
        assert!(said.contains("last verified at 2") && said.contains("--start-empty"), "{said}");
        if empty {
            fs::remove_dir(&path).expect("the mount point");
        }
        fs::rename(&aside, &path).expect("put back");
    }
    let database = place.root.join("data/mattermost.db");
    let content = fs::read(&database).expect("the database");
    fs::write(&database, "").expect("emptied, as after a full disk");
    refused(&place, "mattermost.db");
    fs::write(&database, content).expect("put back");

    // The data of another deployment in its place.
    let mark = place.root.join("data/.mainstay-deployment");
    let own = fs::read_to_string(&mark).expect("a mark");
    fs::write(&mark, "0123456789abcdef0123456789abcdef\n").expect("written");
    refused(&place, "belongs to another deployment (0123456789abcdef0123456789abcdef)");
    fs::remove_file(&mark).expect("removed");
    let said = refused(&place, "does not say that it belongs to this deployment");
    let way = said.split('`').nth(1).expect("a command");
    assert!(Command::new("sh").args(["-c", way]).status().expect("sh").success());
    assert_eq!(fs::read_to_string(&mark).expect("a mark"), own);
    if is_root() {
        let owner = fs::metadata(place.root.join("data")).expect("data").uid();
        std::os::unix::fs::chown(&mark, Some(owner), Some(owner)).expect("the server's");
    }
    place.run(&["up", "--yes"]).expect(0);
    assert_eq!(place.run(&["up", "--json"]).expect(0).json()["changed"], false);
}

#[test]
fn a_deployment_from_before_it_had_an_id_is_known_by_its_journal() {
    let place = used();
    for name in ["deployment.json", "data/.mainstay-deployment", "run/verified.json"] {
        fs::remove_file(place.root.join(name)).expect("as an earlier version left it");
    }
    let database = place.root.join("data/mattermost.db");
    fs::rename(&database, place.root.with_file_name("lost")).expect("lost");
    refused(&place, "mattermost.db");
    fs::rename(place.root.with_file_name("lost"), &database).expect("put back");
    let plan = place.run(&["up", "--plan", "--json"]).expect(0).json();
    let last = plan["steps"].as_array().and_then(|steps| steps.last()).expect("steps");
    assert_eq!(last["name"], "identity", "{plan}");
    place.run(&["up", "--yes"]).expect(0);
    assert_eq!(place.run(&["up", "--json"]).expect(0).json()["changed"], false);
}

#[test]
fn start_empty_moves_what_is_left_aside_and_can_be_undone() {
    let place = used();
    let secrets = fs::read_to_string(place.root.join("secrets.toml")).expect("secrets");
    fs::remove_file(place.root.join("data/mattermost.db")).expect("lost");
    fs::write(place.root.join("data/photo.jpg"), "precious").expect("an upload");
    place.run(&["up", "--yes", "--start-empty", "--inject-failure", "set-aside:after"]).expect(6);
    assert_eq!(fs::read_to_string(place.root.join("data/photo.jpg")).expect("back"), "precious");
    place.run(&["up", "--yes", "--start-empty", "--inject-kill", "set-aside:after"]).expect(-9);
    let up = place.run(&["up", "--yes", "--start-empty"]).expect(0);
    let aside = fs::read_dir(place.root.join("set-aside")).expect("set-aside");
    let aside = aside.map(|entry| entry.expect("an entry").path()).next().expect("one");
    assert_eq!(fs::read_to_string(aside.join("data/photo.jpg")).expect("kept"), "precious");
    assert_eq!(fs::read_to_string(aside.join("secrets.toml")).expect("kept"), secrets);
    assert_ne!(fs::read_to_string(place.root.join("secrets.toml")).expect("new ones"), secrets);
    assert_eq!(
        fs::metadata(aside.parent().expect("set-aside")).expect("its mode").permissions().mode() & 0o777,
        0o700
    );
    assert!(up.stdout.contains("up and verified"), "{}", up.stdout);
    // Where nothing is gone, nothing is moved.
    let again = place.run(&["up", "--yes", "--start-empty"]).expect(0);
    assert!(again.stderr.contains("nothing is gone"), "{}", again.stderr);
    assert_eq!(fs::read_dir(place.root.join("set-aside")).expect("set-aside").count(), 1);
}

#[test]
fn a_server_that_restarts_by_itself_makes_no_empty_database() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let server = place.status()["agent"]["server"]["pid"].as_u64().expect("a server");
    fs::rename(place.root.join("data"), place.root.with_file_name("lost")).expect("unmounted");
    fs::create_dir(place.root.join("data")).expect("the mount point");
    fs::set_permissions(place.root.join("data"), fs::Permissions::from_mode(0o777)).expect("its mode");
    assert!(Command::new("kill").args(["-9", &server.to_string()]).status().expect("kill").success());
    crate::place::eventually("the log says why", || {
        let log = fs::read_to_string(place.root.join("logs/server.log")).unwrap_or_default();
        log.contains("mattermost.db is gone")
    });
    assert_eq!(fs::read_dir(place.root.join("data")).expect("data").count(), 0, "nothing was made");
    let refused = place.run(&["restart", "agent"]).expect(8);
    assert!(refused.stderr.contains("mattermost.db"), "{}", refused.stderr);
}

#[test]
fn the_last_copy_of_a_deleted_database_is_not_lost_with_a_stop() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let server = place.status()["agent"]["server"]["pid"].as_u64().expect("a server");
    let database = place.root.join("data/mattermost.db");
    fs::remove_file(&database).expect("deleted");
    for command in
        [&["up", "--yes"][..], &["restart"], &["restart", "agent"], &["up", "--yes", "--start-empty"]]
    {
        let refused = place.run(command).expect(8);
        let way = format!("do not stop it; copy the file first, when nobody writes: `cp /proc/{server}/fd/");
        assert!(refused.stderr.contains(&way), "{}", refused.stderr);
    }
    let verify = place.run(&["verify"]).expect(5).stderr;
    assert!(verify.contains("was deleted or replaced") && verify.contains("do not stop it"), "{verify}");
    assert!(place.run(&["down"]).expect(2).stderr.contains("say `--yes`"));
    assert_eq!(place.status()["agent"]["server"]["pid"], server, "it still runs");
    let status = place.run(&["status", "--check"]).expect(7).stdout;
    assert!(status.contains("needs you: it runs") && status.contains("do not stop it"), "{status}");
    // The way that is told works.
    let said = place.run(&["restart"]).expect(8).stderr.replace('\n', " ");
    let commands: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
    let safe = place.root.with_file_name("safe");
    fs::create_dir(&safe).expect("a safe place");
    let shell = |command: &str| {
        let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
        let command = command.replace("SAFE", &safe.display().to_string());
        assert!(Command::new("sh").args(["-c", &command]).status().expect("sh").success(), "{command}");
    };
    shell(commands[0]);
    place.run(&["down", "--yes"]).expect(0);
    shell(commands[2]);
    place.run(&["up", "--yes"]).expect(0);
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.expect("cp").success());
}

#[test]
fn a_copy_of_a_running_deployment_leaves_the_original_alone() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let server = |place: &Place| place.status()["agent"]["server"]["pid"].as_u64();
    let running = server(&place);
    let twin = Place::new();
    copy(&place.root, &twin.root);
    let taken = twin.run(&["up", "--yes"]).expect(4);
    assert!(taken.stderr.contains("is a copy of") && taken.stderr.contains("--listen"), "{}", taken.stderr);
    let listen = format!("127.0.0.1:{}", twin.port);
    twin.run(&["up", "--yes", "--listen", &listen]).expect(0);
    assert_eq!(server(&place), running, "the original's server goes on");
    assert_ne!(server(&twin), running);
    let id =
        |place: &Place| fs::read_to_string(place.root.join("data/.mainstay-deployment")).expect("a mark");
    assert_ne!(id(&place), id(&twin), "a deployment of its own");
    assert_eq!(place.run(&["up", "--json"]).expect(0).json()["changed"], false);
    assert_eq!(twin.run(&["up", "--json"]).expect(0).json()["changed"], false);
}

#[test]
fn another_machine_or_container_that_runs_it_is_named() {
    let place = used();
    let path = place.root.join("run/agent.lock");
    let at = plan::Whereabouts {
        host: "chat-7".to_owned(),
        container: Some("0123456789ab".repeat(6)),
        numbers: "another boot".to_owned(),
    };
    let holder = plan::Holder::new("mainstay", "agent", "it runs the deployment", "0.1.0").at(at);
    let lock = plan::Lock::acquire(&path, &holder).expect("the lock");
    let began = std::time::Instant::now();
    for args in [["up", "--yes"], ["down", "--yes"], ["uninstall", "--yes"], ["up", "--plan"]] {
        let refused = place.run(&args).expect(9);
        assert!(
            refused.stderr.contains("container 0123456789ab (host name chat-7) since 2"),
            "{args:?}: {}",
            refused.stderr
        );
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(8), "2 s each");
    let status = place.run(&["status"]).expect(0).stdout;
    assert!(status.contains("is run by container 0123456789ab"), "{status}");
    drop(lock);
    place.run(&["up", "--yes"]).expect(0);
}

#[test]
fn what_is_open_although_it_holds_a_secret_is_closed_by_a_step() {
    let place = used();
    let mode = |name: &str| fs::metadata(place.root.join(name)).expect(name).permissions().mode() & 0o777;
    let set = |name: &str, mode| {
        fs::set_permissions(place.root.join(name), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    assert_eq!((mode(""), mode("mainstay.toml"), mode("deployment.json")), (0o711, 0o600, 0o600));
    let file = place.root.join("mainstay.toml");
    let text = fs::read_to_string(&file).expect("mainstay.toml");
    fs::write(
        &file,
        format!(
            "{text}\n[mattermost.FileSettings]\nPublicLinkSalt = \"hunter2{0}{0}\"\n",
            "0123456789abcdef"
        ),
    )
    .expect("written");
    for (name, open) in [("", 0o755), ("mainstay.toml", 0o644), ("config/config.json", 0o644)] {
        set(name, open);
    }
    let checked = place.run(&["settings", "check"]).expect(0).stdout;
    assert!(checked.contains("FileSettings.PublicLinkSalt") && !checked.contains("hunter2"), "{checked}");
    let told = place.run(&["status"]).expect(0).stdout;
    assert!(told.contains("mainstay.toml can be read by others"), "{told}");
    place.run(&["up", "--yes", "--inject-failure", "modes:after"]).expect(6);
    assert_eq!((mode(""), mode("mainstay.toml")), (0o755, 0o644), "undone");
    place.run(&["up", "--yes"]).expect(0);
    assert_eq!((mode(""), mode("mainstay.toml"), mode("config/config.json")), (0o751, 0o600, 0o600));
}

#[test]
fn files_of_others_block_nothing_and_stay() {
    let place = Place::new();
    fs::create_dir(&place.root).expect("the directory");
    fs::set_permissions(&place.root, fs::Permissions::from_mode(0o755)).expect("its mode");
    fs::create_dir(place.root.join("lost+found")).expect("as a new file system has it");
    fs::write(place.root.join(".gitkeep"), "").expect("a file");
    place.up(&[]).expect(0);
    fs::write(place.root.join(".mainstay.toml.swp"), "an editor's").expect("a file");
    fs::write(place.root.join("notes.txt"), "somebody's").expect("a file");
    assert_eq!(place.run(&["up", "--json"]).expect(0).json()["changed"], false);
    place.run(&["uninstall", "--yes"]).expect(0);
    assert_eq!(place.names(), [".gitkeep", ".mainstay.toml.swp", "lost+found", "notes.txt"]);
}

#[test]
fn odd_ground_is_refused_beforehand() {
    let place = Place::new();
    let refused = |dir: &std::ffi::OsStr, code: i32, says: &str| {
        let mut up = place.command(&["up", "--yes"]);
        let ran =
            crate::place::Ran::from(up.env("MAINSTAY_DIR", dir).output().expect("it runs")).expect(code);
        assert!(ran.stderr.contains(says), "{dir:?} should say {says:?}, and says:\n{}", ran.stderr);
    };
    let above = place.root.parent().expect("a directory above").to_owned();
    refused(above.join("two\nlines").as_os_str(), 2, "control character");
    let bytes = [above.as_os_str().as_encoded_bytes(), b"/l\xe9on"].concat();
    use std::os::unix::ffi::OsStringExt as _;
    refused(&std::ffi::OsString::from_vec(bytes), 2, "UTF-8");

    let pipe = above.join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("a pipe");
    for (release, says) in [
        (pipe.as_path(), "a pipe or a device"),
        (above.as_path(), "a directory"),
        (Path::new("/dev/zero"), "a device"),
    ] {
        let ran = place.up(&["--release", &release.display().to_string()]).expect(2);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    assert!(!place.root.exists());

    let place = used();
    let current = place.root.join("current");
    let target = fs::read_link(&current).expect("a link");
    for make in [
        (|path: &Path| fs::create_dir(path)) as fn(&Path) -> std::io::Result<()>,
        |path| fs::write(path, ""),
        |path| std::os::unix::fs::symlink("/usr", path),
        |path| std::os::unix::fs::symlink("releases/nonsense", path),
    ] {
        fs::remove_file(&current).or_else(|_| fs::remove_dir(&current)).expect("removed");
        make(&current).expect("made");
        let refused = place.run(&["up", "--yes"]).expect(4);
        assert!(refused.stderr.contains("Mainstay keeps the link"), "{}", refused.stderr);
    }
    fs::remove_file(&current).expect("removed");
    std::os::unix::fs::symlink(target, &current).expect("put back");
    place.run(&["up", "--yes"]).expect(0);
}

#[test]
fn a_umask_that_forbids_everything_hinders_nothing() {
    for umask in ["0777", "0077"] {
        let place = Place::new();
        let line = format!("umask {umask}; exec \"$0\" \"$@\"");
        let mut up = Command::new("sh");
        up.args(["-c", &line, crate::place::MAINSTAY]).args(place.up_args()).env("MAINSTAY_DIR", &place.root);
        crate::place::Ran::from(up.output().expect("sh")).expect(0);
        assert_eq!(place.status()["up"], true, "{umask}");
    }
}
