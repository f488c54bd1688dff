//! Deployments of official releases, on PostgreSQL.
//!
//! `MAINSTAY_TEST_RELEASE` names the tarballs or unpacked releases to use, separated by colons. Where it names none, a release stands in
//! that says it is a Team Edition and is the built-in server: the same code of ours runs, with what only official releases have - a
//! database server, a TCP port in place of a socket, no locks that can be listed. What official servers do besides is known from runs
//! against them.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::external::Chat;
use crate::place::{MAINSTAY, Place, Ran, is_root};

/// The tarballs under test.
static RELEASES: LazyLock<Releases> = LazyLock::new(Releases::find);

struct Releases {
    tarballs: Vec<PathBuf>,
    _dir: tempfile::TempDir,
}

impl Releases {
    #[expect(clippy::disallowed_methods, reason = "whoever has official releases names them")]
    fn find() -> Self {
        let dir = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir();
        let dir = dir.expect("a directory");
        let named = std::env::var("MAINSTAY_TEST_RELEASE").unwrap_or_default();
        let named: Vec<&Path> = named.split(':').filter(|path| !path.is_empty()).map(Path::new).collect();
        let mut tarballs: Vec<PathBuf> = named.iter().map(|path| tarball(path, dir.path())).collect();
        let which = match named.is_empty() {
            true => {
                "none is named in MAINSTAY_TEST_RELEASE: the built-in server stands in for one".to_owned()
            }
            false => tarballs.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
        };
        if tarballs.is_empty() {
            tarballs.push(stand_in(dir.path()));
        }
        // Past the capture of the test's output: whoever reads the log of a run must see it.
        let _ = writeln!(std::io::stderr().lock(), "\nOFFICIAL RELEASES UNDER TEST: {which}\n");
        Self { tarballs, _dir: dir }
    }
}

fn ran(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A tarball as it is; of a directory, whose last part must be `mattermost`, one is made.
fn tarball(path: &Path, dir: &Path) -> PathBuf {
    assert!(path.exists(), "MAINSTAY_TEST_RELEASE names {}, which is not there", path.display());
    if path.is_file() {
        return path.to_owned();
    }
    let made = dir.join(format!("{}.tar", path.to_string_lossy().replace('/', "_")));
    ran(Command::new("tar")
        .arg("-C")
        .arg(path.parent().expect("a parent"))
        .arg("-cf")
        .arg(&made)
        .arg("mattermost"));
    made
}

/// The built-in server in a release that says it is 11.6.0 of the Team Edition.
fn stand_in(dir: &Path) -> PathBuf {
    const SERVER: &str = "#!/bin/sh\n\
        case \"$1\" in\n\
        version) printf 'Version: 11.6.0\\nBuild Number: 11.6.0\\nBuild Date: -\\nBuild Hash: -\\nBuild Enterprise Ready: false\\n' ;;\n\
        *) exec \"${0%/*}/server/mattermost\" \"$@\" ;;\n\
        esac\n";
    let packed = dir.join("builtin.tar.gz");
    ran(Command::new(MAINSTAY).args(["release", "pack-builtin"]).arg(&packed));
    ran(Command::new("tar").arg("-C").arg(dir).arg("-xf").arg(&packed));
    let root = dir.join("mattermost");
    let (server, real) = (root.join("bin/mattermost"), root.join("bin/server"));
    std::fs::create_dir(&real).expect("made");
    std::fs::rename(&server, real.join("mattermost")).expect("moved");
    std::fs::write(&server, SERVER).expect("written");
    std::fs::set_permissions(&server, PermissionsExt::from_mode(0o755)).expect("executable");
    std::fs::remove_file(root.join("manifest.txt")).expect("removed");
    let made = dir.join("mattermost-team-11.6.0-linux-amd64.tar");
    ran(Command::new("tar").arg("-C").arg(dir).arg("-cf").arg(&made).arg("mattermost"));
    std::fs::remove_dir_all(root).expect("removed");
    std::fs::remove_file(packed).expect("removed");
    made
}

fn each(test: impl Fn(&str)) {
    for tarball in &RELEASES.tarballs {
        test(tarball.to_str().expect("a name"));
    }
}

#[test]
fn what_was_installed_is_wanted_from_then_on_by_every_command() {
    each(|tarball| {
        let chat = Chat::created();
        // Before anything else is read, the database included.
        let nowhere = Place::new();
        for (flag, value) in [("--edition", "enterprise"), ("--version", "1.2.3")] {
            let refused = nowhere.up(&["--release", tarball, flag, value]).expect(2);
            assert!(refused.stderr.contains(flag) && refused.stderr.contains(value), "{}", refused.stderr);
            assert_eq!(nowhere.names(), Vec::<String>::new());
        }
        let up = chat.up(&["--release", tarball, "--json"]).expect(0).json();
        assert!(up["release"].as_str().is_some_and(|release| release.ends_with("-team")), "{up}");
        let wanted = std::fs::read_to_string(chat.place.root.join("mainstay.toml")).expect("a file");
        assert!(wanted.contains("edition = \"team\""), "{wanted}");
        assert_eq!(chat.up(&["--json"]).expect(0).json()["changed"], false);
        chat.run(&["verify"]).expect(0);
        chat.run(&["settings", "check"]).expect(0);
        chat.place.run(&["down"]).expect(0);
        // As earlier versions wrote it.
        let path = chat.place.root.join("mainstay.toml");
        std::fs::write(&path, wanted.replace("edition = \"team\"", "edition = \"builtin\""))
            .expect("written");
        chat.up(&[]).expect(0);
        assert!(std::fs::read_to_string(&path).expect("a file").contains("edition = \"team\""));
        let refused = chat.up(&["--edition", "builtin"]).expect(8);
        assert!(refused.stderr.contains("is installed here"), "{}", refused.stderr);
    });
}

#[test]
fn a_door_that_is_closed_to_everybody_is_not_closed_to_the_test() {
    each(|tarball| {
        let mut chat = Chat::created();
        for (name, value) in [
            ("MM_TEAMSETTINGS_ENABLEUSERCREATION", "false"),
            ("MM_TEAMSETTINGS_ENABLEOPENSERVER", "false"),
            ("MM_TEAMSETTINGS_RESTRICTCREATIONTODOMAINS", "corp.example"),
            ("MM_EMAILSETTINGS_ENABLESIGNUPWITHEMAIL", "false"),
        ] {
            chat.set(name, value);
        }
        chat.up(&["--release", tarball]).expect(0);
        // Whatever becomes of the administrator, nothing of Mainstay's depends on it.
        chat.run(&["admin", "create", "ann", "--email", "ann@corp.example", "--yes"]).expect(0);
        chat.run(&["admin", "deactivate", "admin", "--yes"]).expect(0);
        for _ in 0..2 {
            let verified = chat.run(&["verify", "--json"]).expect(0).json();
            assert_eq!(verified["passed"], true, "{verified}");
        }
        let listed = chat.run(&["admin", "list", "--all", "--json"]).expect(0).json();
        let active = listed.as_array().expect("accounts").iter().filter(|account| account["delete_at"] == 0);
        let mut active: Vec<&str> = active.filter_map(|account| account["username"].as_str()).collect();
        // The official server makes bots of its own.
        active.retain(|name| {
            !["mattermost-advisor", "appsbot", "boards", "playbooks", "system-bot"].contains(name)
        });
        assert_eq!(active, ["ann"], "the test's accounts are switched off: {listed}");
        let config = std::fs::read_to_string(chat.place.root.join("config/config.json")).expect("a file");
        let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
        assert_ne!(config["ServiceSettings"]["EnableUserAccessTokens"], true);
    });
}

#[test]
fn a_mattermost_that_is_there_is_taken_over_whole() {
    each(|tarball| {
        let old = Chat::created();
        old.up(&["--release", tarball]).expect(0);
        let file = old.place.root.join("data/20260101/teams/x/file");
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("made");
        std::fs::write(&file, "uploaded").expect("written");
        let config = old.place.root.join("config/config.json");
        let config = config.to_str().expect("a name");
        // Forgotten by Mainstay, as if it had been installed by other means.
        let forget = format!("delete from systems where name = '{}'", database::DEPLOYMENT);
        old.sql(&forget);

        let new = Place::new();
        let url = new.url();
        let up = |more: &[&str]| {
            new.up(&[&["--release", tarball, "--take-over", config, "--site-url", &url], more].concat())
        };
        let used = up(&[]).expect(9);
        assert!(used.stderr.contains("which runs"), "{}", used.stderr);
        assert_eq!(new.names(), Vec::<String>::new());
        old.place.run(&["down"]).expect(0);
        old.sql(&forget);

        // Killed in the middle, it goes on.
        assert_eq!(up(&["--inject-kill", "taken-files:after"]).code, -9);
        let taken = up(&["--json"]).expect(0).json();
        assert_eq!(taken["administrators_kept"], serde_json::json!(["admin"]), "{taken}");
        let kept = std::fs::read_to_string(new.root.join("data/20260101/teams/x/file")).expect("copied");
        assert_eq!(kept, "uploaded");
        let salt = |place: &Place| {
            let secrets = std::fs::read_to_string(place.root.join("secrets.toml")).expect("secrets");
            let line = secrets.lines().find(|line| line.starts_with("link_salt")).expect("a salt");
            line.to_owned()
        };
        assert_eq!(salt(&new), salt(&old.place), "public links go on working");
        assert!(
            !std::fs::read_to_string(new.root.join("secrets.toml"))
                .expect("secrets")
                .contains("admin_name = \"admin\"")
        );
        assert_eq!(new.up(&["--json"]).expect(0).json()["changed"], false);
        new.run(&["verify"]).expect(0);

        // The database is this deployment's now.
        let third = Place::new();
        let refused = third.up(&["--release", tarball, "--take-over", config]).expect(4);
        assert!(refused.stderr.contains("belongs to a deployment of Mainstay"), "{}", refused.stderr);
    });
}

#[test]
fn a_take_over_that_fails_leaves_nothing_of_itself() {
    let tarball = RELEASES.tarballs[0].to_str().expect("a name");
    let old = Chat::created();
    old.up(&["--release", tarball]).expect(0);
    old.place.run(&["down"]).expect(0);
    old.sql(&format!("delete from systems where name = '{}'", database::DEPLOYMENT));
    let config = old.place.root.join("config/config.json");
    let new = Place::new();
    let args = ["--release", tarball, "--take-over", config.to_str().expect("a name")];
    new.up(&[&args[..], &["--inject-failure", "configuration:after"]].concat()).expect(6);
    assert!(!new.root.join("config/config.json").exists() && !new.root.join("secrets.toml").exists());
    assert!(config.exists(), "the old one stays");
}

#[test]
fn a_server_that_cannot_say_its_version_is_named_on_the_command_line() {
    const OLD: &str = "#!/bin/sh\n# 5.16.0\ncase \"$2\" in\n--skip*) echo \"Error: unknown flag: $2\" >&2 ;;\n*) echo 'panic: driver none' >&2 ;;\nesac\nexit 1\n";
    let place = Place::new();
    let dir = place.root.with_file_name("old");
    for name in ["bin", "config", "client", "fonts", "i18n", "templates"] {
        std::fs::create_dir_all(dir.join("mattermost").join(name)).expect("made");
    }
    std::fs::write(dir.join("mattermost/config/config.json"), "{}").expect("written");
    let server = dir.join("mattermost/bin/mattermost");
    std::fs::write(&server, OLD).expect("written");
    std::fs::set_permissions(&server, PermissionsExt::from_mode(0o755)).expect("executable");
    let tarball = tarball(&dir.join("mattermost"), &dir);
    let up = |more: &[&str]| place.up(&[&["--release", tarball.to_str().expect("a name")], more].concat());
    for (more, says) in [
        (&[][..], "older than 5.28"),
        (&["--edition", "team"], "`--version`"),
        (&["--edition", "team", "--version", "5.17.0"], "5.17.0 is said, and that text is not in it"),
    ] {
        let refused = up(more).expect(2);
        assert!(refused.stderr.contains(says) && !refused.stderr.contains("glibc"), "{}", refused.stderr);
    }
    // It goes on to the database, at which nothing listens.
    let mut args = place.up_args();
    args.extend(["--edition", "team", "--version", "5.16.0", "--wait", "1", "--release"].map(str::to_owned));
    args.push(tarball.display().to_string());
    let mut command = place.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let database = [("DB_ADAPTER", "postgres"), ("DB_HOST", "127.0.0.1"), ("DB_PORT", "1")];
    command.envs(database.into_iter().chain([("DB_NAME", "chat"), ("DB_USER", "mm"), ("DB_PASS", "mm")]));
    let known = Ran::from(command.output().expect("the binary runs")).expect(4);
    assert!(known.stderr.contains("127.0.0.1:1"), "{}", known.stderr);
}

#[test]
fn a_backup_of_it_is_proven_by_a_drill_and_restored() {
    each(|tarball| {
        let chat = Chat::created();
        chat.up(&["--release", tarball]).expect(0);
        let file = chat.place.root.join("data/20260101/teams/x/file");
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("made");
        std::fs::write(&file, "uploaded").expect("written");
        if is_root() {
            // As in the volume of an official container.
            chown(&file, Some(2000), Some(2000)).expect("given away");
        }
        let snapshot = chat.run(&["backup", "create", "--json"]).expect(0).json()["snapshot"].clone();
        let drilled = chat.run(&["backup", "drill", "--json"]).expect(0).json();
        assert_eq!(drilled["snapshot"], snapshot);
        assert!(drilled["release"].as_str().is_some_and(|release| release.ends_with("-team")), "{drilled}");
        assert!(drilled["rows"].as_u64() > Some(20), "{drilled}");
        assert!(!chat.place.root.join("drill").exists(), "it is removed");
        std::fs::write(&file, "overwritten").expect("written");
        chat.run(&["restore", "--yes"]).expect(0);
        assert_eq!(std::fs::read_to_string(&file).expect("it came back"), "uploaded");
        let owner = |name: &str| chat.place.root.join(name).metadata().expect("it is there").uid();
        assert_eq!(owner("data/20260101/teams/x/file"), owner("data"), "it belongs to the server's user");
        chat.run(&["verify"]).expect(0);
    });
}
